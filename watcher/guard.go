package watcher

import "sync"

// A guard is the lock of a set that a stream fills. It counts the changes and tells of them.
type guard struct {
	changed func() // called without the lock held

	mu    sync.Mutex // guards edits, and all fields of the set
	edits uint64
}

// update runs an edit under the lock, and tells of it when something differs.
func (g *guard) update(edit func() (differs bool)) {
	g.mu.Lock()
	differs := edit()
	if differs {
		g.edits++
	}
	g.mu.Unlock()
	if differs {
		g.changed()
	}
}

// revision differs when the set does.
func (g *guard) revision() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.edits
}
