package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// moves notes in the page which marks travel.
const moves = `window.traveled = new Set();
	(() => {
		const animate = Element.prototype.animate;
		Element.prototype.animate = function (...args) {
			window.traveled.add(this.id);
			return animate.apply(this, args);
		};
	})(); true`

// A node dies, and whoever watches sees where its addresses go, why, and what to do, without losing
// what they were doing.
func TestFailoverIsSeen(t *testing.T) {
	s := crowd(t)
	b := open(chrome(t), t, s.url(1), size(1280, 900))
	b.live()
	eval[bool](b, moves)
	var lost []string
	s.change(func() {
		for _, v := range s.vips {
			if v.Owner == "n2" {
				lost = append(lost, v.IP)
			}
		}
	})
	if len(lost) == 0 || len(lost) == len(s.vips) {
		t.Fatalf("n2 has %d of %d addresses, which tests nothing", len(lost), len(s.vips))
	}
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), "198"))
	eval[bool](b, `window.row = document.getElementById("row-`+lost[0]+`"), true`)

	died := time.Now()
	s.change(func() { s.die("n2") })
	for _, ip := range lost {
		b.until(fmt.Sprintf(`document.getElementById("row-%s").innerText.includes("n2 was lost")`, ip))
	}
	t.Logf("the moves of %d addresses are seen after %v", len(lost), time.Since(died).Round(time.Millisecond))
	if took := time.Since(died); took > 2*time.Second {
		t.Errorf("they are seen only after %v", took)
	}
	for _, ip := range lost {
		if !eval[bool](b, `window.traveled.has("broad-`+ip+`") && window.traveled.has("slim-`+ip+`")`) {
			t.Errorf("%s did not travel in the drawings", ip)
		}
	}
	for selector, want := range map[string]string{"#head": "neither gossip nor the wire reaches n2", "#changes": "n2 → ", "#member-n2": "dead", "h1": "1 thing is wrong"} {
		if got := b.text(selector); !strings.Contains(got, want) {
			t.Errorf("%s says %q, want %q", selector, got, want)
		}
	}
	if got := eval[string](b, `document.title`); got != "✕ 1 thing is wrong – starling on n1" {
		t.Errorf("title %q", got)
	}
	if !eval[bool](b, `document.activeElement.id === "q" && document.activeElement.value === "198" && window.row === document.getElementById("row-`+lost[0]+`")`) {
		t.Error("the focus, what was typed, or the row itself is lost")
	}
	b.empty()
	eval[bool](b, `document.activeElement.blur(), true`)
	b.until(`document.getAnimations().length === 0`)
	b.shoot("failover")
}

// Who wants no motion gets none.
func TestReducedMotion(t *testing.T) {
	s := crowd(t)
	b := open(chrome(t), t, s.url(1), prefer("prefers-reduced-motion", "reduce"))
	b.live()
	eval[bool](b, moves)
	s.change(func() { s.die("n2") })
	b.until(`document.getElementById("member-n2").innerText.includes("dead")`)
	if got := eval[int](b, `window.traveled.size`); got != 0 {
		t.Errorf("%d marks traveled", got)
	}
}

// Two speakers disagree, which each of their pages shows, until they agree.
func TestDisagreementIsSeen(t *testing.T) {
	s := crowd(t)
	b := open(chrome(t), t, s.url(1))
	b.until(`document.querySelector("#head p").innerText.includes("both others see the same")`)
	s.change(func() { s.nodes[2].believes = map[string]string{"198.18.64.1": "n7"} })
	b.until(`document.getElementById("row-198.18.64.1").innerText.includes("n3 sees n7")`)
	if got := b.text("#head"); !strings.Contains(got, "n3 sees 1 address otherwise: 198.18.64.1 at n7, where this speaker sees ") {
		t.Errorf("the head says %q", got)
	}
	if got := b.text("#member-n3"); !strings.Contains(got, "differs in 1") {
		t.Errorf("the member says %q", got)
	}
	s.change(func() { s.nodes[2].believes = nil })
	b.until(`document.querySelector("h1").innerText === "All is well"`)
}

// When the speaker is gone the page says so, keeps what it showed, and goes on when the speaker is
// back.
func TestSpeakerGoes(t *testing.T) {
	s := crowd(t)
	b := open(chrome(t), t, s.url(1))
	b.live()
	rows := b.rows()
	s.nodes[0].stop()
	b.until(`document.getElementById("live").innerText.startsWith("not live since ")`)
	if got := b.rows(); len(got) != len(rows) {
		t.Errorf("%d rows are left of %d", len(got), len(rows))
	}
	s.serve(t, s.nodes[0])
	b.live()
	for _, c := range b.heard() { // of the time between
		if !strings.Contains(c, "ERR_CONNECTION_REFUSED") && !strings.Contains(c, "ERR_INCOMPLETE_CHUNKED_ENCODING") {
			t.Errorf("the browser complains: %s", c)
		}
	}
}

// Ten thousand addresses are as quick to use as ten.
func TestTenThousand(t *testing.T) {
	s := newStage(t, 5)
	for i := range 10000 {
		s.add(fmt.Sprintf("tenant-%d/web", i))
	}
	b := open(chrome(t), t, s.url(1), size(1280, 900))
	b.live()
	if got := eval[int](b, `document.querySelectorAll("*").length`); got > 3000 {
		t.Errorf("the page has %d elements", got)
	}
	began := time.Now()
	b.do(chromedp.SendKeys(chromedp.CSS("#q"), "tenant-7777/"))
	b.until(`document.querySelectorAll("#addresses tbody tr").length === 1`)
	t.Logf("filtered after %v", time.Since(began).Round(time.Millisecond))
	b.empty()
	b.until(`document.querySelectorAll("#addresses tbody tr").length === 50`)

	began = time.Now()
	s.change(func() { s.die("n2") })
	b.until(`document.getElementById("member-n2").innerText.includes("dead")`)
	t.Logf("a death is seen after %v", time.Since(began).Round(time.Millisecond))
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("a death is seen only after %v", took)
	}
	b.shoot("ten thousand")
}
