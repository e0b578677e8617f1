package lease

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"
)

const (
	// Rest is how long a released address is not picked, unless it is known sooner that nobody
	// answers for its old holder any more: slow watchers may.
	Rest = 5 * time.Second
	// maxAsked bounds the resting addresses of which that is asked at a time.
	maxAsked = 16
	// maxReleased is how many released addresses are remembered. Then all but the resting ones
	// count as never used.
	maxReleased = 1 << 16
	// maxSkips bounds the reserved addresses that one search passes over.
	maxSkips = 1024
)

// freeList knows the free addresses of one pool in one family, and chooses one without a scan.
// First come the addresses that were never held, of them the one whose announcer has the fewest
// addresses, then the lowest; then the ones that were released and have rested, of them again the
// announcer with the fewest, then the one released longest ago.
//
// Only so many addresses ahead of the cursor are looked at as it takes to find one of an announcer
// with the fewest of all, and a window of them at most. They are kept sorted by announcer,
// until they are picked.
//
// An address that is neither taken nor ahead of the cursor is unsorted, sorted by announcer,
// resting or reserved. The other way round nothing is promised: it is asked whether what comes from
// there is taken, and what was released counts only as long as its time says so.
type freeList struct {
	pool     *pool
	family   int
	spans    []span
	next     netip.Addr // cursor: the lowest address of spans[0] not looked at
	loads    *loads     // by which the candidates are sorted
	unsorted []candidate
	fresh    byAnnouncer // never held
	rested   byAnnouncer // released, and not resting any more
	resting  []candidate // released, the oldest first
	when     map[netip.Addr]time.Time
	reserved map[netip.Addr]struct{} // passed over because they were reserved
	known    map[candidate]struct{}  // unsorted or sorted: nothing is there twice
	limit    int                     // of released
}

// candidate is an address that may be picked, if it is still free when its turn comes.
type candidate struct {
	ip netip.Addr
	at time.Time // when it was released, zero for never
}

// before is the order among the candidates of one announcer.
func (c candidate) before(o candidate) bool {
	return cmp.Or(c.at.Compare(o.at), c.ip.Compare(o.ip)) < 0
}

// facts says what the free list cannot know: which addresses are taken and which are reserved, and
// who announces how many.
type facts struct {
	now      time.Time
	taken    func(netip.Addr) bool
	reserved func(netip.Addr) bool
	rested   func(netip.Addr, time.Time) time.Time // see View.Rested
	loads    *loads
}

// until is until when a released address must rest, or until when it is not known.
func (w *facts) until(c candidate) time.Time {
	end := c.at.Add(Rest)
	if w.rested == nil || !end.After(w.now) {
		return end
	}
	return w.rested(c.ip, c.at)
}

func newFreeList(q *pool, f int) *freeList {
	s := &freeList{pool: q, family: f, when: make(map[netip.Addr]time.Time), limit: maxReleased}
	s.rewind()
	return s
}

// rewind lets the cursor start again.
func (s *freeList) rewind() {
	s.spans, s.next = s.pool.spans[s.family], netip.Addr{}
	s.unsorted, s.reserved, s.known = nil, make(map[netip.Addr]struct{}), make(map[candidate]struct{})
	s.fresh.drain()
	s.rested.drain()
	if len(s.spans) > 0 {
		s.next = s.spans[0].first
	}
}

// putBack returns an address that was picked and never held, or says again that it is free.
func (s *freeList) putBack(ip netip.Addr) {
	if c := (candidate{ip: ip}); s.learn(c) {
		s.unsorted = append(s.unsorted, c)
	}
}

// learn reports whether a candidate is a new one, neither unsorted nor sorted, and notes it as
// known.
func (s *freeList) learn(c candidate) bool {
	_, known := s.known[c]
	s.known[c] = struct{}{}
	return !known
}

// release returns an address that was held.
func (s *freeList) release(ip netip.Addr, now time.Time) {
	s.when[ip] = now
	s.resting = append(s.resting, candidate{ip: ip, at: now})
	if len(s.resting)+s.rested.n > s.limit {
		s.forget(now)
	}
}

// released returns the addresses that are remembered as released, the oldest first.
func (s *freeList) released() []candidate {
	all := make([]candidate, 0, len(s.when))
	for ip, at := range s.when {
		all = append(all, candidate{ip: ip, at: at})
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Or(a.at.Compare(b.at), a.ip.Compare(b.ip)) })
	return all
}

// forget drops the memory of released addresses that have rested.
func (s *freeList) forget(now time.Time) {
	all := s.released()
	n := slices.IndexFunc(all, func(c candidate) bool { return c.at.Add(Rest).After(now) })
	if n < 0 {
		n = len(all)
	}
	for _, c := range all[:n] {
		delete(s.when, c.ip)
	}
	s.resting, s.limit = slices.Clone(all[n:]), max(maxReleased, 2*(len(all)-n))
	s.rewind()
}

