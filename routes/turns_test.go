package routes

import (
	"testing"
	"time"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
)

// TestTurns: a holder begins its session anew when it is its turn and those before it have theirs.
// It waits for them for a minute at most for each turn.
func TestTurns(t *testing.T) {
	const former, next = 90 * time.Second, 9 * time.Second
	tor1 := mesh.ShortName("tor1")
	plan := func(self string, hold time.Duration, without string) *Plan {
		w := World{Self: self, BGP: &lease.BGP{Sessions: lease.SessionsFew, Routers: []lease.Router{router("tor1", []string{"198.18.0.254"})}}}
		w.BGP.Routers[0].Hold = hold
		for _, name := range []string{"n1", "n2", "n3"} {
			n := node(name, nil)
			if name != without {
				n.Sessions = []uint32{tor1}
			}
			w.Nodes = append(w.Nodes, n)
		}
		return New(w)
	}
	for _, tt := range []struct {
		name, self, without string
		state               State
		after               time.Duration // the settings are in force
	}{
		{"the first", "n1", "", Established, 0},
		{"the second", "n2", "", Established, TurnFor},
		{"the third", "n3", "", Established, 2 * TurnFor},
		{"one without a session", "n3", "n3", Connect, 0},
		{"the second, and the first has no session", "n2", "n1", Established, StalledFor},
		{"the third, and the second has no session", "n3", "n2", Established, 2 * StalledFor},
		{"the second, and the third has no session", "n2", "n3", Established, TurnFor},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var turns Turns
			sessions, now := []Session{{Router: "tor1", State: tt.state}}, time.Unix(0, 0)
			if set, changed, wake := turns.Follow(plan(tt.self, former, ""), nil, now); changed || !wake.IsZero() || set.Routers[0].Hold != former {
				t.Fatalf("the first settings: %+v, changed %v, wake %v", set, changed, wake)
			}
			p := plan(tt.self, next, tt.without)
			for begun := now; ; {
				set, changed, wake := turns.Follow(p, sessions, now)
				if !changed {
					if set.Routers[0].Hold != former || !wake.After(now) {
						t.Fatalf("hold time %v, wake at %v, now %v", set.Routers[0].Hold, wake, now)
					}
					now = wake
					continue
				}
				if after := now.Sub(begun); after != tt.after || set.Routers[0].Hold != next {
					t.Errorf("hold time %v after %v, want %v", set.Routers[0].Hold, after, tt.after)
				}
				break
			}
			if _, changed, wake := turns.Follow(p, sessions, now); changed || !wake.IsZero() {
				t.Errorf("changed once more, or to be: %v", wake)
			}
		})
	}
}

// TestTurnsGoBack: settings that are taken back before it is this node's turn change nothing.
func TestTurnsGoBack(t *testing.T) {
	var turns Turns
	sessions, now := []Session{{Router: "tor1", State: Established}}, time.Unix(0, 0)
	for i, hold := range []time.Duration{90, 9, 90, 9} {
		w := World{Self: "n3", BGP: &lease.BGP{Sessions: lease.SessionsFew, Routers: []lease.Router{router("tor1", []string{"198.18.0.254"})}}}
		w.BGP.Routers[0].Hold = hold * time.Second
		w.Nodes = append(w.Nodes, node("n1", nil), node("n2", nil), node("n3", nil))
		set, changed, _ := turns.Follow(New(w), sessions, now.Add(time.Duration(i)*TurnFor))
		if changed || set.Routers[0].Hold != 90*time.Second {
			t.Errorf("%d: hold time %v", i, set.Routers[0].Hold)
		}
	}
}
