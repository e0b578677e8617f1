package speaker

import (
	"net/netip"
	"testing"
	"time"

	"github.com/starling-lb/starling/arpd"
)

func TestArbitrate(t *testing.T) {
	ip := netip.MustParseAddr("198.18.64.1")
	rank := ranked(ip)
	mac := func(node string) string { return "02:00:00:00:00:0" + node[1:] }
	higher, self, lower := rank[0], rank[1], rank[2]
	to := func(node string, sure bool) yielding { return yielding{to: node, mac: mac(node), sure: sure} }
	lost := func(ago time.Duration) yielding { return yielding{to: higher, mac: mac(higher), lost: epoch.Add(-ago)} }
	const stranger = "02:00:00:00:00:99"
	for _, tt := range []struct {
		name   string
		self   string
		mine   bool
		before yielding
		heard  string
		answer string // of the one it is left to: "", "yes", "silent"
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
		{"left, another higher one is heard", lower, false, to(self, true), mac(higher), "yes", to(higher, true)},
		{"left, silent, another higher one is heard", lower, false, to(self, true), mac(higher), "silent", yielding{to: higher, mac: mac(higher), lost: epoch, before: station{self, mac(self)}}},
		{"the other higher one does not hold on to it", lower, true, yielding{to: higher, mac: mac(higher), lost: epoch, before: station{self, mac(self)}}, "", "silent", yielding{to: self, mac: mac(self), lost: epoch}},
		{"the other higher one holds on to it", lower, true, yielding{to: higher, mac: mac(higher), lost: epoch, before: station{self, mac(self)}}, "", "yes", to(higher, true)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{now: epoch, names: map[string]string{}, wire: arpd.State{Heard: map[netip.Addr]string{}, Answers: map[arpd.Question]arpd.Answer{}}}
			for _, n := range rank {
				w.names[mac(n)] = n
			}
			if tt.heard != "" {
				w.wire.Heard[ip] = tt.heard
			}
			a := arpd.Answer{Asked: epoch, Silent: tt.answer == "silent"}
			if tt.answer == "yes" {
				a.Last = epoch
			}
			w.wire.Answers[tt.before.question(ip)] = a
			if got := arbitrate(w, tt.self, ip, tt.mine, tt.before); got != tt.want {
				t.Errorf("left to %+v, want %+v", got, tt.want)
			}
		})
	}
}
