package speaker

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/routes"
	"github.com/starling-lb/starling/watcher"
)

// routed runs a story with speakers that announce an address to a router, which knows all of them.
func routed(t *testing.T, count int, story func(m *model, r *modelRouter)) {
	t.Helper()
	routedBy(t, "auto", func(*modelRouter) {}, count, story)
}

// routedBy is the same in a mode, with a router that takes what the edit says.
func routedBy(t *testing.T, mode string, edit func(r *modelRouter), count int, story func(m *model, r *modelRouter)) {
	t.Helper()
	pools, err := lease.ReadPools(nil, "f", []byte(`
bgp: {asn: 64513, sessions: `+mode+`, peers: [{name: tor1, address: 198.18.0.254, asn: 64512}]}
pools: [{name: lan, ranges: [203.0.113.1-203.0.113.10, "2001:db8:20::/124"], announce: [bgp]}]`))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t)
		m.pools, m.rules.grace = pools, time.Minute
		defer func() {
			m.mu.Lock()
			for _, b := range m.replaced { // those that were killed have to end as well
				if b.ice != nil {
					close(b.ice)
					b.ice = nil
				}
			}
			m.mu.Unlock()
			m.end()
		}()
		r := m.router()
		edit(r)
		var nodes []string
		for i := range count {
			nodes = append(nodes, fmt.Sprint("n", i+1))
			m.start(nodes[i], r.plugged)
			m.setNode(nodes[i], func(n *watcher.Node) {
				n.Addresses = append(n.Addresses, netip.MustParseAddr(fmt.Sprint("2001:db8::", i+1)))
			})
		}
		m.pass(5 * time.Second)
		m.dual("web", false, everywhere(nodes...))
		m.pass(5 * time.Second)
		want := min(count, 3)
		if mode == "each" {
			want = count
		}
		if hops, sessions := r.count(); hops != count || sessions != want {
			t.Fatalf("%d next hops by %d sessions, want %d by %d", hops, sessions, count, want)
		}
		story(m, r)
	})
}

// TestRouterLosesTheDead: whichever node dies, the router learns of it as soon as the mesh does,
// though it still believes the session of a holder that died. Another speaker then holds a session
// in its place.
func TestRouterLosesTheDead(t *testing.T) {
	t.Parallel()
	for i := range 5 {
		name := fmt.Sprint("n", i+1)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			routed(t, 5, func(m *model, r *modelRouter) {
				var died time.Time
				least, changes := r.watch(func() {
					died = time.Now()
					m.dies(name, 500*time.Millisecond)
					m.pass(5 * time.Second)
				})
				if least != 4 || len(changes) != 1 || changes[0].Sub(died) > 300*time.Millisecond {
					t.Errorf("at least %d next hops, changed %v after the death at %v", least, changes, died)
				}
				if _, sessions := r.count(); sessions < 3 {
					t.Errorf("%d sessions", sessions)
				}
			})
		})
	}
}

// TestRouterOfHundred: a router has three sessions for a hundred nodes, and learns of a holder that
// dies as soon as with five.
func TestRouterOfHundred(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("takes long")
	}
	t.Parallel()
	routed(t, 100, func(m *model, r *modelRouter) {
		var died time.Time
		dead := r.holder()
		least, changes := r.watch(func() {
			died = time.Now()
			m.dies(dead, 500*time.Millisecond)
			m.pass(5 * time.Second)
		})
		if least != 99 || len(changes) != 1 || changes[0].Sub(died) > 300*time.Millisecond {
			t.Errorf("at least %d next hops, changed %v after the death at %v", least, changes, died)
		}
	})
}

// TestRouterLosesTheDeadInPart: so does a router that takes less than the speakers plan: what they
// announced of it is all that there is.
func TestRouterLosesTheDeadInPart(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(r *modelRouter){
		"IPv4 alone":        func(r *modelRouter) { r.takes[1] = false },
		"one path of IPv6":  func(r *modelRouter) { r.addPath[1] = false },
		"takes all of them": func(*modelRouter) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			routedBy(t, "few", edit, 4, func(m *model, r *modelRouter) {
				dead := r.holder()
				_, changes := r.watch(func() {
					m.dies(dead, 500*time.Millisecond)
					m.pass(5 * time.Second)
				})
				if hops, sessions := r.count(); hops != 3 || sessions < 3 || len(changes) != 1 {
					t.Errorf("%s died: %d next hops by %d sessions, changed %v", dead, hops, sessions, changes)
				}
			})
		})
	}
}

// TestRouterUntilAllAgree: an address that moves to layer 2 alone stays at the router until all
// members have the new configuration, for only then is it announced on layer 2.
func TestRouterUntilAllAgree(t *testing.T) {
	t.Parallel()
	next, err := lease.ReadPools(nil, "f", []byte(`
bgp: {asn: 64513, peers: [{name: tor1, address: 198.18.0.254, asn: 64512}]}
pools: [{name: lan, ranges: [203.0.113.1-203.0.113.10, "2001:db8:20::/124"], announce: [layer2]}]`))
	if err != nil {
		t.Fatal(err)
	}
	routed(t, 3, func(m *model, r *modelRouter) {
		least, _ := r.watch(func() {
			m.configure(next, "n1", "n2")
			m.pass(10 * time.Second)
		})
		if least != 3 {
			t.Errorf("%d next hops while the configurations differ, want 3", least)
		}
		m.configure(next)
		m.pass(10 * time.Second)
		if hops, _ := r.count(); hops != 0 {
			t.Errorf("%d next hops in the end", hops)
		}
	})
}

