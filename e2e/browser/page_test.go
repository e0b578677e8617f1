package browser

import (
	"fmt"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
)

// crowd is a mesh of three nodes and nine addresses.
func crowd(t *testing.T) *stage {
	s := newStage(t, 3)
	s.add("shop/web", "shop/checkout", "mail/imap", "mail/smtp", "dns/resolver", "git/forge", "ci/runner", "metrics/grafana", "auth/login")
	s.shown.Pools = []api.Pool{
		{Name: "default", Ranges: []string{"198.18.64.0/28"}, Size: 14, Used: 9, Free: 5},
		{Name: "lab", Ranges: []string{"198.18.65.10-198.18.65.11", "2001:db8:0:65::/120"}, Rules: []string{"only namespaces lab", "priority 10"}, Size: 258, Used: 3, Free: 255},
	}
	return s
}

// conditions are what can be wrong, all at once.
func (s *stage) conditions() {
	v := &s.vips[6]
	v.Owner, v.Next, v.Reason, v.From, v.Change, v.Since = "", "", "no endpoint of ci/runner is serving", v.Owner, v.Owner+" may not announce it any more", s.now()
	c := api.Conflict{
		IP: "198.18.64.3", Kind: "stranger", MAC: "02:42:c0:a8:01:17", Since: s.now(),
		Words: "02:42:c0:a8:01:17, which is no node of this cluster, answers for 198.18.64.3 too",
		Todo:  "find that device by the switch's table and give it another address, or exclude this one from the pool",
	}
	s.shown.Moves = []api.Move{{At: s.now(), From: v.From, Count: 1, IPs: []string{v.IP}, Cause: "moved", Change: v.Change, Held: 3600}}
	w := api.Waiting{Service: "lab/bench", Pool: "lab", Reason: "pool lab has no free IPv4 address"}
	s.shown.Conflicts, s.shown.Waiting, s.shown.Pools[1].Waiting = []api.Conflict{c}, []api.Waiting{w}, 1
	s.shown.Conditions = []health.Condition{
		health.New(health.AddressTaken, health.Address(c.IP), c.Words).Do(c.Todo),
		health.New(health.PoolFull, health.Pool("lab"), "1 waits for an address of pool \"lab\" (lab/bench): pool lab has no free IPv4 address"),
		health.New(health.NoServingEndpoint, health.Address(v.IP), "nobody announces "+v.IP+": "+v.Reason),
		health.New(health.GossipBlocked, health.Node("n3"), "gossip to n3 on 7927 is blocked; n3 is alive on the wire"),
	}
	s.nodes[2].State, s.nodes[2].Health = "wire", "on the wire"
	s.nodes[2].believes = map[string]string{"198.18.64.1": "n2"}
}

// live waits until the page listens to its speaker.
func (b *tab) live() {
	b.t.Helper()
	b.until(`document.getElementById("live").dataset.state === "live"`)
}

// rows are the addresses that the table shows.
func (b *tab) rows() []string {
	b.t.Helper()
	return eval[[]string](b, `[...document.querySelectorAll("#addresses > .wide tbody th")].map((e) => e.textContent)`)
}

// text is what an element says.
func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, fmt.Sprintf(`document.querySelector(%q).innerText`, selector))
}

// empty takes everything out of the filter.
func (b *tab) empty() {
	b.t.Helper()
	eval[bool](b, `document.getElementById("q").select(), true`)
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), kb.Backspace))
}

// contrasts is the lowest contrast of any text on the page with what is behind it, by the formula
// of WCAG 2.
const contrasts = `(() => {
	const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
	const rgba = (colour) => {
		canvas.clearRect(0, 0, 1, 1);
		canvas.fillStyle = colour;
		canvas.fillRect(0, 0, 1, 1);
		return [...canvas.getImageData(0, 0, 1, 1).data];
	};
	const light = (colour) => {
		const [r, g, b] = rgba(colour).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
		return 0.2126 * r + 0.7152 * g + 0.0722 * b;
	};
	const behind = (e) => {
		for (; e; e = e.parentElement) if (rgba(getComputedStyle(e).backgroundColor)[3]) return getComputedStyle(e).backgroundColor;
		return "white";
	};
	let worst = 21;
	for (const e of document.querySelectorAll("main *, header *, footer *")) {
		if (e.closest("svg") || ![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
		const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
		worst = Math.min(worst, (a + 0.05) / (b + 0.05));
	}
	return worst;
})()`

// cut are the tables that do not fit into their boxes, so that a column is out of sight.
const cut = `[...document.querySelectorAll(".wide")].filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.getAttribute("aria-labelledby"))`

