"use strict";
// The page is complete without this. With it, the parts that change are taken from a stream of the
// speaker's and moved into the document, and links that only choose rows need no new document.
(() => {
	const live = document.getElementById("live"), words = document.getElementById("live-words");
	const form = document.getElementById("filter"), input = document.getElementById("q");
	const calm = matchMedia("(prefers-reduced-motion: reduce)");
	let stream, retry, heard = new Date(), reveal = false; // what was asked for is to be brought into sight

	// Ages, in the words of `kubectl get`: below so many seconds, in units of, and in what is left of it.
	const ages = [
		[120, 1, 0, "s"], [600, 60, 1, "m", "s"], [10800, 60, 0, "m"], [28800, 3600, 60, "h", "m"],
		[172800, 3600, 0, "h"], [691200, 86400, 3600, "d", "h"], [63072000, 86400, 0, "d"], [Infinity, 31536000, 0, "y"],
	];
	function age(seconds) {
		const [, big, small, unit, rest] = ages.find(([below]) => seconds < below);
		const left = small ? Math.floor(seconds % big / small) : 0;
		return Math.floor(seconds / big) + unit + (left ? left + rest : "");
	}
	function count() {
		for (const t of document.querySelectorAll("main time")) {
			const now = age(Math.max(0, Math.floor((Date.now() - Date.parse(t.dateTime)) / 1000)));
			if (t.textContent !== now) t.textContent = now;
		}
	}

	// become makes the element a like b and keeps what is the same, so that focus, selection and
	// scrolling stay. Children with an id are found again wherever they are now.
	function become(a, b) {
		if (a.isEqualNode(b)) return;
		for (const { name } of [...a.attributes]) if (!b.hasAttribute(name)) a.removeAttribute(name);
		for (const { name, value } of b.attributes) if (a.getAttribute(name) !== value) a.setAttribute(name, value);
		if (a.localName === "time") return; // its text is counted here
		const named = new Map([...a.children].filter((c) => c.id).map((c) => [c.id, c]));
		let at = a.firstChild;
		for (const want of [...b.childNodes]) {
			let have = want.id ? named.get(want.id) : at;
			if (have && !want.id && (have.id || have.nodeName !== want.nodeName)) have = null;
			if (!have) {
				a.insertBefore(want, at);
				continue;
			}
			if (have === at) at = at.nextSibling;
			else a.insertBefore(have, at);
			if (want.nodeType === Node.ELEMENT_NODE) become(have, want);
			else if (have.data !== want.data) have.data = want.data;
		}
		while (at) {
			const next = at.nextSibling;
			at.remove();
			at = next;
		}
	}

	// places are where the marks of the drawings stand.
	const places = () => new Map([...document.querySelectorAll(".drawing .mark")].map((m) => [m.id, m.getAttribute("transform")]));
	const css = (transform) => transform.replace(/translate\((\S+) (\S+)\)/, "translate($1px, $2px)");

	// travel lets the marks that stand elsewhere now go there visibly.
	function travel(before) {
		if (calm.matches) return;
		for (const [id, to] of places()) {
			const from = before.get(id), mark = document.getElementById(id);
			if (from === to) continue;
			const path = from ? [{ transform: css(from) }, { transform: css(to) }] : [{ opacity: 0 }, { opacity: 1 }];
			mark.animate(path, { duration: 900, easing: "cubic-bezier(.3, 0, .2, 1)" });
			mark.parentNode.appendChild(mark); // above the others on its way
		}
	}

	function show(parts) {
		const before = places();
		for (const [id, html] of Object.entries(parts)) {
			const sheet = document.createElement("template");
			sheet.innerHTML = html;
			become(document.getElementById(id), sheet.content.firstElementChild);
		}
		travel(before);
		count();
		if (reveal) {
			reveal = false;
			const target = document.getElementById("who") || document.getElementById("addresses");
			target.focus({ preventScroll: true });
			target.scrollIntoView({ block: "nearest" });
		}
		const head = document.getElementById("head");
		document.title = head.dataset.title;
		const icon = document.querySelector("link[rel=icon]");
		if (icon.getAttribute("href") !== head.dataset.icon) icon.setAttribute("href", head.dataset.icon);
	}

	function say(state, text) {
		live.dataset.state = state;
		if (words.textContent !== text) words.textContent = text;
	}
	const clock = (t) => t.toLocaleTimeString([], { hour12: false });

	// listen opens a stream for what the address line asks for. One that was refused is tried again.
	function listen() {
		clearTimeout(retry);
		if (stream) stream.close();
		stream = new EventSource("api/v1/stream" + location.search);
		stream.addEventListener("parts", (e) => {
			heard = new Date();
			say("live", "live");
			show(JSON.parse(e.data));
		});
		stream.addEventListener("alive", () => {
			heard = new Date();
			say("live", "live");
		});
		stream.onerror = () => {
			say("lost", "not live since " + clock(heard) + ": no answer from this speaker");
			if (stream.readyState === EventSource.CLOSED) retry = setTimeout(listen, 3000);
		};
	}

	function go(search) { // like "?q=web#addresses"
		history.pushState(null, "", search);
		follow();
	}
	function follow() {
		const q = new URLSearchParams(location.search);
		if (document.activeElement !== input) input.value = q.get("q") || "";
		for (const hidden of form.querySelectorAll("input[type=hidden]")) hidden.remove(); // for who has no script
		listen();
	}

	// copy puts a command where it can be pasted from. Browsers give pages without TLS only the old way.
	function copy(button) {
		const done = () => {
			button.classList.add("copied");
			setTimeout(() => button.classList.remove("copied"), 2000);
		};
		if (navigator.clipboard) {
			navigator.clipboard.writeText(button.dataset.copy).then(done, () => {});
			return;
		}
		getSelection().selectAllChildren(button.previousElementSibling);
		if (document.execCommand("copy")) done();
	}
	document.documentElement.classList.add("scripted");

	document.addEventListener("click", (e) => {
		const button = e.target.closest("button.copy");
		if (button) {
			copy(button);
			return;
		}
		const a = e.target.closest("a[href^='?']");
		if (!a || e.button || e.ctrlKey || e.metaKey || e.shiftKey || e.altKey) return;
		e.preventDefault();
		reveal = true;
		go(a.getAttribute("href"));
	});
	let typing;
	function filter() {
		clearTimeout(typing);
		const q = new URLSearchParams(location.search);
		q.delete("page");
		if (input.value.trim()) q.set("q", input.value.trim());
		else q.delete("q");
		if (q.toString() !== new URLSearchParams(location.search).toString()) {
			history.replaceState(null, "", "?" + q);
			listen();
		}
	}
	input.addEventListener("input", () => {
		clearTimeout(typing);
		typing = setTimeout(filter, 200);
	});
	form.addEventListener("submit", (e) => {
		e.preventDefault();
		filter();
	});
	addEventListener("popstate", follow);
	setInterval(() => {
		count();
		if (live.dataset.state === "live" && Date.now() - heard > 20000) say("lost", "not live since " + clock(heard) + ": no answer from this speaker");
	}, 1000);
	listen();
})();
