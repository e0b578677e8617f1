package lease

import (
	"container/heap"
	"net/netip"
	"slices"
	"time"
)

// wait is what a Service without an address waits for: addresses, or a turn in a queue, or both.
// One with a sharing key that is in a queue is also looked at, out of its turn, when an address
// that is held with that key changes.
type wait struct {
	ips   []netip.Addr
	queue *queue
	pool  string // counted there, or ""
}

// queue are Services that want the same of the same pools, in order of creation. When the first one
// cannot be served no other can, so only the first one is looked at.
type queue struct {
	name  string
	pools []string
	list  []*entry
}

// await registers what a Service waits for in place of what it waited for before; nil is nothing.
func (t *Table) await(e *entry, f *failure) {
	if f == nil {
		f = &failure{}
	}
	if w := e.wait; w != nil && w.same(f) {
		return
	}
	t.forget(e)
	if len(f.ips) == 0 && f.queue == "" {
		return
	}
	e.wait = &wait{ips: f.ips, pool: f.count}
	if f.count != "" {
		t.waiting[f.count]++
	}
	for _, ip := range f.ips {
		if t.wanted[ip] == nil {
			t.wanted[ip] = make(map[*entry]struct{})
		}
		t.wanted[ip][e] = struct{}{}
	}
	if f.queue != "" {
		e.wait.queue = t.enter(e, f)
	}
}

// shareable has those looked at that wait and may share an address of this key now.
func (t *Table) shareable(ip netip.Addr, key string) {
	if key == "" {
		return
	}
	for _, q := range t.queues {
		for _, e := range q.list {
			if e.req.share != key || e.dirty {
				continue
			}
			if o, _ := t.obstacle(e, ip); o == nil {
				t.mark(e)
			}
		}
	}
}

func (t *Table) enter(e *entry, f *failure) *queue {
	q := t.queues[f.queue]
	if q == nil {
		q = &queue{name: f.queue, pools: f.pools}
		t.queues[f.queue] = q
	}
	i, _ := slices.BinarySearchFunc(q.list, e, older)
	q.list = slices.Insert(q.list, i, e)
	return q
}

// same reports whether nothing is to be changed to wait because of this failure.
func (w *wait) same(f *failure) bool {
	name := ""
	if w.queue != nil {
		name = w.queue.name
	}
	return name == f.queue && w.pool == f.count && slices.Equal(w.ips, f.ips)
}

// forget takes a Service out of what it waits for; the next one in its queue is looked at.
func (t *Table) forget(e *entry) {
	w := e.wait
	if w == nil {
		return
	}
	e.wait = nil
	if w.pool != "" {
		t.waiting[w.pool]--
	}
	for _, ip := range w.ips {
		if delete(t.wanted[ip], e); len(t.wanted[ip]) == 0 {
			delete(t.wanted, ip)
		}
	}
	if q := w.queue; q != nil {
		t.leave(q, e)
	}
}

func (t *Table) leave(q *queue, e *entry) {
	i, _ := slices.BinarySearchFunc(q.list, e, older)
	if i > 0 {
		q.list = slices.Delete(q.list, i, i+1)
		return
	}
	if q.list = q.list[1:]; len(q.list) == 0 {
		delete(t.queues, q.name)
		return
	}
	t.mark(q.list[0])
}

// first reports whether a Service is the first of its queue.
func (e *entry) first() bool {
	return e.wait == nil || e.wait.queue == nil || e.wait.queue.list[0] == e
}

// stir has the first one of each queue for the pool of an address looked at.
func (t *Table) stir(ip netip.Addr) {
	name := t.poolName(ip)
	for _, q := range t.queues {
		if slices.Contains(q.pools, name) {
			t.mark(q.list[0])
		}
	}
}

// work is a heap of Services to look at, the oldest first.
type work []*entry

func (w work) Len() int           { return len(w) }
func (w work) Less(i, j int) bool { return older(w[i], w[j]) < 0 }
func (w work) Swap(i, j int)      { w[i], w[j] = w[j], w[i] }
func (w *work) Push(x any)        { *w = append(*w, x.(*entry)) }
func (w *work) Pop() any {
	old := *w
	last := old[len(old)-1]
	*w = old[:len(old)-1]
	return last
}

// timers is a heap of the Services that are to be looked at again at a time, the next one first.
// Each knows its place.
type timers []*entry

func (a timers) Len() int           { return len(a) }
func (a timers) Less(i, j int) bool { return a[i].timer.Before(a[j].timer) }
func (a timers) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].place, a[j].place = i, j
}

func (a *timers) Push(x any) {
	e := x.(*entry)
	e.place = len(*a)
	*a = append(*a, e)
}

func (a *timers) Pop() any {
	old := *a
	n := len(old) - 1
	last := old[n]
	old[n] = nil // so that a Service that is gone is not kept
	*a = old[:n]
	return last
}

// setTimer sets the timer of a Service, or brings it forward.
func (t *Table) setTimer(e *entry, at time.Time) {
	if at.IsZero() || e.agenda != nil && !e.timer.IsZero() && !at.Before(e.timer) {
		return
	}
	t.stopTimer(e)
	e.open()
	e.timer = at
	heap.Push(&t.timers, e)
}

// stopTimer takes back the timer of a Service.
func (t *Table) stopTimer(e *entry) {
	if e.agenda != nil && !e.timer.IsZero() {
		heap.Remove(&t.timers, e.place)
		e.timer = time.Time{}
	}
}

// fire marks the Services whose timer is due.
func (t *Table) fire(now time.Time) {
	for at := t.nextTimer(); !at.IsZero() && !at.After(now); at = t.nextTimer() {
		e := t.timers[0]
		t.stopTimer(e)
		t.mark(e)
	}
}

// nextTimer returns the time of the next timer, or zero.
func (t *Table) nextTimer() time.Time {
	if len(t.timers) == 0 {
		return time.Time{}
	}
	return t.timers[0].timer
}
