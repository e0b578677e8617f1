package watcher

import (
	"maps"
	"time"
)

const (
	eventMemory = 10 * time.Minute // an Event is counted up for so long
	eventBurst  = 25               // Events of one Service or Node at once
	eventRefill = 15 * time.Second // and one more after each of these
)

type sentEvent struct {
	name  string
	count int32
	last  time.Time
}

// recentEvents remembers what was sent lately, and how much room each Service or Node has left. It is used by one goroutine.
type recentEvents struct {
	sent aging[Event, sentEvent]
	room aging[string, bucket] // by UID
}

// A bucket fills by one Event per eventRefill up to eventBurst.
type bucket struct {
	left int
	at   time.Time // when left was true
}

func newRecentEvents() *recentEvents {
	return &recentEvents{
		sent: newAging[Event](func(s sentEvent, now time.Time) bool { return now.Sub(s.last) >= eventMemory }),
		room: newAging[string](func(b bucket, now time.Time) bool { return now.Sub(b.at) >= eventBurst*eventRefill }),
	}
}

func (r *recentEvents) find(e Event, now time.Time) (sentEvent, bool) {
	s, ok := r.sent.entries[e]
	return s, ok && now.Sub(s.last) < eventMemory
}

func (r *recentEvents) remember(e Event, s sentEvent, now time.Time) {
	s.last = now
	r.sent.set(e, s, now)
}

// allow takes one from the bucket of the Service or Node if there is one.
func (r *recentEvents) allow(uid string, now time.Time) bool {
	b, ok := r.room.entries[uid]
	if !ok {
		b = bucket{left: eventBurst, at: now}
	}
	if n := int(now.Sub(b.at) / eventRefill); n > 0 {
		b.left, b.at = min(b.left+n, eventBurst), b.at.Add(time.Duration(n)*eventRefill)
	}
	allowed := b.left > 0
	if allowed {
		b.left--
	}
	r.room.set(uid, b, now)
	return allowed
}

// An aging map forgets what is old. It looks for that whenever it has doubled, so that a set costs little on average
// and no more than twice the live entries are kept, and forgets everything when too much of it is young.
type aging[K comparable, V any] struct {
	entries map[K]V
	old     func(V, time.Time) bool
	next    int // size at which to look
}

const (
	agingLeast = 1 << 10
	agingMost  = 1 << 15
)

func newAging[K comparable, V any](old func(V, time.Time) bool) aging[K, V] {
	return aging[K, V]{entries: map[K]V{}, old: old, next: agingLeast}
}

func (a *aging[K, V]) set(k K, v V, now time.Time) {
	a.entries[k] = v
	if len(a.entries) < a.next {
		return
	}
	maps.DeleteFunc(a.entries, func(_ K, v V) bool { return a.old(v, now) })
	if len(a.entries) >= agingMost {
		clear(a.entries)
	}
	a.next = max(agingLeast, 2*len(a.entries))
}
