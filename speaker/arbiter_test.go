package speaker

import (
	"net/netip"
	"testing"

	"github.com/starling-lb/starling/arpd"
)

func TestArbitrate(t *testing.T) {
	ip := netip.MustParseAddr("198.18.64.1")
	rank := ranked(ip)
	mac := func(node string) string { return "02:00:00:00:00:0" + node[1:] }
	higher, self, lower := rank[0], rank[1], rank[2]
	to := func(node string, sure bool) yielding { return yielding{to: node, mac: mac(node), sure: sure} }
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
		{"left, silent", self, false, to(higher, true), mac(higher), "silent", yielding{}},
		{"left, silent, never heard again", self, false, to(higher, true), "", "silent", yielding{}},
		{"left, a lower one is heard", self, false, to(higher, true), mac(lower), "yes", to(higher, true)},
		{"left, a stranger is heard", self, false, to(higher, true), stranger, "yes", to(higher, true)},
		{"left, another higher one is heard", lower, false, to(self, true), mac(higher), "yes", to(higher, true)},
		{"left, silent, another higher one is heard", lower, false, to(self, true), mac(higher), "silent", to(higher, false)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{names: map[string]string{}, wire: arpd.State{Heard: map[netip.Addr]string{}, Answers: map[arpd.Question]arpd.Answer{}}}
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
