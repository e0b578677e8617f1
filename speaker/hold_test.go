package speaker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/watcher"
)

// TestFlappingLink: a node whose only link comes and goes lets others go first for longer with each
// return, whether its kernel sees the loss or it is behind the switch.
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

// TestCordonedNodeTakesNothingBack: a node that is cordoned while its speaker starts again lets
// others go first until it is uncordoned, and one that has its addresses keeps them.
func TestCordonedNodeTakesNothingBack(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		top, second, _ := m.rank(ip)
		m.pass(time.Minute)
		cordon := func(is bool) { m.setNode(top, func(n *watcher.Node) { n.Cordoned = is }) }
		gap, double := m.during(ip, func() {
			cordon(true)
			m.pass(time.Minute)
			if got := m.one(ip); got != top {
				t.Errorf("%s answers, and a cordon alone moves nothing", got)
			}
			m.leaves(top)
			m.begin(top)
			m.pass(10 * time.Minute)
			if got := m.one(ip); got != second {
				t.Errorf("%s answers while %s is cordoned, want %s", got, top, second)
			}
			if got, want := m.member(second, top).Hold, "others go first until it is uncordoned"; got != want {
				t.Errorf("status says %q, want %q", got, want)
			}
			cordon(false)
			m.pass(5 * time.Second)
		})
		if got := m.one(ip); got != top || gap > 0 || double > 10*time.Millisecond { // of two moves
			t.Errorf("%s answers in the end, want %s; nobody for %s, two for %s", got, top, gap, double)
		}
	}, tenAddresses)
}

