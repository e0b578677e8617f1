package lease

import (
	"container/heap"
	"net/netip"
	"time"
)

const (
	// rest is how long a released address is not picked: slow watchers may still answer for its old holder.
	rest = 5 * time.Second
	// maxReleased is how many released addresses are remembered. Then all but the resting ones count as never used.
	maxReleased = 1 << 16
	// maxSkips bounds the reserved addresses that one search passes over.
	maxSkips = 1024
)

// shelf knows the free addresses of one pool in one family, and finds one without a scan: the lowest
// one that was put back, then the lowest one never looked at, then the one released longest ago.
//
// An address that is neither taken nor ahead of the cursor is in back, released or aside. The other
// way round nothing is promised: it is asked whether what comes from there is taken, and what is
// among the released counts only there.
type shelf struct {
	pool     *pool
	family   int
	spans    []span
	next     netip.Addr // cursor: the lowest address of spans[0] not looked at
	back     addrHeap
	released []released // oldest first
	when     map[netip.Addr]time.Time
	aside    []netip.Addr // passed over because they were reserved
	limit    int          // of released
}

type released struct {
	ip netip.Addr
	at time.Time
}

// world says what the shelf cannot know: which addresses are taken and which are reserved.
type world struct {
	now      time.Time
	taken    func(netip.Addr) bool
	reserved func(netip.Addr) bool
}

func newShelf(q *pool, f int) *shelf {
	s := &shelf{pool: q, family: f, when: make(map[netip.Addr]time.Time), limit: maxReleased}
	s.rewind()
	return s
}

// rewind lets the cursor start again.
func (s *shelf) rewind() {
	s.spans, s.next, s.back, s.aside = s.pool.spans[s.family], netip.Addr{}, nil, nil
	if len(s.spans) > 0 {
		s.next = s.spans[0].first
	}
}

// putBack returns an address that was picked and never held.
func (s *shelf) putBack(ip netip.Addr) { heap.Push(&s.back, ip) }

// release returns an address that was held.
func (s *shelf) release(ip netip.Addr, now time.Time) {
	s.when[ip] = now
	s.released = append(s.released, released{ip: ip, at: now})
	if len(s.released) > s.limit {
		s.forget(now)
	}
}

// forget drops the memory of released addresses that have rested.
func (s *shelf) forget(now time.Time) {
	var kept []released
	for _, r := range s.released {
		if s.when[r.ip] == r.at && r.at.Add(rest).After(now) {
			kept = append(kept, r)
		} else if s.when[r.ip] == r.at {
			delete(s.when, r.ip)
		}
	}
	s.released, s.limit = kept, max(maxReleased, 2*len(kept))
	s.rewind()
}

// first returns the free address to be picked next and leaves it on the shelf; without one it says
// when an address will have rested, zero for never.
func (s *shelf) first(w world) (ip netip.Addr, ok bool, wake time.Time) {
	if ip, ok := s.fromBack(w); ok {
		return ip, true, time.Time{}
	}
	ip, ok, more := s.fromCursor(w)
	if ok || more {
		return ip, ok, w.now
	}
	ip, ok, wake = s.fromReleased(w)
	if ok {
		return ip, true, time.Time{}
	}
	if ip, ok := s.fromAside(w); ok {
		return ip, true, time.Time{}
	}
	return netip.Addr{}, false, wake
}

func (s *shelf) fromBack(w world) (netip.Addr, bool) {
	for len(s.back) > 0 {
		ip := s.back[0]
		_, released := s.when[ip]
		switch {
		case released || w.taken(ip):
		case w.reserved(ip):
			s.aside = append(s.aside, ip)
		default:
			return ip, true
		}
		heap.Pop(&s.back)
	}
	return netip.Addr{}, false
}

// fromCursor moves the cursor to the next free address; more says that it gave up for now.
func (s *shelf) fromCursor(w world) (ip netip.Addr, ok, more bool) {
	for skips := 0; len(s.spans) > 0; s.advance() {
		_, released := s.when[s.next]
		switch {
		case released || s.pool.avoids(s.next) || w.taken(s.next):
		case w.reserved(s.next):
			s.aside = append(s.aside, s.next)
			if skips++; skips >= maxSkips {
				s.advance()
				return netip.Addr{}, false, true
			}
		default:
			return s.next, true, false
		}
	}
	return netip.Addr{}, false, false
}

func (s *shelf) advance() {
	if s.next != s.spans[0].last {
		s.next = s.next.Next()
		return
	}
	if s.spans = s.spans[1:]; len(s.spans) > 0 {
		s.next = s.spans[0].first
	}
}

func (s *shelf) fromReleased(w world) (ip netip.Addr, ok bool, wake time.Time) {
	for len(s.released) > 0 {
		r := s.released[0]
		if at, known := s.when[r.ip]; known && at == r.at {
			switch {
			case w.taken(r.ip):
			case w.reserved(r.ip):
				s.aside = append(s.aside, r.ip)
			case r.at.Add(rest).After(w.now):
				return netip.Addr{}, false, r.at.Add(rest)
			default:
				return r.ip, true, time.Time{}
			}
			delete(s.when, r.ip)
		}
		s.released = s.released[1:]
	}
	return netip.Addr{}, false, time.Time{}
}

// fromAside looks again at what was reserved once.
func (s *shelf) fromAside(w world) (netip.Addr, bool) {
	kept := s.aside[:0]
	found := false
	for _, ip := range s.aside {
		_, released := s.when[ip]
		switch {
		case released || w.taken(ip):
		case w.reserved(ip):
			kept = append(kept, ip)
		default:
			found = true
			heap.Push(&s.back, ip)
		}
	}
	if s.aside = kept; !found {
		return netip.Addr{}, false
	}
	return s.back[0], true
}

// addrHeap gives the lowest address first.
type addrHeap []netip.Addr

func (h addrHeap) Len() int           { return len(h) }
func (h addrHeap) Less(i, j int) bool { return h[i].Less(h[j]) }
func (h addrHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *addrHeap) Push(x any)        { *h = append(*h, x.(netip.Addr)) }
func (h *addrHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
