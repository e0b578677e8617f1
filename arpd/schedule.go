package arpd

import (
	"cmp"
	"container/heap"
	"net/netip"
	"time"
)

// Timing of announcements.
const (
	refreshEvery = time.Minute // the slow refresh that goes on for ever, unless it is asked for otherwise

	// frameRate is the pace: frames a second for all interfaces together, so that
	// 10,000 IPv4 addresses (two frames each) are out within two seconds.
	frameRate = 12_000
	frameGap  = time.Second / frameRate
	// noEnd is later than anything that is waited for.
	noEnd = 100 * 365 * 24 * time.Hour

	// frameBurst is how far ahead of the pace frames may run before the sender
	// sleeps: some 60 frames, and a sleep that timers can keep.
	frameBurst = 5 * time.Millisecond
	// frameCredit is how much of the time that a sleep took too long is made up
	// for: on a busy node timers are late, and the pace would suffer from each.
	frameCredit = 10 * time.Millisecond
)

// gaps are the times between the first announcements of a gained address. The
// first repeat comes soon, because a lost frame is an outage; the later ones are
// for switches and neighbours that were not ready yet.
func gaps() []time.Duration {
	return []time.Duration{200 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}
}

// urgency orders what is due at the same time.
type urgency int

const (
	defence urgency = iota // an address that a stranger has just claimed
	gain                   // first announcement of a gain or after a heal
	repeat                 // repeats of it
	refresh                // the slow one
)

// entry is an address that is announced.
type entry struct {
	ip     netip.Addr
	gained time.Time
	round  int // announcements made since the gain or heal
	due    time.Time
	urgent bool // defence
	in     *queue
	pos    int // in the queue
}

// schedule says which address is to be announced next. It is a plain value of
// time: no clock, no goroutine.
//
// Entries wait in a heap ordered by time; those that are due move to a second
// heap ordered by urgency, and among equals by age, the newest gain first: an
// address that was owned for long is the one that can wait.
type schedule struct {
	gaps    []time.Duration
	refresh time.Duration                     // between slow announcements; negative: there are none
	jitter  func(time.Duration) time.Duration // spreads refreshes
	entries map[netip.Addr]*entry
	waiting *queue
	ready   *queue
}

func newSchedule(gaps []time.Duration, refresh time.Duration, jitter func(time.Duration) time.Duration) *schedule {
	s := &schedule{
		gaps: gaps, refresh: refresh, jitter: jitter,
		entries: make(map[netip.Addr]*entry),
		waiting: &queue{less: func(a, b *entry) bool { return a.due.Before(b.due) }},
	}
	s.ready = &queue{less: s.before}
	return s
}

// urgency is that of e once it is due.
func (s *schedule) urgency(e *entry) urgency {
	switch {
	case e.urgent:
		return defence
	case e.round == 0:
		return gain
	case e.round <= len(s.gaps):
		return repeat
	}
	return refresh
}

func (s *schedule) before(a, b *entry) bool {
	return cmp.Or(
		cmp.Compare(s.urgency(a), s.urgency(b)),
		b.gained.Compare(a.gained),
		a.ip.Compare(b.ip),
	) < 0
}

// gain adds an address, which is due at once.
func (s *schedule) gain(ip netip.Addr, now time.Time) {
	if s.entries[ip] == nil {
		e := &entry{ip: ip, gained: now, due: now}
		s.entries[ip] = e
		s.ready.add(e)
	}
}

// lose takes an address out.
func (s *schedule) lose(ip netip.Addr) {
	if e := s.entries[ip]; e != nil {
		e.in.remove(e)
		delete(s.entries, ip)
	}
}

// restart begins anew for all addresses, as if they were gained again; only
// their age remains.
func (s *schedule) restart(now time.Time) {
	for ip := range s.entries {
		s.again(ip, now)
	}
}

// again begins anew for one address.
func (s *schedule) again(ip netip.Addr, now time.Time) {
	if e := s.entries[ip]; e != nil {
		e.in.remove(e)
		e.round, e.due = 0, now
		s.ready.add(e)
	}
}

// defend makes ip due at once, before all others, once. It is no round of its
// own: what was planned stays planned.
func (s *schedule) defend(ip netip.Addr) {
	if e := s.entries[ip]; e != nil && !e.urgent {
		e.in.remove(e)
		e.urgent = true
		s.ready.add(e)
	}
}

// next takes the most urgent address that is due at now and plans its next
// announcement.
func (s *schedule) next(now time.Time) (ip netip.Addr, u urgency, ok bool) {
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
	if u == defence {
		e.urgent = false
	} else {
		e.due = now.Add(s.gap(e.round))
		e.round++
	}
	s.waiting.add(e)
	return e.ip, u, true
}

func (s *schedule) gap(round int) time.Duration {
	if round < len(s.gaps) {
		return s.gaps[round]
	}
	if s.refresh < 0 {
		return noEnd
	}
	return s.jitter(s.refresh)
}

// wake is when next will have something; zero: not before gain or restart.
func (s *schedule) wake() time.Time {
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

// pacer keeps a stream of frames at one frame per gap in the long run.
type pacer struct {
	gap, burst, credit time.Duration
	paid               time.Time // until when the frames sent so far are worth
}

// spend accounts for frames sent at now and returns how long to wait before the
// next ones.
func (p *pacer) spend(frames int, now time.Time) time.Duration {
	if least := now.Add(-p.credit); p.paid.Before(least) {
		p.paid = least
	}
	p.paid = p.paid.Add(time.Duration(frames) * p.gap)
	if ahead := p.paid.Sub(now); ahead > p.burst {
		return ahead
	}
	return 0
}