// TestRouterSettingsChange: all sessions begin anew when the settings of a router change, but never
// all at once: with few the router has a path to each node all the while, though it keeps none of a
// session that ends.
func TestRouterSettingsChange(t *testing.T) {
	t.Parallel()
	for mode, most := range map[string]int{"few": 0, "each": 2} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			next, err := lease.ReadPools(nil, "f", []byte(`
bgp: {asn: 64513, sessions: `+mode+`, peers: [{name: tor1, address: 198.18.0.254, asn: 64512, holdTime: 9s, keepaliveTime: 3s}]}
pools: [{name: lan, ranges: [203.0.113.1-203.0.113.10, "2001:db8:20::/124"], announce: [bgp]}]`))
			if err != nil {
				t.Fatal(err)
			}
			routedBy(t, mode, func(*modelRouter) {}, 5, func(m *model, r *modelRouter) {
				least, _ := r.watch(func() {
					m.configure(next)
					m.pass(3 * routes.TurnFor)
				})
				if least != 5-most {
					t.Errorf("%d next hops at some moment, want %d", least, 5-most)
				}
				r.mu.Lock()
				defer r.mu.Unlock()
				for name, s := range r.sessions {
					if s.up && s.settings.Hold != 9*time.Second {
						t.Errorf("the session of %s has the hold time %v", name, s.settings.Hold)
					}
				}
			})
		})
	}
}

// TestRouterTurnsAway: where the router turns all holders away, others have sessions in their place
// before long.
func TestRouterTurnsAway(t *testing.T) {
	t.Parallel()
	routed(t, 5, func(m *model, r *modelRouter) {
		r.bar()
		m.pass(routes.LacksFor - 2*time.Second)
		if hops, sessions := r.count(); hops != 0 || sessions != 0 {
			t.Errorf("%d next hops by %d sessions before it is time", hops, sessions)
		}
		m.pass(2*time.Second + 2*sessionTime)
		if hops, sessions := r.count(); hops != 5 || sessions != 2 {
			t.Errorf("%d next hops by %d sessions, want 5 by 2", hops, sessions)
		}
	})
}

// TestRouterKeepsTheAbsent: speakers that restart one after the other, or crash, change nothing at
// the router.
func TestRouterKeepsTheAbsent(t *testing.T) {
	t.Parallel()
	for _, count := range []int{2, 3, 5} {
		for what, end := range map[string]func(m *model, name string){
			"restart": func(m *model, name string) {
				m.speakers[name].stop()
				<-m.speakers[name].done
			},
			"crash": (*model).kill,
		} {
			t.Run(fmt.Sprintf("%s of one of %d", what, count), func(t *testing.T) {
				t.Parallel()
				routed(t, count, func(m *model, r *modelRouter) {
					_, changes := r.watch(func() {
						for i := range count {
							name := fmt.Sprint("n", i+1)
							end(m, name)
							m.pass(2 * time.Second)
							m.start(name, r.plugged)
							m.pass(5 * time.Second)
						}
					})
					if len(changes) > 0 {
						t.Errorf("the next hops changed %d times", len(changes))
					}
				})
			})
		}
	}
}

// TestRouterBeforeTheEnd: a node that is drained is out of the router's table before its speaker
// ends.
func TestRouterBeforeTheEnd(t *testing.T) {
	t.Parallel()
	routed(t, 4, func(m *model, r *modelRouter) {
		m.rules.grace = 0
		for i := range 4 {
			m.setNode(fmt.Sprint("n", i+1), func(n *watcher.Node) { n.Cordoned = true })
		}
		_, changes := r.watch(func() {
			m.speakers["n1"].stop()
			<-m.speakers["n1"].done
		})
		if hops, _ := r.count(); hops != 3 || len(changes) != 1 || time.Since(changes[0]) < time.Second {
			t.Errorf("%d next hops, changed %v", hops, changes)
		}
	})
}

// TestRouterAfterTheEnd: a router that keeps routes by graceful restart keeps those of a speaker
// that only restarts, and none that the speaker of a node that goes had announced.
func TestRouterAfterTheEnd(t *testing.T) {
	t.Parallel()
	for _, goes := range []bool{false, true} {
		t.Run(fmt.Sprintf("the node goes: %v", goes), func(t *testing.T) {
			t.Parallel()
			routed(t, 3, func(m *model, r *modelRouter) {
				if goes {
					m.setNode("n1", func(n *watcher.Node) { n.Cordoned = true })
				}
				m.speakers["n1"].stop()
				<-m.speakers["n1"].done
				r.mu.Lock()
				kept := len(r.sessions["n1"].table)
				r.mu.Unlock()
				if (kept == 0) != goes {
					t.Errorf("the router keeps %d paths of n1's session", kept)
				}
			})
		})
	}
}

// TestRouterUnconcerned: nothing is planned anew when endpoints change that decide no path.
func TestRouterUnconcerned(t *testing.T) {
	t.Parallel()
	routed(t, 3, func(m *model, r *modelRouter) {
		m.create("inner", func(s *watcher.Service) { s.Type = "ClusterIP" }, "n1")
		m.pass(time.Second)
		for _, tt := range []struct {
			name   string
			change func()
			plans  bool
		}{
			{"of a Service without an address", func() { m.serve("inner", "n2") }, false},
			{"of one with externalTrafficPolicy: Cluster", func() { m.serve("web", "n2") }, false},
			{"the last one", func() { m.serve("web") }, true},
		} {
			r.mu.Lock()
			before := r.applied
			r.mu.Unlock()
			tt.change()
			m.pass(5 * time.Second)
			r.mu.Lock()
			after := r.applied
			r.mu.Unlock()
			if plans := after > before; plans != tt.plans {
				t.Errorf("%s: planned anew %d times", tt.name, after-before)
			}
		}
	})
}
