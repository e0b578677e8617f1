package speaker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

// partition is a way to block gossip among three nodes of which top owns an
// address, second is next in line and third is last.
type partition struct {
	name string
	do   func(cut func(listener, talker string), top, second, third string)
}

func partitions() []partition {
	both := func(cut func(a, b string), a []string, b ...string) { between(a, b, cut) }
	return []partition{
		{"everybody from everybody", func(cut func(a, b string), t, s, d string) { both(cut, []string{t, s, d}, t, s, d) }},
		{"the owner from the others", func(cut func(a, b string), t, s, d string) { both(cut, []string{t}, s, d) }},
		{"the next in line from the others", func(cut func(a, b string), t, s, d string) { both(cut, []string{s}, t, d) }},
		{"the last from the others", func(cut func(a, b string), t, s, d string) { both(cut, []string{d}, s, t) }},
		{"owner and next", func(cut func(a, b string), t, s, _ string) { both(cut, []string{t}, s) }},
		{"owner and last", func(cut func(a, b string), t, _, d string) { both(cut, []string{t}, d) }},
		{"next and last", func(cut func(a, b string), _, s, d string) { both(cut, []string{s}, d) }},
		{"nobody hears the owner", func(cut func(a, b string), t, s, d string) { cut(s, t); cut(d, t) }},
		{"the owner hears nobody", func(cut func(a, b string), t, s, d string) { cut(t, s); cut(t, d) }},
		{"the next does not hear the owner", func(cut func(a, b string), t, s, _ string) { cut(s, t) }},
	}
}

// hearsNobody reports whether gossip of no other node reaches one of three.
func (p partition) hearsNobody(name, top, second, third string) bool {
	missed := map[string]bool{}
	p.do(func(listener, talker string) {
		if listener == name && talker != name {
			missed[talker] = true
		}
	}, top, second, third)
	return len(missed) == 2
}

// rank gives the nodes in the order of their rank for an address.
func (m *model) rank(ip string) (top, second, third string) {
	m.t.Helper()
	top = m.one(ip)
	m.pass(time.Second)
	second = m.speakers[top].speaker.Snapshot().VIPs[0].Next
	third = m.others(top)[0]
	if third == second {
		third = m.others(top)[1]
	}
	return top, second, third
}

// TestGossipBlocked: nothing moves, nobody is alone in the end, and status says
// what is the matter.
func TestGossipBlocked(t *testing.T) {
	for _, p := range partitions() {
		t.Run(p.name, func(t *testing.T) {
			lab(t, func(m *model) {
				m.create("web", nil, "n1", "n2", "n3")
				ip := m.bound("web")
				top, second, third := m.rank(ip)
				m.pass(10 * time.Second)
				gap, double := m.during(ip, func() {
					p.do(m.block, top, second, third)
					m.pass(20 * time.Second)
				})
				if gap > 0 || double > 0 || m.one(ip) != top {
					t.Errorf("blocked: no answer for %s, two for %s, %s answers, want %s", gap, double, m.one(ip), top)
				}
				p.do(func(listener, talker string) {
					want := fmt.Sprintf("gossip to %s on 7927 is blocked; %s is alive on the wire", talker, talker)
					snap := m.speakers[listener].speaker.Snapshot()
					if !snap.Ready || !slices.ContainsFunc(snap.Members, func(x api.Member) bool { return x.Name == talker && x.Verdict == want }) {
						t.Errorf("%s: ready %v, members %+v, want %q", listener, snap.Ready, snap.Members, want)
					}
					if p.hearsNobody(listener, top, second, third) {
						want = "most likely the port is blocked on " + listener + " itself"
					}
					if !slices.ContainsFunc(snap.Problems, func(words string) bool { return strings.HasSuffix(words, want) }) {
						t.Errorf("%s: problems %q, want %q", listener, snap.Problems, want)
					}
				}, top, second, third)
				gap, double = m.during(ip, func() {
					p.do(m.unblock, top, second, third)
					m.pass(20 * time.Second)
				})
				if gap > 0 || double > 0 || m.one(ip) != top {
					t.Errorf("healed: no answer for %s, two for %s, %s answers, want %s", gap, double, m.one(ip), top)
				}
				if m.strangers > 0 || len(m.told("AddressConflict")) > 0 {
					t.Errorf("%d members taken for strangers, events %q", m.strangers, m.told("AddressConflict"))
				}
			}, tenAddresses)
		})
	}
}

