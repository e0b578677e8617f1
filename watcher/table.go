package watcher

import (
	"maps"
	"slices"
)

// Changes are one atomic advance of the Service table along the ordered stream: applied as a whole,
// they lead from the Services of one stream position to those of a later one. A Service that was
// deleted and made anew in between is in Put, with its new UID; Deleted may name Services that the
// reader never saw. Both are sorted by key.
type Changes struct {
	Reset   bool // forget everything: Put is all there is
	Put     []*Service
	Deleted []Key
	// Endpoints are the Services whose endpoints may have changed too; the State taken after the
	// Drain has them at least as new.
	Endpoints []Key
}

// A table holds the relevant Services at one position of the stream.
type table struct {
	changeCounter

	services map[Key]*Service
	touched  map[Key]struct{} // changed since the last drain
	reset    bool             // the next drain hands out everything
	at       string           // position: the last resourceVersion of the stream seen
	listed   bool             // services come from the API server, not from a snapshot file
	handed   bool             // value of listed at the last drain
}

func newTable(changed func()) *table {
	return &table{changeCounter: changeCounter{changed: changed}, services: map[Key]*Service{}, touched: map[Key]struct{}{}}
}

var _ sink[*Service] = (*table)(nil)

func (t *table) put(version string, s *Service) {
	t.update(func() bool { return t.apply(version, s.Key(), s, relevant(s)) })
}

func (t *table) remove(version string, k Key) {
	t.update(func() bool { return t.apply(version, k, nil, false) })
}

// apply is called with the lock held.
func (t *table) apply(version string, k Key, s *Service, keep bool) (differs bool) {
	t.at = version
	_, had := t.services[k]
	switch {
	case keep:
		t.services[k] = s
	case had:
		delete(t.services, k)
	default:
		return false
	}
	t.touched[k] = struct{}{}
	return true
}

func (t *table) position(version string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at = version
}

// replace takes a list. The first one resets the reader; later ones, after a watch was lost, are
// handed on as the difference that they make.
func (t *table) replace(version string, all []*Service) {
	next := make(map[Key]*Service, len(all))
	for _, s := range all {
		if relevant(s) {
			next[s.Key()] = s
		}
	}
	t.update(func() bool {
		differs := true
		if !t.listed {
			t.reset, t.listed = true, true
		} else {
			differs = t.touchDifference(next)
		}
		t.services, t.at = next, version
		return differs
	})
}

// touchDifference compares contents, not versions: after an API server was restored from a backup,
// a version may name something else than before.
func (t *table) touchDifference(next map[Key]*Service) (differs bool) {
	touch := func(k Key) { t.touched[k], differs = struct{}{}, true }
	for k := range t.services {
		if _, ok := next[k]; !ok {
			touch(k)
		}
	}
	for k, s := range next {
		if old, ok := t.services[k]; !ok || !old.Same(s) {
			touch(k)
		}
	}
	return differs
}

// load fills the table from a snapshot file, unless the API server was faster.
func (t *table) load(all []*Service) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.listed {
		return false
	}
	for _, s := range all {
		t.services[s.Key()] = s
	}
	t.reset = true
	return true
}

// drain returns the changes since the last drain, and the position they lead to.
func (t *table) drain() (Changes, string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := Changes{Reset: t.reset}
	if t.reset {
		c.Put = slices.Collect(maps.Values(t.services))
	} else {
		c.Put, c.Deleted = t.sorted()
	}
	slices.SortFunc(c.Put, byKey)
	slices.SortFunc(c.Deleted, Key.Compare)
	t.touched, t.reset, t.handed = map[Key]struct{}{}, false, t.listed
	return c, t.at
}

func (t *table) sorted() (put []*Service, deleted []Key) {
	for k := range t.touched {
		if s, ok := t.services[k]; ok {
			put = append(put, s)
		} else {
			deleted = append(deleted, k)
		}
	}
	return put, deleted
}

func byKey(a, b *Service) int { return a.Key().Compare(b.Key()) }

// stale reports whether what the last drain handed out did not come from the API server.
func (t *table) stale() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.handed
}

func (t *table) synced() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.listed
}

// all returns every Service of the table, sorted.
func (t *table) all() []*Service {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.SortedFunc(maps.Values(t.services), byKey)
}

func (t *table) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.services)
}