// long adds what is longer than most: an IPv6 address, names, and a router that says much.
func (s *stage) long() {
	v := s.vips[0]
	v.IP, v.Services, v.Pool = "2001:db8:4f3:10:8a2e:370:7334:1", []string{"observability-production/opentelemetry-collector-gateway"}, "production-dual-stack"
	w := v
	v.Entries, w.Entries, w.IP = []string{"announce[0]", "announce[1]"}, []string{"announce[2]"}, "2001:db8:4f3:10:8a2e:370:7334:2"
	s.vips = append(s.vips, v, w)
	lost := &api.Session{State: "active", Since: s.now(), Cause: "refused", Words: "the router refused the connection: is BGP on there, and n1 a neighbor?", Paths: 0}
	s.shown.Routers = []api.Router{
		{Name: "tor-1.rack-17", Address: "2001:db8:4f3:10::1", ASN: 4200000001, Sessions: "few", Why: "the router takes the next hop of another node", Speakers: []string{"n1", "n2"}, Up: []string{"n2"}, Session: lost},
	}
	for i := range s.shown.Pools {
		p := &s.shown.Pools[i]
		p.Families = []api.FamilyUse{{Family: "IPv4", Size: 14, Used: 9, Free: 5}, {Family: "IPv6", Size: 1 << 40, Used: 3, Free: 1<<40 - 3}}
	}
}

// The page fits on a phone and on a screen, and can be read in light and dark, in peace and in
// trouble.
func TestLooks(t *testing.T) {
	browser := chrome(t)
	calm, night := crowd(t), crowd(t)
	night.change(night.conditions)
	night.change(night.long)
	for _, s := range []struct {
		name   string
		stage  *stage
		width  int64
		height int64
		scheme string
		dark   bool
	}{
		{"calm light", calm, 1280, 900, "light", false},
		{"calm dark", calm, 1280, 900, "dark", true},
		{"night light", night, 1280, 900, "light", false},
		{"night dark", night, 1280, 900, "dark", true},
		{"calm 800 light", calm, 800, 900, "light", false},
		{"night 800 light", night, 800, 900, "light", false},
		{"night 800 dark", night, 800, 900, "dark", true},
		{"calm 1600 dark", calm, 1600, 1000, "dark", true},
		{"night 1600 light", night, 1600, 1000, "light", false},
		{"night phone light", night, 390, 800, "light", false},
		{"night phone dark", night, 360, 700, "dark", true},
	} {
		t.Run(s.name, func(t *testing.T) {
			b := open(browser, t, s.stage.url(1), size(s.width, s.height), prefer("prefers-color-scheme", s.scheme))
			b.live()
			if got := eval[int64](b, `document.documentElement.scrollWidth`); got > s.width {
				t.Errorf("the page is %d wide on a screen of %d", got, s.width)
			}
			if got := eval[[]string](b, cut); len(got) > 0 {
				t.Errorf("cut off on a screen of %d: %q", s.width, got)
			}
			if got := eval[bool](b, `getComputedStyle(document.querySelector("main > section")).backgroundColor.match(/\d+/g).every((v) => v < 64)`); got != s.dark {
				t.Errorf("dark: %v, want %v", got, s.dark)
			}
			if got := eval[float64](b, contrasts); got < 4.5 {
				t.Errorf("a text has a contrast of %.2f, want at least 4.5", got)
			}
			if got := eval[int](b, `[...document.querySelectorAll("svg.drawing")].filter((e) => e.getClientRects().length).length`); got != 1 {
				t.Errorf("%d drawings are seen, want 1", got)
			}
			b.shoot(s.name)
		})
	}
}