// TestOwnerDiesWhileGossipIsBlocked: the wire alone tells of the death.
func TestOwnerDiesWhileGossipIsBlocked(t *testing.T) {
	for _, p := range partitions() {
		t.Run(p.name, func(t *testing.T) {
			lab(t, func(m *model) {
				m.create("web", nil, "n1", "n2", "n3")
				ip := m.bound("web")
				top, second, third := m.rank(ip)
				p.do(m.block, top, second, third)
				m.pass(10 * time.Second)
				gap, double := m.during(ip, func() {
					m.dies(top, 500*time.Millisecond)
					m.pass(5 * time.Second)
				})
				if gap > 600*time.Millisecond || double > 300*time.Millisecond {
					t.Errorf("no answer for %s, two for %s", gap, double)
				}
				if got := m.one(ip); got != second {
					t.Errorf("%s answers, want %s", got, second)
				}
			}, tenAddresses)
		})
	}
}

// TestStartedWhileGossipIsBlocked: a speaker that meets nobody by gossip finds
// the others on the wire, lets them go first, and takes its place among them.
func TestStartedWhileGossipIsBlocked(t *testing.T) {
	for _, p := range partitions() {
		for _, who := range []int{0, 1, 2} {
			t.Run(fmt.Sprintf("%s, number %d", p.name, who+1), func(t *testing.T) {
				lab(t, func(m *model) {
					m.create("web", nil, "n1", "n2", "n3")
					ip := m.bound("web")
					top, second, third := m.rank(ip)
					name := []string{top, second, third}[who]
					p.do(m.block, top, second, third)
					m.pass(10 * time.Second)
					gap, double := m.during(ip, func() {
						m.leaves(name)
						m.pass(2 * time.Second)
						m.start(name)
						m.pass(20 * time.Second)
					})
					if gap > 0 || double > time.Second {
						t.Errorf("no answer for %s, two for %s", gap, double)
					}
					if got := m.one(ip); got != top {
						t.Errorf("%s answers in the end, want %s", got, top)
					}
					if m.strangers > 0 {
						t.Errorf("%d members taken for strangers", m.strangers)
					}
				}, tenAddresses)
			})
		}
	}
}

// TestAPIAwayWhileGossipIsBlocked: what members say on the wire keeps their
// views of each other's contact alike.
func TestAPIAwayWhileGossipIsBlocked(t *testing.T) {
	for _, alone := range []bool{false, true} {
		for i, p := range partitions() {
			t.Run(fmt.Sprintf("%s, only the owner without: %v", p.name, alone), func(t *testing.T) {
				variant(t, i)
				lab(t, func(m *model) {
					m.create("web", nil, "n1", "n2", "n3")
					ip := m.bound("web")
					top, second, third := m.rank(ip)
					p.do(m.block, top, second, third)
					m.pass(10 * time.Second)
					gap, double := m.during(ip, func() {
						for _, n := range []string{top, second, third} {
							if n == top || !alone {
								m.set(n, func(b *node) { b.silent = time.Now() })
							}
							m.pass(700 * time.Millisecond)
						}
						m.pass(3 * time.Minute)
						for _, n := range []string{top, second, third} {
							m.set(n, func(b *node) { b.silent = time.Time{} })
							m.pass(700 * time.Millisecond)
						}
						m.pass(2 * time.Minute)
					})
					if gap > 0 || double > time.Second {
						t.Errorf("no answer for %s, two for %s", gap, double)
					}
					if got := m.one(ip); got != top {
						t.Errorf("%s answers in the end, want %s", got, top)
					}
				}, tenAddresses)
			})
		}
	}
}

