package watcher

import "sync"

// changeCounter is the lock of a set that a stream fills. It counts the changes and signals them.
type changeCounter struct {
	changed func() // called without the lock held

	mu    sync.Mutex // guards edits, and all fields of the set
	edits uint64
}

// update runs an edit under the lock, and signals when something differs.
func (g *changeCounter) update(edit func() (differs bool)) {
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
func (g *changeCounter) revision() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.edits
}
