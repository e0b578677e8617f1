package speaker

import (
	"testing"
	"time"
)

// TestFlappingLink: a node whose only link comes and goes lets others go first for longer with each return, whether its
// kernel sees the loss or it is behind the switch.
func TestFlappingLink(t *testing.T) {
	for _, tt := range []struct {
		name       string
		lose, mend func(m *model, top string)
	}{
		{
			"carrier",
			func(m *model, top string) { m.set(top, func(b *node) { b.nics = []string{}; poke(b.wired) }) },
			func(m *model, top string) { m.set(top, func(b *node) { b.nics = nil; poke(b.wired) }) },
		},
		{
			"behind the switch",
			func(m *model, top string) {
				between([]string{top}, m.others(top), m.block)
				m.set(top, func(b *node) { b.up = false })
			},
			func(m *model, top string) {
				m.set(top, func(b *node) { b.up = true })
				between([]string{top}, m.others(top), m.unblock)
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lab(t, func(m *model) {
				m.create("web", nil, "n1", "n2", "n3")
				ip := m.bound("web")
				top, _, _ := m.rank(ip)
				m.pass(6 * time.Minute) // its start is forgotten
				for i := range 4 {
					held := 3 * time.Second << i
					tt.lose(m, top)
					m.pass(2 * time.Second)
					gap, double := m.during(ip, func() {
						tt.mend(m, top)
						m.pass(held - 500*time.Millisecond)
						if got := m.one(ip); got == top {
							t.Errorf("return %d: %s answers within %s", i+1, top, held)
						}
						m.pass(2 * time.Second)
					})
					if got := m.one(ip); got != top || gap > 0 || double > 300*time.Millisecond {
						t.Errorf("return %d: no answer for %s, two for %s, %s answers in the end, want %s", i+1, gap, double, got, top)
					}
				}
			}, tenAddresses)
		})
	}
}