// TestViewsDiffer: two nodes elect themselves by what they know of endpoints;
// the wire has the last word, and when they agree again nothing is lost.
func TestViewsDiffer(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", func(s *watcher.Service) { s.Local = true }, "n1", "n2", "n3")
		ip := m.bound("web")
		top, second, _ := m.rank(ip)
		m.pass(10 * time.Second)
		gap, double := m.during(ip, func() {
			m.set(second, func(b *node) { b.endpoints = []string{second}; poke(b.kubed) })
			m.pass(20 * time.Second)
		})
		if gap > 0 || double > 500*time.Millisecond || m.one(ip) != top {
			t.Errorf("no answer for %s, two for %s, %s answers, want %s", gap, double, m.one(ip), top)
		}
		vip := m.speakers[second].speaker.Snapshot().VIPs[0]
		if vip.Owner != top || !strings.Contains(vip.Reason, "outranks "+second) {
			t.Errorf("%s says that %q owns it: %s", second, vip.Owner, vip.Reason)
		}
		gap, double = m.during(ip, func() {
			m.serve("web", second) // the others learn what the second knew
			m.pass(20 * time.Second)
		})
		if gap > 0 || double > 500*time.Millisecond || m.one(ip) != second {
			t.Errorf("agreed: no answer for %s, two for %s, %s answers, want %s", gap, double, m.one(ip), second)
		}
		if m.strangers > 0 {
			t.Errorf("%d members taken for strangers", m.strangers)
		}
	}, tenAddresses)
}

// TestCutOff: a node without gossip and wire answers nobody, and when its link
// is back there is one answer within a second, whether gossip is back or not.
func TestCutOff(t *testing.T) {
	for _, gossip := range []bool{true, false} {
		t.Run(fmt.Sprintf("gossip returns: %v", gossip), func(t *testing.T) {
			lab(t, func(m *model) {
				m.create("web", nil, "n1", "n2", "n3")
				ip := m.bound("web")
				top, _, _ := m.rank(ip)
				between([]string{top}, m.others(top), m.block)
				m.set(top, func(b *node) { b.up = false })
				m.pass(10 * time.Second)
				if got := m.one(ip); got == top {
					t.Fatalf("%s answers with its link cut", got)
				}
				_, double := m.during(ip, func() {
					m.set(top, func(b *node) { b.up = true })
					if gossip {
						m.pass(time.Second)
						between([]string{top}, m.others(top), m.unblock)
					}
					m.pass(20 * time.Second)
				})
				if got := m.one(ip); got != top || double > 1200*time.Millisecond {
					t.Errorf("two answers for %s, %s answers in the end", double, got)
				}
				if state := m.speakers[m.others(top)[0]].speaker.Snapshot().Members; gossip && slices.ContainsFunc(state, func(m api.Member) bool { return m.State != string(mesh.Alive) }) {
					t.Errorf("members %+v", state)
				}
			}, tenAddresses)
		})
	}
}

// deaths counts how often nodes declared others dead.
func (m *model) deaths() (n float64) {
	m.t.Helper()
	for name := range m.speakers {
		n += m.counted(name, "starling_member_deaths_total")
	}
	return n
}

