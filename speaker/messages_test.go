package speaker

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
)

// slowGossip is when gossip notices a death in these tests: too late to matter.
const slowGossip = 4 * time.Second

// rest are the names without some of them.
func rest(names []string, without ...string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(without, n) })
}

// clusters runs a test against clusters of several sizes with one address.
func clusters(t *testing.T, sizes []int, f func(m *model, names []string, ip, top string)) {
	for _, n := range sizes {
		t.Run(fmt.Sprintf("%d nodes", n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel(t, tenAddresses)
				defer m.end()
				for i := range n {
					m.start(fmt.Sprintf("n%d", i+1))
				}
				m.pass(time.Second)
				names := m.others("")
				m.create("web", nil, names...)
				ip := m.bound("web")
				m.pass(10 * time.Second)
				f(m, names, ip, m.one(ip))
			})
		})
	}
}

// state is what a node shows of a member.
func (m *model) state(of, name string) mesh.State {
	for _, member := range m.speakers[of].speaker.Snapshot().Members {
		if member.Name == name {
			return mesh.State(member.State)
		}
	}
	return ""
}

// counted is the value of a counter of a node.
func (m *model) counted(of, name string) float64 {
	m.t.Helper()
	v, known := values(m.t, m.speakers[of].registry)[name]
	if !known {
		m.t.Fatalf("there is no %s", name)
	}
	return v
}

// TestSilentDeathIsSeenOnTheWire: a dead host is replaced long before gossip
// knows, once, and stays replaced when gossip learns it.
func TestSilentDeathIsSeenOnTheWire(t *testing.T) {
	clusters(t, []int{2, 3, 5, 8}, func(m *model, names []string, ip, top string) {
		gap, double := m.during(ip, func() {
			m.dies(top, slowGossip)
			m.pass(20 * time.Second)
		})
		if gap > 290*time.Millisecond || double > 0 {
			m.t.Errorf("no answer for %s, two for %s", gap, double)
		}
		for _, n := range rest(names, top) {
			if got := m.counted(n, "starling_wire_deaths_total"); got != 1 {
				m.t.Errorf("%s declared %v members dead", n, got)
			}
			if got := m.state(n, top); got != mesh.Dead {
				m.t.Errorf("%s takes %s for %s", n, top, got)
			}
		}
	})
}

// TestHalfDiesTogether: those that watch may be among the dead.
func TestHalfDiesTogether(t *testing.T) {
	clusters(t, []int{6, 8}, func(m *model, names []string, ip, top string) {
		gap, double := m.during(ip, func() {
			for _, n := range append(rest(names, top)[:len(names)/2-1], top) {
				m.dies(n, 500*time.Millisecond)
			}
			m.pass(20 * time.Second)
		})
		if gap > 600*time.Millisecond || double > 0 {
			m.t.Errorf("no answer for %s, two for %s", gap, double)
		}
	})
}

// TestHalfOfTwentyDies: of the three nodes that watch a host two may be dead as well. The third
// hears of those that believe it.
func TestHalfOfTwentyDies(t *testing.T) {
	long(t)
	for _, grace := range []time.Duration{0, time.Minute} {
		t.Run(grace.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel(t, "default=198.18.64.0/24")
				m.rules.grace = grace
				defer m.end()
				for i := range 20 {
					m.start(fmt.Sprintf("n%d", i+10))
				}
				m.pass(time.Second)
				var ips []string
				for i := range 40 {
					name := fmt.Sprint("web", i)
					m.create(name, nil, m.others("")...)
					ips = append(ips, m.bound(name))
				}
				m.pass(10 * time.Second)
				for _, n := range m.others("")[:10] {
					m.dies(n, slowGossip)
				}
				m.until("one answer for each address", 400*time.Millisecond, func() bool {
					return !slices.ContainsFunc(ips, func(ip string) bool { return len(m.owners(ip)) != 1 })
				})
			})
		})
	}
}

// TestMessagesAreLost: each is sent several times.
func TestMessagesAreLost(t *testing.T) {
	clusters(t, []int{3, 5}, func(m *model, _ []string, ip, top string) {
		begin := time.Now()
		m.lossy = func() bool { return time.Since(begin) < 400*time.Millisecond } // the first three or four
		gap, double := m.during(ip, func() {
			m.dies(top, slowGossip)
			m.pass(20 * time.Second)
		})
		if gap > 700*time.Millisecond || double > 0 {
			m.t.Errorf("no answer for %s, two for %s", gap, double)
		}
	})
}

