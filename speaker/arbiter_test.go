package speaker

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/mesh"
)

func TestArbitrate(t *testing.T) {
	ip := netip.MustParseAddr("198.18.64.1")
	rank := ranked(ip)
	mac := func(node string) string { return "02:00:00:00:00:0" + node[1:] }
	higher, self, lower := rank[0], rank[1], rank[2]
	at := func(node string) station { return station{node, mac(node)} }
	to := func(node string, sure bool) yielding { return yielding{to: at(node), sure: sure} }
	lost := func(ago time.Duration) yielding { return yielding{to: at(higher), lost: epoch.Add(-ago)} }
	and := func(y yielding, also string) yielding { y.also = at(also); return y }
	second := func(y yielding) yielding { return and(y, self) } // as the lowest sees it: beside the higher one
	const stranger = "02:00:00:00:00:99"
	for _, tt := range []struct {
		name   string
		self   string
		mine   bool
		before yielding
		heard  string
		answer string // of the one it is left to, and of the other that is asked: "", "yes", "silent"
		want   yielding
	}{
		{"nothing heard", self, true, yielding{}, "", "", yielding{}},
		{"a lower one", self, true, yielding{}, mac(lower), "", yielding{}},
		{"a stranger", self, true, yielding{}, stranger, "", yielding{}},
		{"itself", self, true, yielding{}, mac(self), "", yielding{}},
		{"a higher one is asked", self, true, yielding{}, mac(higher), "", to(higher, false)},
		{"a higher one, heard before this node gained it", self, false, yielding{}, mac(higher), "", yielding{}},
		{"the lowest one asks the one in the middle", lower, true, yielding{}, mac(self), "", to(self, false)},
		{"asked, no answer yet", self, true, to(higher, false), mac(higher), "", to(higher, false)},
		{"asked, answered", self, true, to(higher, false), mac(higher), "yes", to(higher, true)},
		{"asked, silent", self, true, to(higher, false), mac(higher), "silent", yielding{}},
		{"asked, not heard for a while", self, true, to(higher, false), "", "", to(higher, false)},
		{"left, answers", self, false, to(higher, true), mac(higher), "yes", to(higher, true)},
		{"left, misses one question", self, false, to(higher, true), mac(higher), "", to(higher, true)},
		{"left, silent", self, false, to(higher, true), mac(higher), "silent", lost(0)},
		{"left, silent, not heard for a while", self, false, to(higher, true), "", "silent", lost(0)},
		{"left, silent still", self, true, lost(lostMost - 1), "", "silent", lost(lostMost - 1)},
		{"left, silent for long", self, true, lost(lostMost), "", "silent", yielding{}},
		{"left, silent, answers again", self, true, lost(time.Second), mac(higher), "yes", to(higher, true)},
		{"left, silent, and another node owns it meanwhile", self, false, lost(time.Second), "", "silent", yielding{}},
		{"left, a lower one is heard", self, false, to(higher, true), mac(lower), "yes", to(higher, true)},
		{"left, a stranger is heard", self, false, to(higher, true), stranger, "yes", to(higher, true)},
		{"left, another higher one is heard", lower, false, to(self, true), mac(higher), "yes", and(to(self, true), higher)},
		{"left, silent, another higher one is heard", lower, false, to(self, true), mac(higher), "silent", yielding{to: at(self), also: at(higher), lost: epoch}},
		{"left, two are asked, the other is heard, the first answers", lower, false, second(to(higher, true)), mac(self), "yes silent", second(to(higher, true))},
		{"left, two are asked, the other is heard and answers alone", lower, false, second(to(higher, true)), mac(self), "silent yes", to(self, true)},
		{"left, two are asked, the other is not heard any more", lower, false, second(to(higher, true)), "", "yes", to(higher, true)},
		{"left, two are asked, both are silent", lower, false, second(to(higher, true)), mac(self), "silent silent", second(lost(0))},
		{"lost, the other is heard, the first answers", lower, true, second(lost(time.Second)), mac(self), "yes silent", second(to(higher, true))},
		{"lost, the other is heard and answers", lower, true, second(lost(time.Second)), mac(self), "silent yes", to(self, true)},
		{"lost, the other is heard, both are silent", lower, true, second(lost(time.Second)), mac(self), "silent silent", second(lost(time.Second))},
		{"lost, the other is heard and has not answered yet", lower, true, lost(time.Second), mac(self), "silent", second(lost(time.Second))},
		{"lost for long, the other is asked by itself", lower, true, second(lost(lostMost)), "", "silent silent", to(self, false)},
		{"asked, silent, the other has not answered yet", lower, true, second(to(higher, false)), mac(self), "silent", to(self, false)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := wireWorld()
			for _, n := range rank {
				w.names[mac(n)] = n
			}
			if tt.heard != "" {
				w.wire.Heard[ip] = tt.heard
			}
			questions := tt.before.questions(ip)
			for i, word := range strings.Fields(tt.answer) {
				a := arpd.Answer{Asked: epoch, Silent: word == "silent"}
				if word == "yes" {
					a.Last = epoch
				}
				w.wire.Answers[questions[i]] = a
			}
			if got := arbitrate(w, tt.self, ip, tt.mine, tt.before); got != tt.want {
				t.Errorf("left to %+v, want %+v", got, tt.want)
			}
		})
	}
}

