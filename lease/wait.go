package lease

import (
	"container/heap"
	"net/netip"
	"slices"
	"time"
)

// wait is what a Service without an address waits for: addresses, or a turn in a queue, or a chance to
// share one that is held with its key, or all of these.
type wait struct {
	ips   []netip.Addr
	queue *queue
	share string
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
	if w := e.wait; w != nil && w.same(f) && w.share == e.req.share {
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
		e.wait.queue, e.wait.share = t.enter(e, f), e.req.share
		t.mayShare(e, true)
	}
}

// mayShare enters a Service that waits with a sharing key under it, or takes it out.
func (t *Table) mayShare(e *entry, waits bool) {
	key := e.wait.share
	switch {
	case key == "":
	case waits && t.sharers[key] == nil:
		t.sharers[key] = map[*entry]struct{}{e: {}}
	case waits:
		t.sharers[key][e] = struct{}{}
	default:
		if delete(t.sharers[key], e); len(t.sharers[key]) == 0 {
			delete(t.sharers, key)
		}
	}
}

// shareable has those looked at that wait and may share an address of this key now.
func (t *Table) shareable(ip netip.Addr, key string) {
	for e := range t.sharers[key] {
		if o, _ := t.obstacle(e, ip); o == nil {
			t.mark(e)
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
	t.mayShare(e, false)
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
	if i == 0 {
		q.list = q.list[1:]
		t.stirred[q] = struct{}{}
	} else {
		q.list = slices.Delete(q.list, i, i+1)
	}
	if len(q.list) == 0 {
		delete(t.queues, q.name)
		delete(t.stirred, q)
	}
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
			t.stirred[q] = struct{}{}
		}
	}
}

// heads marks the first ones of the stirred queues.
func (t *Table) heads() {
	for q := range t.stirred {
		t.mark(q.list[0])
	}
	clear(t.stirred)
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

// alarms is a heap of times at which Services are to be looked at again. Of several for one Service
// only the one that it remembers counts.
type alarms []alarm

type alarm struct {
	at time.Time
	e  *entry
}

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a alarms) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *alarms) Push(x any)        { *a = append(*a, x.(alarm)) }
func (a *alarms) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}

// wake sets the alarm of a Service, or brings it forward.
func (t *Table) wake(e *entry, at time.Time) {
	if at.IsZero() || e.agenda != nil && !e.alarm.IsZero() && !at.Before(e.alarm) {
		return
	}
	e.open()
	e.alarm = at
	heap.Push(&t.alarms, alarm{at: at, e: e})
}

// ring marks the Services whose alarm is due.
func (t *Table) ring(now time.Time) {
	for at := t.nextAlarm(); !at.IsZero() && !at.After(now); at = t.nextAlarm() {
		e := t.alarms[0].e
		e.alarm = time.Time{}
		t.mark(e)
	}
}

// nextAlarm returns the time of the next alarm that still counts, or zero.
func (t *Table) nextAlarm() time.Time {
	for len(t.alarms) > 0 {
		a := t.alarms[0]
		if a.e.agenda != nil && a.e.alarm.Equal(a.at) && t.entries[a.e.s.Key()] == a.e {
			return a.at
		}
		heap.Pop(&t.alarms)
	}
	return time.Time{}
}
