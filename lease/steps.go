package lease

import (
	"container/heap"
	"net/netip"
	"time"

	"github.com/starling-lb/starling/health"
)

const (
	// interval is after how long a step is overdue for the next rank.
	interval = time.Second
	// slack is how many intervals the next rank waits at most while others do progress in the pool.
	slack = 30
	// patience is how long a claim waits for a rival that has to give up.
	patience = 30 * time.Second
	// echo is how long an accepted write may take to come back by the stream, answer how long the
	// caller may take to tell its outcome; then the Service is decided again.
	echo   = 10 * time.Second
	answer = time.Minute
	// news is how young a failure must be to be reported by a speaker that was not of rank 0
	// when it arose.
	news = 10 * time.Second
	// maxReported bounds the failures that are remembered as reported for one Service.
	maxReported = 16

	firstRetry = 200 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// flight is a write that is under way, from Steps until the stream shows another version of the
// Service, or until the write is rejected and a while has passed.
type flight struct {
	version string // that it was decided on
	share   string // the sharing key that the picks are counted under
	picks   []netip.Addr
	until   time.Time    // then it is decided again in any case
	written bool         // it was accepted
	bound   []netip.Addr // by it, unless it was rejected
}

// notice remembers a failure.
type notice struct {
	at       time.Time // when it was found
	reported bool      // by this speaker
}

// Steps returns the steps that are due now, in order of the Services' creation, and marks them in
// flight. Wake is when to ask again even if nothing changes, zero for never. It costs what has
// changed since the last call.
func (t *Table) Steps(v View) (steps []Step, wake time.Time) {
	t.see(&v)
	t.fire(v.Now)
	var w work
	for t.gather(&w); len(w) > 0; t.gather(&w) {
		e := heap.Pop(&w).(*entry)
		if t.entries[e.s.Key()] != e {
			continue
		}
		if s, ok := t.look(e, &v); ok {
			steps = append(steps, s)
		}
	}
	return steps, t.nextTimer()
}

// gather moves what is to be looked at into the heap.
func (t *Table) gather(w *work) {
	for _, e := range t.dirty {
		heap.Push(w, e)
	}
	t.dirty = t.dirty[:0]
}

// look decides about one Service.
func (t *Table) look(e *entry, v *View) (Step, bool) {
	e.dirty = false
	t.looks++
	e.open()
	defer e.tidy()
	if f := e.flight; f != nil {
		if v.Now.Before(f.until) {
			t.setTimer(e, f.until) // an earlier timer may have used up the only one
			return Step{}, false
		}
		t.land(e)
	}
	t.stopTimer(e)
	e.parked = false
	p := t.plan(e, v)
	t.watch(e, &p, v.Now)
	e.strays = p.strays
	t.noteWaiting(e, p.fail)
	t.setTimer(e, p.again)
	if p.kind != "" {
		return t.act(e, &p, v)
	}
	e.dueFor = ""
	t.await(e, p.fail)
	if s, ok := t.complain(e, &p, v); ok {
		t.mark(e) // there may be more to tell
		return s, ok
	}
	return t.warn(e, v)
}

// watch keeps the time that a claim has waited for its rival.
func (t *Table) watch(e *entry, p *plan, now time.Time) {
	if p.waiting == "" {
		e.since = time.Time{}
		return
	}
	if e.since.IsZero() {
		e.since = now
	}
	if !e.impatient(now) {
		t.setTimer(e, e.since.Add(patience))
	} else if p.kind == "" && p.fail == nil {
		p.fail = &failure{why: []refusal{{health.AddressHeld, p.waiting}}}
	}
}

func (e *entry) impatient(now time.Time) bool {
	return !e.since.IsZero() && now.Sub(e.since) >= patience
}

// act returns the write of a plan if it is this speaker's turn.
func (t *Table) act(e *entry, p *plan, v *View) (Step, bool) {
	rank := t.rank(v, p.pool)
	if p.alone {
		rank = 0
	}
	if e.dueFor != p.kind {
		e.due, e.dueFor = v.Now, p.kind
	}
	if at := t.turn(e, p.pool, rank, v); rank < 0 || v.Now.Before(at) {
		e.parked = true
		if rank >= 0 {
			t.setTimer(e, at)
		}
		if v.Now.Before(e.calm()) {
			t.lacking[e] = Waiting{Service: e.s.Key(), Code: health.StatusOverwritten, Reason: e.rivalry()}
		}
		return Step{}, false // it keeps its place in a queue
	}
	t.await(e, p.fail)
	e.dueFor = ""
	t.depart(e, p, v.Now)
	for _, ip := range p.picks {
		v.proof(ip) // it is probed while the claim is written
	}
	s := p.step(e, v)
	e.flight.bound = s.bound()
	return s, true
}

// turn is when a speaker of this rank may act: a rank above 0 when the step is overdue, and while
// nobody does anything in the pool. Refused writes slow down all ranks but 0, so that all speakers
// together try little more often than one. Those of another configuration than most have it a
// moment later than these, but for what they have claimed themselves: nobody else may know how to
// go on with that.
func (t *Table) turn(e *entry, pool string, rank int, v *View) time.Time {
	due := e.due
	if e.from != v.Self || !e.claims() {
		due = due.Add(time.Duration(v.Behind) * behind)
	}
	if calm := e.calm(); calm.After(due) {
		due = calm
	}
	if rank == 0 {
		return due
	}
	from := due
	if at := t.progress[pool]; at.After(from) {
		from = at
	}
	at, last := from.Add(time.Duration(rank)*e.pace()), due.Add(time.Duration(rank)*slack*interval)
	if at.After(last) {
		return last
	}
	return at
}

// pace is how much longer each rank waits than the one before.
func (e *entry) pace() time.Duration { return max(interval, growing(e.fails)) }

// complain tells the user what is missing, once.
func (t *Table) complain(e *entry, p *plan, v *View) (Step, bool) {
	if p.fail == nil {
		e.reported = nil
		return Step{}, false
	}
	if e.first() {
		t.setTimer(e, p.fail.wake)
	}
	text := p.fail.text()
	n, known := e.reported[text]
	if text == "" || n.reported {
		return Step{}, false
	}
	rank := t.rank(v, p.fail.count)
	e.parked = true
	if rank < 0 || !known && len(e.reported) >= maxReported {
		return Step{}, false
	}
	if !known {
		n.at = v.Now
	}
	quiet := (v.Freeze || p.fail.late) && v.Now.Before(n.at.Add(hush)) // others may know better, and do it
	n.reported = !quiet && rank == 0 && v.Now.Sub(n.at) < news
	if quiet {
		t.setTimer(e, n.at.Add(hush))
	}
	if e.reported == nil {
		e.reported = make(map[string]notice)
	}
	e.reported[text] = n
	if !n.reported {
		return Step{}, false
	}
	e.parked = false
	return Step{
		Kind: Tell, Service: e.s.Key(), UID: e.s.UID, Version: e.s.Version,
		Events: []Event{{Warning: true, Reason: AllocationFailed, Message: text, Code: p.fail.code()}},
	}, true
}

// depart marks the write of a Service as under way.
func (t *Table) depart(e *entry, p *plan, now time.Time) {
	e.flight = &flight{version: e.s.Version, share: e.req.share, picks: p.picks, until: now.Add(answer)}
	for _, ip := range p.picks {
		t.flying[ip] = append(t.flying[ip], e)
		t.share(e.flight.share, ip, 1)
		t.spend(e, ip, 1)
		t.weigh(ip)
	}
	t.setTimer(e, e.flight.until)
}

// land ends a flight; picks that nobody holds go back.
func (t *Table) land(e *entry) {
	f := e.flight
	if f == nil {
		return
	}
	e.flight = nil
	for _, ip := range f.picks {
		t.share(f.share, ip, -1)
		t.spend(e, ip, -1)
		if t.flying[ip] = without(t.flying[ip], e); len(t.flying[ip]) == 0 {
			delete(t.flying, ip)
		}
		t.weigh(ip)
		if t.taken(ip) {
			t.shareable(ip, f.share)
		} else if s := t.freeListOf(ip); s != nil {
			s.putBack(ip)
			t.stir(ip)
		}
		for o := range t.wanted[ip] {
			t.mark(o)
		}
	}
}

// Done tells how the write of a step ended: nil when it was accepted. The Service is decided again
// once the stream shows another version of it, or after a while.
func (t *Table) Done(s Step, now time.Time, err error) {
	e := t.entries[s.Service]
	if e != nil && e.s.UID == s.UID && err == nil {
		for _, writer := range s.names {
			e.open()
			e.over.name(writer)
		}
	}
	if e == nil || e.s.UID != s.UID || e.flight == nil || e.flight.version != s.Version {
		return // the stream was faster
	}
	e.open()
	wait := echo
	if e.fails++; err == nil {
		e.fails, e.flight.written = 0, true
	} else {
		e.flight.bound = nil
		wait = growing(e.fails)
	}
	e.flight.until = now.Add(wait)
	t.setTimer(e, e.flight.until)
}

// rank asks for this speaker's rank once for each pool and call of Steps.
func (t *Table) rank(v *View, pool string) int {
	r, ok := t.ranks[pool]
	if !ok {
		r = v.rank(pool)
		t.ranks[pool] = r
	}
	return r
}

// growing is the wait after so many failures in a row.
func growing(fails int) time.Duration { return min(firstRetry<<min(max(fails-1, 0), 10), lastRetry) }
