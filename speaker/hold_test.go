package speaker

import (
	"fmt"
	"testing"
	"time"

	"github.com/starling-lb/starling/mesh"
)

func TestAlone(t *testing.T) {
	for _, tt := range []struct {
		name   string
		others []mesh.State
		was    bool
		want   bool
	}{
		{"the first of all", nil, false, false},
		{"among others", []mesh.State{mesh.Alive, mesh.Alive}, false, false},
		{"one of two is dead: it may be either", []mesh.State{mesh.Dead}, false, false},
		{"both others are", []mesh.State{mesh.Dead, mesh.Dead}, false, true},
		{"they left", []mesh.State{mesh.Left, mesh.Left, mesh.Left}, false, false},
		{"most are dead", []mesh.State{mesh.Dead, mesh.Dead, mesh.Alive}, false, false},
		{"the wire reaches one", []mesh.State{mesh.Dead, mesh.Dead, onWire}, false, false},
		{"the dead are forgotten", nil, true, true},
		{"somebody is heard again", []mesh.State{mesh.Dead, mesh.Dead, mesh.Alive}, true, false},
		{"on the wire", []mesh.State{onWire, mesh.Dead}, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			members := []mesh.Member{{Name: "n1", State: mesh.Alive}}
			for i, state := range tt.others {
				members = append(members, mesh.Member{Name: fmt.Sprint("n", i+2), State: state})
			}
			if got := alone(members, "n1", tt.was); got != tt.want {
				t.Errorf("alone: %v", got)
			}
		})
	}
}

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
				m.pass(holdMemory + time.Minute) // its start is forgotten
				for i := range 4 {
					held := holdFirst << i
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