// TestFrozen: a process that was stopped keeps what it has if it runs again soon
// after gossip gave it up. Else it answers nothing of what others have taken over,
// and lets them go on for a while if it was away for long.
func TestFrozen(t *testing.T) {
	for _, gossip := range []bool{true, false} {
		for _, tt := range []struct {
			length, gap, double time.Duration
			deaths              float64
			back                bool // it has the address soon after
		}{
			{300 * time.Millisecond, 300 * time.Millisecond, 0, 0, true},
			{700 * time.Millisecond, 700 * time.Millisecond, 0, 0, true},
			{850 * time.Millisecond, 850 * time.Millisecond, 300 * time.Millisecond, 2, true},
			{5 * time.Second, 910 * time.Millisecond, 0, 2, false},
		} {
			if !gossip { // A firewall closes the port, too.
				tt.gap, tt.double, tt.deaths = min(tt.gap, 400*time.Millisecond), min(tt.length, 300*time.Millisecond), 2
			}
			t.Run(fmt.Sprintf("%s, gossip %v", tt.length, gossip), func(t *testing.T) {
				lab(t, func(m *model) {
					m.create("web", nil, "n1", "n2", "n3")
					ip := m.bound("web")
					top, second, third := m.rank(ip)
					if !gossip {
						between([]string{top, second, third}, []string{top, second, third}, m.block)
					}
					m.pass(10 * time.Second)
					gap, double := m.during(ip, func() {
						m.freeze(top)
						m.pass(tt.length)
						m.thaw(top)
						m.pass(time.Second)
					})
					if gap > tt.gap || double > tt.double || m.deaths() != tt.deaths {
						t.Errorf("no answer for %s, two for %s, %v deaths", gap, double, m.deaths())
					}
					if got := m.one(ip); (got == top) != tt.back {
						t.Errorf("%s answers soon after, %s was stopped", got, top)
					}
					gap, double = m.during(ip, func() { m.pass(20 * time.Second) })
					if got := m.one(ip); got != top || gap > 0 || double > 50*time.Millisecond {
						t.Errorf("%s answers in the end, no answer for %s, two for %s", got, gap, double)
					}
				}, tenAddresses)
			})
		}
	}
}

// TestKilled: a process that has ended is taken over from as soon as gossip and
// the wire are sure, whether its port is known to be closed or a firewall is between.
func TestKilled(t *testing.T) {
	for _, gossip := range []bool{true, false} {
		lab(t, func(m *model) {
			m.create("web", nil, "n1", "n2", "n3")
			ip := m.bound("web")
			top, second, third := m.rank(ip)
			if !gossip {
				between([]string{top, second, third}, []string{top, second, third}, m.block)
			}
			m.pass(10 * time.Second)
			gap, double := m.during(ip, func() {
				m.kill(top)
				m.pass(5 * time.Second)
			})
			if gap > 600*time.Millisecond || double > 0 || m.one(ip) != second {
				t.Errorf("gossip %v: no answer for %s, two for %s, %s answers, want %s", gossip, gap, double, m.one(ip), second)
			}
			m.thaw(top) // For its end, which waits.
		}, tenAddresses)
	}
}

// TestAllFrozen: a machine with all nodes was paused. All of them take the others
// for steady, and nobody waits forever.
func TestAllFrozen(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		top, second, third := m.rank(ip)
		m.pass(10 * time.Second)
		for _, n := range []string{top, second, third} {
			m.freeze(n)
		}
		m.pass(5 * time.Second)
		gap, double := m.during(ip, func() {
			for _, n := range []string{second, third, top} {
				m.thaw(n)
			}
			m.pass(20 * time.Second)
		})
		if gap > time.Second || double > time.Second || m.one(ip) != top {
			t.Errorf("no answer for %s, two for %s, %s answers", gap, double, m.one(ip))
		}
	}, tenAddresses)
}

// TestNobodyTakesIt: the owner and its successor each take the other for the
// only one with an endpoint. The owner keeps what the successor does not take.
func TestNobodyTakesIt(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", func(s *watcher.Service) { s.Local = true }, "n1", "n2", "n3")
		ip := m.bound("web")
		top, second, _ := m.rank(ip)
		m.pass(10 * time.Second)
		gap, double := m.during(ip, func() {
			m.set(top, func(b *node) { b.endpoints = []string{second}; poke(b.kubed) })
			m.pass(20 * time.Second)
		})
		if gap > 0 || double > 0 || m.one(ip) != top {
			t.Errorf("no answer for %s, two for %s, %s answers, want %s", gap, double, m.one(ip), top)
		}
		gap, double = m.during(ip, func() {
			m.serve("web", second) // the others learn it too
			m.pass(20 * time.Second)
		})
		if gap > 0 || double > 100*time.Millisecond || m.one(ip) != second {
			t.Errorf("agreed: no answer for %s, two for %s, %s answers, want %s", gap, double, m.one(ip), second)
		}
	}, tenAddresses)
}