// wireWorld is one in which nothing was heard or asked yet.
func wireWorld() *world {
	return &world{now: epoch, names: map[string]string{}, wire: arpd.State{Heard: map[netip.Addr]string{}, Answers: map[arpd.Question]arpd.Answer{}}}
}

// TestKeeps: who died does not hold on to an address, however long ago it was asked, unless it answers after that.
func TestKeeps(t *testing.T) {
	ip, s := netip.MustParseAddr("198.18.64.1"), station{"n2", "02:00:00:00:00:02"}
	const ago = time.Second // when the member changed its state
	for _, tt := range []struct {
		name        string
		state       mesh.State
		asked, last time.Duration // ago; zero: never
		silent      bool
		want        testimony
	}{
		{"alive, not asked", mesh.Alive, 0, 0, false, unheard},
		{"alive, not answered yet", mesh.Alive, ago, 0, false, unheard},
		{"alive, answers", mesh.Alive, 2 * ago, 2 * ago, false, present},
		{"alive, silent", mesh.Alive, 2 * ago, 2 * ago, true, silent},
		{"on the wire, answers", onWire, 2 * ago, 2 * ago, false, present},
		{"dead, answered before", mesh.Dead, 3 * ago, 2 * ago, false, silent},
		{"left, answered before", mesh.Left, 3 * ago, 2 * ago, false, silent},
		{"dead, asked before", mesh.Dead, 2 * ago, 0, false, silent},
		{"dead, answered after", mesh.Dead, 2 * ago, ago / 2, false, present},
		{"dead, asked after", mesh.Dead, ago / 2, 0, false, unheard},
		{"dead, not asked", mesh.Dead, 0, 0, false, unheard},
		{"never met, answers", "", 2 * ago, 2 * ago, false, present},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := wireWorld()
			w.members = []mesh.Member{{Name: "n1", State: mesh.Alive}, {Name: "n3", State: mesh.Dead, Since: epoch}}
			if tt.state != "" {
				w.members = slices.Insert(w.members, 1, mesh.Member{Name: s.name, State: tt.state, Since: epoch.Add(-ago)})
			}
			if tt.asked > 0 {
				a := arpd.Answer{Asked: epoch.Add(-tt.asked), Silent: tt.silent}
				if tt.last > 0 {
					a.Last = epoch.Add(-tt.last)
				}
				w.wire.Answers[s.question(ip)] = a
			}
			if got := w.keeps(s, ip); got != tt.want {
				t.Errorf("testimony %d, want %d", got, tt.want)
			}
		})
	}
}

// TestTwoHigherOnesAreHeard: one answers and the other only announces, as who is handing the address over does; it stays
// left to the one that answers, however long the other is heard.
func TestTwoHigherOnesAreHeard(t *testing.T) {
	ip := netip.MustParseAddr("198.18.64.1")
	rank := ranked(ip)
	holder, passer := station{rank[1], "02:00:00:00:00:0a"}, station{rank[0], "02:00:00:00:00:0b"}
	w := wireWorld()
	w.names[holder.mac], w.names[passer.mac] = holder.name, passer.name
	y := yielding{to: holder, sure: true}
	for turn := range 20 {
		w.wire.Heard[ip] = passer.mac
		answers := map[arpd.Question]arpd.Answer{}
		for _, q := range y.questions(ip) { // what is not asked any more is forgotten
			switch {
			case q.MAC == passer.mac:
				answers[q] = arpd.Answer{Asked: epoch, Silent: true}
			case turn%5 == 4: // frames are lost for a while
				answers[q] = arpd.Answer{Asked: epoch, Last: epoch, Silent: true}
			default:
				answers[q] = arpd.Answer{Asked: epoch, Last: epoch}
			}
		}
		w.wire.Answers = answers
		y = arbitrate(w, rank[2], ip, !y.sure, y)
		if want := turn%5 != 4; y.to != holder || y.sure != want {
			t.Errorf("turn %d: left to %+v, want %s, sure %v", turn, y, holder.name, want)
		}
	}
}
