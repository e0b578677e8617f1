package routes

import (
	"testing"
	"time"
)

// TestLeaving: paths to a node that leaves are marked for a second. Those to one that has left
// already when a speaker starts are not announced for that second.
func TestLeaving(t *testing.T) {
	const n1, n2 = 0, 1
	var l Leaving
	now := time.Unix(0, 0)
	look := func(states ...string) []Node {
		return []Node{node("n1", []string{states[n1]}), node("n2", []string{states[n2]})}
	}
	for _, tt := range []struct {
		after time.Duration
		nodes []Node
		gone  [2]bool
		wake  time.Duration // 0: never
	}{
		{0, look("going", ""), [2]bool{true, false}, MarkedFor},
		{MarkedFor / 2, look("going", "going"), [2]bool{true, false}, MarkedFor * 3 / 2},
		{MarkedFor * 3 / 2, look("going", "going"), [2]bool{true, true}, 0},
		{2 * MarkedFor, look("", "going"), [2]bool{false, true}, 0},
		{3 * MarkedFor, look("going", "going"), [2]bool{false, true}, 4 * MarkedFor},
	} {
		next := l.Follow(tt.nodes, now.Add(tt.after))
		if got := [2]bool{tt.nodes[n1].Gone, tt.nodes[n2].Gone}; got != tt.gone {
			t.Errorf("after %v gone: %v, want %v", tt.after, got, tt.gone)
		}
		if want := now.Add(tt.wake); !next.Equal(want) && (tt.wake != 0 || !next.IsZero()) {
			t.Errorf("after %v: the next look at %v, want %v", tt.after, next, want)
		}
	}
}
