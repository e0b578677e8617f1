package routes

import "time"

const (
	// MarkedFor is how long the paths to a node that leaves are marked as leaving before they are
	// withdrawn.
	MarkedFor = time.Second
	// LeavesFor is how long a node goes on forwarding after it has said that it leaves: until its
	// paths are withdrawn, and for as long again until all routers have noticed.
	LeavesFor = 2 * MarkedFor
)

// Leaving knows since when nodes are leaving, or out of touch. Its zero value knows nobody.
type Leaving struct{ clock[departure] }

// departure is a node that leaves, or is out of touch.
type departure struct {
	node       string
	outOfTouch bool
}

// Follow notes which of the nodes are leaving or out of touch, and marks those that are gone. Next
// is when another will be; zero: none. Those that are leaving when a speaker starts are gone: it
// has announced none of them, and a path for a second would only move flows twice.
func (l *Leaving) Follow(nodes []Node, now time.Time) (next time.Time) {
	first := l.since == nil
	l.begin()
	for i := range nodes {
		n := &nodes[i]
		if n.class() != leaving && !n.outOfTouch() {
			continue
		}
		d := departure{n.Name, n.outOfTouch()}
		n.Gone = l.mark(d, now, MarkedFor, &next) || first
		if first {
			l.since[d] = now.Add(-MarkedFor)
		}
	}
	return next
}