// A person filters, chooses, asks why, and goes back.
func TestFilterAndExplain(t *testing.T) {
	s := crowd(t)
	s.change(s.conditions)
	b := open(chrome(t), t, s.url(1))
	b.live()
	all := b.rows()

	b.do(chromedp.SendKeys(chromedp.CSS("#q"), "mail"))
	b.until(`document.querySelectorAll("#addresses tbody tr").length === 2`)
	if got := eval[string](b, `location.search + document.activeElement.id + document.activeElement.value`); got != "?q=mailqmail" {
		t.Errorf("after typing: %q", got)
	}
	b.do(chromedp.Reload())
	if got := b.rows(); !cmp.Equal(got, []string{"198.18.64.3", "198.18.64.4"}) {
		t.Errorf("after loading again: %q", got)
	}
	b.live()

	b.empty()
	b.until(`document.querySelectorAll("#addresses tbody tr").length === 9`)
	b.do(chromedp.Click(chromedp.CSS(".tabs a:nth-child(2)")))
	b.until(`document.querySelectorAll("#addresses tbody tr").length === 3`)
	if got := b.rows(); !cmp.Equal(got, []string{"198.18.64.1", "198.18.64.3", "198.18.64.7"}) {
		t.Errorf("to look at: %q", got)
	}
	b.do(chromedp.Click(chromedp.CSS("thead th:nth-child(5) a")))
	b.until(`document.querySelector("#addresses tbody th").textContent === "198.18.64.7"`)

	b.do(chromedp.Click(chromedp.CSS("#addresses tbody tr:nth-child(2) th a")))
	b.until(`document.getElementById("who") === document.activeElement`)
	ranks := eval[[]string](b, `[...document.querySelectorAll("#who tbody th")].map((e) => e.textContent)`)
	if slices.Sort(ranks); !cmp.Equal(ranks, []string{"n1", "n2", "n3"}) {
		t.Errorf("ranking of %q", ranks)
	}
	b.shoot("explained")
	b.do(chromedp.NavigateBack())
	b.until(`!document.getElementById("who")`)
	b.do(chromedp.NavigateBack(), chromedp.NavigateBack())
	b.until(`document.querySelectorAll("#addresses tbody tr").length === 9`)
	if got := b.rows(); !cmp.Equal(got, all) {
		t.Errorf("back at %q, want %q", got, all)
	}
}

// All can be done without a mouse.
func TestKeyboard(t *testing.T) {
	b := open(chrome(t), t, crowd(t).url(1))
	b.live()
	b.do(chromedp.KeyEvent("\t"))
	if got := b.text(":focus"); got != "Skip to the addresses" {
		t.Errorf("the first stop is %q", got)
	}
	if seen := eval[bool](b, `document.activeElement.getBoundingClientRect().left >= 0`); !seen {
		t.Error("the way past the top is not seen when it has the focus")
	}
	b.do(chromedp.KeyEvent("\r"))
	b.until(`document.activeElement.id === "addresses"`)
	for range 4 { // three choices and the table, which can be scrolled
		b.do(chromedp.KeyEvent("\t"))
	}
	b.until(`document.activeElement.matches("[role=region]")`)
	b.do(chromedp.KeyEvent("\t"), chromedp.KeyEvent("\t"), chromedp.KeyEvent("\r"))
	b.until(`document.querySelector("th[aria-sort] a").textContent === "Service"`)
}

// Everything but the movement is there without JavaScript.
func TestWithoutScript(t *testing.T) {
	s := newStage(t, 2)
	for i := range 120 {
		s.add(fmt.Sprintf("a/s%d", i))
	}
	b := open(chrome(t), t, s.url(1), withoutScript())
	count := func(want int) {
		t.Helper()
		if got := len(b.rows()); got != want {
			t.Errorf("%d rows, want %d", got, want)
		}
	}
	count(50)
	b.do(chromedp.Click(chromedp.CSS(".pager a[rel=next]")))
	b.do(chromedp.WaitVisible(chromedp.CSS(".pager a[rel=prev]")), chromedp.Click(chromedp.CSS(".pager a[rel=next]")))
	b.do(chromedp.WaitNotPresent(chromedp.CSS(".pager a[rel=next]")))
	count(20)
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), "a/s5\n"))
	b.do(chromedp.WaitVisible(chromedp.CSS("#row-198\\.18\\.64\\.6")))
	count(11)
	b.do(chromedp.Click(chromedp.CSS("#row-198\\.18\\.64\\.6 th a")), chromedp.WaitVisible(chromedp.CSS("#who")))
	count(11)
}

// Commands can be copied, also where the browser has no clipboard for pages without TLS.
func TestCopy(t *testing.T) {
	s := crowd(t)
	s.change(s.conditions)
	b := open(chrome(t), t, s.url(1))
	b.live()
	want := eval[string](b, `document.querySelector("#head .copy").dataset.copy`)
	if want != eval[string](b, `document.querySelector("#head .copy").previousElementSibling.innerText`) || want == "" {
		t.Errorf("what is copied, %q, is not what is shown", want)
	}
	eval[bool](b, `Object.defineProperty(navigator, "clipboard", { value: undefined }), document.addEventListener("copy", () => { window.copied = getSelection().toString(); }), true`)
	b.do(chromedp.Click(chromedp.CSS("#head .copy")))
	b.until(`document.querySelector("#head .copy.copied") && window.copied`)
	if got := eval[string](b, `window.copied`); got != want {
		t.Errorf("copied %q, want %q", got, want)
	}
}