// TestHoldNever: a node that came back after its death takes no address that another may have,
// whatever other speakers and its own do, until somebody asks for it or it is the only one.
func TestHoldNever(t *testing.T) {
	stories := -1
	never := func(t *testing.T, story func(m *model, ip, top, second, third string)) {
		t.Helper()
		stories++
		variant(t, stories)
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, tenAddresses)
			m.rules.grace, m.rules.peers.Hold = time.Minute, peers.Never
			defer m.end()
			for _, n := range []string{"n1", "n2", "n3"} {
				m.start(n)
			}
			m.create("web", nil, "n1", "n2", "n3")
			ip := m.bound("web")
			top, second, third := m.rank(ip)
			m.pass(time.Minute)
			m.flaps(top)
			m.pass(10 * time.Minute)
			if got := m.one(ip); got != second {
				t.Errorf("%s answers after the return of %s, want %s", got, top, second)
			}
			story(m, ip, top, second, third)
		})
	}
	stays := func(m *model, ip, want string, f func()) {
		m.t.Helper()
		if x := m.meter(ip, f); x.longest > 0 || x.double > 0 || x.others(want) {
			m.t.Errorf("%v answer, want %s; nobody for %s, two for %s", x.seen, want, x.longest, x.double)
		}
	}
	t.Run("a cluster boots", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, tenAddresses)
			m.rules.peers.Hold = peers.Never
			defer m.end()
			for i, n := range []string{"n1", "n2", "n3", "n4"} {
				m.start(n)
				m.pass(time.Duration(i) * 5 * time.Second)
			}
			m.pass(time.Minute)
			for i := range 8 {
				m.create(fmt.Sprint("web", i), nil, "n1", "n2", "n3", "n4")
				m.bound(fmt.Sprint("web", i))
			}
			m.start("n9")
			m.pass(time.Minute)
			for _, n := range []string{"n1", "n2", "n3", "n4", "n9"} {
				if got := m.member("n1", n); (got.Announces > 0) == (n == "n9") || got.Returning != (n == "n9") {
					t.Errorf("%s has %d addresses, returning %v", n, got.Announces, got.Returning)
				}
			}
		})
	})
	t.Run("it is asked to return", func(t *testing.T) {
		never(t, func(m *model, ip, top, second, _ string) {
			held := m.member(second, top)
			if held.Hold != "others go first until it is the only node that can, or until `starling return "+top+"`" || !held.HeldUntil.IsZero() || !held.Returning {
				t.Errorf("status says %+v", held)
			}
			gap, double := m.during(ip, func() { m.release(top); m.pass(time.Second) })
			if got := m.one(ip); got != top || gap > 0 || double > 5*time.Millisecond {
				t.Errorf("%s answers in the end, want %s; nobody for %s, two for %s", got, top, gap, double)
			}
			if held := m.member(second, top); held.Hold != "" || held.Returning {
				t.Errorf("status says %+v", held)
			}
			m.flaps(top)
			m.pass(time.Minute)
			if got := m.one(ip); got != second {
				t.Errorf("%s answers after its next return: it was asked before that", got)
			}
		})
	})
	t.Run("the others restart one after the other, and it does", func(t *testing.T) {
		never(t, func(m *model, ip, top, second, third string) {
			stays(m, ip, second, func() {
				for _, n := range []string{third, second, top, top, second} {
					m.leaves(n)
					m.pass(3 * time.Second)
					m.begin(n)
					m.pass(10 * time.Second)
				}
			})
		})
	})
	t.Run("its link is lost soon after all have restarted", func(t *testing.T) {
		never(t, func(m *model, ip, top, second, third string) {
			m.release(top)
			m.pass(time.Minute)
			for _, n := range []string{top, second, third} {
				m.leaves(n)
				m.pass(2 * time.Second)
				m.begin(n)
				m.pass(3 * time.Second)
			}
			between([]string{top}, m.others(top), m.block)
			m.set(top, func(b *node) { b.up = false })
			m.pass(10 * time.Second)
			gap, double := m.during(ip, func() { // who was cut off answered all the time, and has to hear the others first
				m.set(top, func(b *node) { b.up = true })
				between([]string{top}, m.others(top), m.unblock)
				m.pass(time.Minute)
			})
			if got := m.one(ip); got != second || gap > 0 || double > 300*time.Millisecond {
				t.Errorf("%s answers in the end, want %s; nobody for %s, two for %s", got, second, gap, double)
			}
		})
	})
	t.Run("all restart at once, and it is the first one back", func(t *testing.T) {
		never(t, func(m *model, ip, top, second, third string) {
			m.restarts([]string{top, third, second}, pauses)
			stays(m, ip, second, func() { m.pass(2 * time.Minute) })
		})
	})
	t.Run("all restart at once, and it is not", func(t *testing.T) {
		never(t, func(m *model, ip, top, second, third string) {
			x := m.meter(ip, func() { m.restarts([]string{third, top, second}, pauses); m.pass(2 * time.Minute) })
			if x.double > 0 || x.others(second) {
				t.Errorf("%v answer, want %s; two for %s", x.seen, second, x.double)
			}
		})
	})
	t.Run("it is asked while its speaker is away", func(t *testing.T) {
		never(t, func(m *model, ip, top, _, _ string) {
			m.leaves(top)
			m.release(top)
			m.pass(2 * time.Second)
			m.begin(top)
			m.pass(5 * time.Second)
			if got := m.one(ip); got != top {
				t.Errorf("%s answers in the end, want %s", got, top)
			}
		})
	})
	t.Run("it is the only one", func(t *testing.T) {
		never(t, func(m *model, ip, top, second, third string) {
			for _, n := range []string{second, third} {
				m.set(n, func(b *node) { b.up = false })
				m.dies(n, 500*time.Millisecond)
				m.pass(5 * time.Second)
			}
			if got := m.one(ip); got != top {
				t.Errorf("%s answers in the end, want %s", got, top)
			}
		})
	})
}

// flaps takes a node away for ten seconds, by its link.
func (m *model) flaps(name string) {
	between([]string{name}, m.others(name), m.block)
	m.set(name, func(b *node) { b.up = false })
	m.pass(10 * time.Second)
	m.set(name, func(b *node) { b.up = true })
	between([]string{name}, m.others(name), m.unblock)
}

// release asks a node to return, as the command does.
func (m *model) release(name string) {
	m.setNode(name, func(n *watcher.Node) { n.Return = time.Now().Format(time.RFC3339Nano) })
	m.pass(10 * time.Millisecond)
}
