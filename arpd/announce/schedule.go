// Package announce says which address of this node is to be announced next, and when: at once when
// it is gained, again after growing gaps, and then about once a minute without end. It sends
// nothing, reads no clock and has no goroutine.
package announce

import (
	"cmp"
	"container/heap"
	"net/netip"
	"time"
)

// Rhythm is when an address is announced.
type Rhythm struct {
	// Gaps are the times between the first announcements of a gained address. The first repeat
	// comes soon, because a lost frame is an outage; the later ones are for switches and neighbors
	// that were not ready yet.
	Gaps []time.Duration
	// Refresh lies between the announcements that go on without end; negative: there are none.
	Refresh time.Duration
}

// Standard is the rhythm that speakers use unless they are asked for another refresh.
func Standard() Rhythm {
	return Rhythm{
		Gaps:    []time.Duration{200 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second},
		Refresh: time.Minute,
	}
}

// noEnd is later than anything that is waited for.
const noEnd = 100 * 365 * 24 * time.Hour

// Urgency orders what is due at the same time.
type Urgency int

// What is announced, the most urgent first.
const (
	Defense Urgency = iota // of an address that another station has just claimed
	Gain                   // first announcement of a gain, or after everything began anew
	Repeat                 // repeats of it
	Refresh                // the slow one
)

// entry is an address that is announced.
type entry struct {
	ip     netip.Addr
	gained time.Time
	round  int // announcements made since the gain or heal
	due    time.Time
	urgent bool // to be defended
	in     *queue
	pos    int // in the queue
}

// Schedule says which address is to be announced next. It is a plain value of time.
//
// Entries wait in a heap ordered by time; those that are due move to a second heap ordered by
// urgency, and among equals by age, the newest gain first: an address that was owned for long is
// the one that can wait.
type Schedule struct {
	Rhythm
	// Jitter spreads refreshes, so that addresses gained together are not refreshed together
	// without end; nil: they are.
	Jitter func(time.Duration) time.Duration

	entries map[netip.Addr]*entry
	waiting *queue
	ready   *queue
}

// New makes a schedule without addresses.
func New(r Rhythm) *Schedule {
	s := &Schedule{
		Rhythm:  r,
		entries: make(map[netip.Addr]*entry),
		waiting: &queue{less: func(a, b *entry) bool { return a.due.Before(b.due) }},
	}
	s.ready = &queue{less: s.before}
	return s
}

// urgency is that of e once it is due.
func (s *Schedule) urgency(e *entry) Urgency {
	switch {
	case e.urgent:
		return Defense
	case e.round == 0:
		return Gain
	case e.round <= len(s.Gaps):
		return Repeat
	}
	return Refresh
}

func (s *Schedule) before(a, b *entry) bool {
	return cmp.Or(
		cmp.Compare(s.urgency(a), s.urgency(b)),
		b.gained.Compare(a.gained),
		a.ip.Compare(b.ip),
	) < 0
}

// Gain adds an address, which is due at once.
func (s *Schedule) Gain(ip netip.Addr, now time.Time) {
	if s.entries[ip] == nil {
		e := &entry{ip: ip, gained: now, due: now}
		s.entries[ip] = e
		s.ready.add(e)
	}
}

// Lose takes an address out.
func (s *Schedule) Lose(ip netip.Addr) {
	if e := s.entries[ip]; e != nil {
		e.in.remove(e)
		delete(s.entries, ip)
	}
}

// Restart begins anew for all addresses, as if they were gained again; only
// their age remains.
func (s *Schedule) Restart(now time.Time) {
	for ip := range s.entries {
		s.Again(ip, now)
	}
}

// Again begins anew for one address.
func (s *Schedule) Again(ip netip.Addr, now time.Time) {
	if e := s.entries[ip]; e != nil {
		e.in.remove(e)
		e.round, e.due = 0, now
		s.ready.add(e)
	}
}

// Defend makes ip due at once, before all others, once. It is no round of its
// own: what was planned stays planned.
func (s *Schedule) Defend(ip netip.Addr) {
	if e := s.entries[ip]; e != nil && !e.urgent {
		e.in.remove(e)
		e.urgent = true
		s.ready.add(e)
	}
}

// Next takes the most urgent address that is due at now and plans its next announcement. It reports
// whether there is one.
func (s *Schedule) Next(now time.Time) (ip netip.Addr, u Urgency, ok bool) {
	for s.waiting.Len() > 0 && !s.waiting.list[0].due.After(now) {
		e := s.waiting.list[0]
		s.waiting.remove(e)
		s.ready.add(e)
	}
	if s.ready.Len() == 0 {
		return netip.Addr{}, 0, false
	}
	e := s.ready.list[0]
	s.ready.remove(e)
	u = s.urgency(e)
	if u == Defense {
		e.urgent = false
	} else {
		e.due = now.Add(s.gap(e.round))
		e.round++
	}
	s.waiting.add(e)
	return e.ip, u, true
}

func (s *Schedule) gap(round int) time.Duration {
	switch {
	case round < len(s.Gaps):
		return s.Gaps[round]
	case s.Refresh < 0:
		return noEnd
	case s.Jitter == nil:
		return s.Rhythm.Refresh
	}
	return s.Jitter(s.Rhythm.Refresh)
}

// Wake is when Next will have something; zero: not before Gain or Restart.
func (s *Schedule) Wake() time.Time {
	if s.waiting.Len() == 0 {
		return time.Time{}
	}
	return s.waiting.list[0].due
}

// queue is a heap of entries that know where they are.
type queue struct {
	list []*entry
	less func(a, b *entry) bool
}

func (q *queue) add(e *entry)       { e.in = q; heap.Push(q, e) }
func (q *queue) remove(e *entry)    { heap.Remove(q, e.pos); e.in = nil }
func (q *queue) Len() int           { return len(q.list) }
func (q *queue) Less(i, j int) bool { return q.less(q.list[i], q.list[j]) }

func (q *queue) Swap(i, j int) {
	q.list[i], q.list[j] = q.list[j], q.list[i]
	q.list[i].pos, q.list[j].pos = i, j
}

func (q *queue) Push(x any) {
	e := x.(*entry)
	e.pos = len(q.list)
	q.list = append(q.list, e)
}

func (q *queue) Pop() any {
	last := len(q.list) - 1
	e := q.list[last]
	q.list[last] = nil
	q.list = q.list[:last]
	return e
}

// Has reports whether an address is announced.
func (s *Schedule) Has(ip netip.Addr) bool { return s.entries[ip] != nil }