// first returns the free address to be picked next and leaves it in the list; without one it says
// when an address will have rested, zero for never.
func (s *freeList) first(w *facts) (ip netip.Addr, ok bool, wake time.Time) {
	s.sort(w)
	ip, ok, more := s.choose(&s.fresh, w, s.fromCursor)
	if ok || more {
		return ip, ok, w.now
	}
	if ip, ok, _ := s.choose(&s.rested, w, s.fromResting); ok {
		return ip, true, time.Time{}
	}
	if s.fromReserved(w) {
		s.sort(w)
		ip, ok, _ := s.choose(&s.fresh, w, s.fromCursor)
		return ip, ok, time.Time{}
	}
	if wake = s.wake(w); len(s.reserved) > 0 {
		wake = earliest(wake, w.now.Add(recheck))
	}
	return netip.Addr{}, false, wake
}

// sort sorts the unsorted addresses by announcer, and all anew when other announcers are to be
// expected.
func (s *freeList) sort(w *facts) {
	if s.loads != w.loads {
		s.loads = w.loads
		s.unsorted = slices.Concat(s.unsorted, s.fresh.drain(), s.rested.drain())
	}
	for _, c := range s.unsorted {
		b := &s.fresh
		if !c.at.IsZero() {
			b = &s.rested
		}
		b.push(w.loads.announcer(c.ip), c)
	}
	s.unsorted = s.unsorted[:0]
}

// choose returns the best of the sorted candidates, which it fills from a source until they have
// one of an announcer with the fewest addresses of all; more says that the source gave up for now.
func (s *freeList) choose(b *byAnnouncer, w *facts, source func(*facts) (c candidate, ok, more bool)) (ip netip.Addr, found, more bool) {
	fewest, window := w.loads.fewest(), w.loads.window()
	best, load, found := b.best(w.loads, func(c candidate) bool { return s.keeps(c, w) })
	for !found || load > fewest && b.n < window {
		c, ok, more := source(w)
		if !ok {
			return best.ip, found, more && !found
		}
		if !s.learn(c) {
			continue // it was put back before the cursor came by
		}
		i := w.loads.announcer(c.ip)
		b.push(i, c)
		if n := w.loads.count(i); !found || n < load {
			best, load, found = c, n, true
		}
	}
	return best.ip, found, false
}

// keeps reports whether a sorted candidate fits. Else it is to be dropped from there.
func (s *freeList) keeps(c candidate, w *facts) bool {
	fits := s.fits(c, w)
	if !fits {
		delete(s.known, c)
	}
	return fits
}

// fits reports whether a candidate may be picked. Else it is none any more: it comes back by
// release, or from reserved.
func (s *freeList) fits(c candidate, w *facts) bool {
	switch {
	case !s.when[c.ip].Equal(c.at):
		return false // released since then
	case w.taken(c.ip), s.pool.reserves(c.ip):
	case w.reserved(c.ip):
		s.reserved[c.ip] = struct{}{}
	default:
		return true
	}
	delete(s.when, c.ip)
	return false
}

// fromCursor returns the next free address and moves the cursor beyond it.
func (s *freeList) fromCursor(w *facts) (c candidate, ok, more bool) {
	for skips := 0; len(s.spans) > 0; {
		ip, known := s.next, len(s.reserved)
		s.advance()
		if s.pool.avoids(ip) {
			continue
		}
		if s.fits(candidate{ip: ip}, w) {
			return candidate{ip: ip}, true, false
		}
		if skips += len(s.reserved) - known; skips >= maxSkips {
			return candidate{}, false, true
		}
	}
	return candidate{}, false, false
}

func (s *freeList) advance() {
	if s.next != s.spans[0].last {
		s.next = s.next.Next()
		return
	}
	if s.spans = s.spans[1:]; len(s.spans) > 0 {
		s.next = s.spans[0].first
	}
}

// fromResting returns a released address that has rested.
func (s *freeList) fromResting(w *facts) (c candidate, ok, more bool) {
	i, _ := s.look(w)
	if i < 0 {
		return candidate{}, false, false
	}
	c = s.resting[i]
	s.drop(i)
	return c, true, false
}

// wake is when a released address may have rested, zero for never.
func (s *freeList) wake(w *facts) time.Time {
	_, at := s.look(w)
	return at
}

// look returns where the first address is that has rested, or -1 and when the next one may have.
// The one that was released longest ago has rested first; of some more it may be known sooner.
func (s *freeList) look(w *facts) (i int, at time.Time) {
	most := maxAsked
	if w.rested == nil {
		most = 1
	}
	for i < min(len(s.resting), most) {
		c := s.resting[i]
		if !s.fits(c, w) {
			s.drop(i)
			continue
		}
		until := w.until(c)
		if !until.After(w.now) {
			return i, w.now
		}
		at = earliest(at, until)
		i++
	}
	return -1, at
}

// drop takes out the resting address at i, which is among the first.
func (s *freeList) drop(i int) {
	copy(s.resting[1:i+1], s.resting[:i])
	s.resting = s.resting[1:]
}

// fromReserved looks again at what was reserved once, and reports whether any of it can be had.
func (s *freeList) fromReserved(w *facts) bool {
	again := slices.SortedFunc(maps.Keys(s.reserved), netip.Addr.Compare)
	clear(s.reserved)
	for _, ip := range again {
		if s.fits(candidate{ip: ip}, w) {
			s.putBack(ip)
		}
	}
	return len(s.unsorted) > 0
}
