package watcher

import "sync"

// A single is the sink of a stream that follows one object by its name.
type single[V comparable] struct {
	signal chan struct{}

	mu    sync.Mutex // guards all following fields
	known bool       // it was looked for
	found bool       // and is there
	value V          // what is kept of it
}

func newSingle[V comparable]() *single[V] { return &single[V]{signal: make(chan struct{}, 1)} }

var _ sink[string] = (*single[string])(nil)

func (s *single[V]) put(_ string, v V) { s.set(true, v) }

func (s *single[V]) remove(string, Key) {
	var none V
	s.set(false, none)
}

func (s *single[V]) replace(_ string, all []V) {
	if len(all) == 0 {
		s.remove("", Key{})
		return
	}
	s.put("", all[0])
}

func (s *single[V]) position(string) {}

func (s *single[V]) set(found bool, v V) {
	s.mu.Lock()
	differs := !s.known || s.found != found || s.value != v
	s.known, s.found, s.value = true, found, v
	s.mu.Unlock()
	if !differs {
		return
	}
	select {
	case s.signal <- struct{}{}:
	default:
	}
}

func (s *single[V]) get() (v V, known, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value, s.known, s.found
}