// TestWireAloneIsBlocked: frames between some nodes are lost, gossip is well. The
// accused objects and nothing moves.
func TestWireAloneIsBlocked(t *testing.T) {
	for name, cut := range map[string]func(top string, others []string) []link{
		"owner and another, both ways": func(top string, o []string) []link { return []link{{top, o[0]}, {o[0], top}} },
		"the owner hears nobody": func(top string, o []string) (r []link) {
			for _, n := range o {
				r = append(r, link{top, n})
			}
			return r
		},
		"nobody hears the owner": func(top string, o []string) (r []link) {
			for _, n := range o {
				r = append(r, link{n, top})
			}
			return r
		},
		"one hears nobody": func(top string, o []string) (r []link) {
			for _, n := range append(o[1:], top) {
				r = append(r, link{o[0], n})
			}
			return r
		},
	} {
		t.Run(name, func(t *testing.T) {
			clusters(t, []int{3, 5}, func(m *model, names []string, ip, top string) {
				gap, double := m.during(ip, func() {
					m.mu.Lock()
					for _, l := range cut(top, rest(names, top)) {
						m.split[l] = true
					}
					m.mu.Unlock()
					m.pass(20 * time.Second)
				})
				if gap > 0 || double > 0 || m.one(ip) != top {
					m.t.Errorf("no answer for %s, two for %s, %s answers, want %s", gap, double, m.one(ip), top)
				}
			})
		})
	}
}

// TestMachinePaused: a short pause is not noticed. After a longer one, which was
// taken for a death, there is one answer soon, and it is the same again as before.
func TestMachinePaused(t *testing.T) {
	for _, tt := range []struct {
		length, gap, double time.Duration
	}{
		{120 * time.Millisecond, 120 * time.Millisecond, 0},
		{230 * time.Millisecond, 231 * time.Millisecond, 100 * time.Millisecond},
		{350 * time.Millisecond, 290 * time.Millisecond, 400 * time.Millisecond},
		{450 * time.Millisecond, 290 * time.Millisecond, 400 * time.Millisecond},
		{900 * time.Millisecond, 290 * time.Millisecond, 400 * time.Millisecond},
		{3 * time.Second, 290 * time.Millisecond, 5 * time.Millisecond},
	} {
		t.Run(tt.length.String(), func(t *testing.T) {
			clusters(t, []int{2, 3, 5}, func(m *model, _ []string, ip, top string) {
				gap, double := m.during(ip, func() {
					m.pause(top)
					m.pass(tt.length)
					m.thaw(top)
					m.pass(10 * time.Second)
				})
				if gap > tt.gap || double > tt.double {
					m.t.Errorf("no answer for %s, two for %s", gap, double)
				}
				gap, double = m.during(ip, func() { m.pass(10 * time.Second) })
				if got := m.one(ip); got != top || gap > 0 || double > 0 {
					m.t.Errorf("%s answers in the end, want %s; no answer for %s, two for %s", got, top, gap, double)
				}
			})
		})
	}
}

// TestStoppedProcessIsNoSuspect: its kernel answers.
func TestStoppedProcessIsNoSuspect(t *testing.T) {
	clusters(t, []int{2, 3, 5}, func(m *model, names []string, ip, top string) {
		defer func() {
			for _, n := range names {
				if got := m.counted(n, "starling_wire_alarms_total"); got != 0 {
					m.t.Errorf("%s raised %v alarms", n, got)
				}
			}
		}()
		for range 10 {
			gap, double := m.during(ip, func() {
				m.freeze(top)
				m.pass(300 * time.Millisecond)
				m.thaw(top)
				m.pass(time.Second)
			})
			if gap > 300*time.Millisecond || double > 0 || m.one(ip) != top {
				m.t.Fatalf("no answer for %s, two for %s, %s answers, want %s", gap, double, m.one(ip), top)
			}
		}
	})
}

// TestSuspectAnnouncesAgain: neighbors may have learned another owner.
func TestSuspectAnnouncesAgain(t *testing.T) {
	clusters(t, []int{3}, func(m *model, names []string, ip, top string) {
		heals := func() int {
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.speakers[top].card.peers.Heals
		}
		before := heals()
		accuser := (*modelMesh)(m.speakers[rest(names, top)[0]])
		for range 3 {
			accuser.Send([]peers.Message{{About: top, By: accuser.name}})
			m.pass(100 * time.Millisecond)
		}
		if got := heals() - before; got != 1 {
			m.t.Errorf("announced everything anew %d times", got)
		}
		m.pass(2 * time.Second)
		accuser.Send([]peers.Message{{About: top, By: accuser.name}})
		m.pass(100 * time.Millisecond)
		accuser.Send([]peers.Message{{About: top, By: accuser.name}})
		m.pass(100 * time.Millisecond)
		if got := heals() - before; got != 2 {
			m.t.Errorf("announced everything anew %d times", got)
		}
		if got := m.one(ip); got != top {
			m.t.Errorf("%s answers, want %s", got, top)
		}
	})
}

// TestGossipHasTheLastWord: who is silent on the wire and alive by gossip for
// long, and cannot object, is an owner again.
func TestGossipHasTheLastWord(t *testing.T) {
	clusters(t, []int{2, 3}, func(m *model, names []string, _, top string) {
		m.dies(top, time.Hour)
		m.pass(9 * time.Second)
		other := rest(names, top)[0]
		if got := m.state(other, top); got != mesh.Dead {
			m.t.Errorf("%s takes %s for %s", other, top, got)
		}
		m.pass(2 * time.Second)
		if got := m.state(other, top); got != mesh.Alive {
			m.t.Errorf("in the end %s takes %s for %s", other, top, got)
		}
	})
}
