package record

import (
	"maps"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
)

// How much is reported.
const (
	Memory = 10 * time.Minute // an Event is counted up for so long
	Burst  = 25               // Events of one Service or Node at once
	Refill = 15 * time.Second // and one more after each of these

	NamespaceBurst  = 250             // Events of all Services of a namespace at once
	NamespaceRefill = 2 * time.Second // and one more after each of these
)

type sentEvent struct {
	name  string
	count int32
	last  time.Time
}

// recentEvents remembers what was sent lately, and how much room each Service, Node and namespace
// has left. It is used by one goroutine.
type recentEvents struct {
	sent aging[Event, sentEvent]
	room aging[string, *rate.Limiter] // by UID
	in   aging[string, *rate.Limiter] // by namespace
}

func newRecentEvents() *recentEvents {
	return &recentEvents{
		sent: newAging[Event](func(s sentEvent, now time.Time) bool { return now.Sub(s.last) >= Memory }),
		room: newAging[string](func(l *rate.Limiter, now time.Time) bool { return l.TokensAt(now) >= Burst }),
		in:   newAging[string](func(l *rate.Limiter, now time.Time) bool { return l.TokensAt(now) >= NamespaceBurst }),
	}
}

func (r *recentEvents) find(e Event, now time.Time) (sentEvent, bool) {
	s, ok := r.sent.entries[e]
	return s, ok && now.Sub(s.last) < Memory
}

func (r *recentEvents) remember(e Event, s sentEvent, now time.Time) {
	s.last = now
	r.sent.set(e, s, now)
}

// allow reports whether there is room for one more Event of the Service or Node, and of a Service's
// namespace: a Service that is made and deleted without end has a new UID each time.
func (r *recentEvents) allow(about corev1.ObjectReference, now time.Time) bool {
	if !roomOf(&r.room, string(about.UID), Refill, Burst, now).AllowN(now, 1) {
		return false
	}
	return about.Namespace == "" || roomOf(&r.in, about.Namespace, NamespaceRefill, NamespaceBurst, now).AllowN(now, 1)
}

func roomOf(all *aging[string, *rate.Limiter], name string, refill time.Duration, burst int, now time.Time) *rate.Limiter {
	room, ok := all.entries[name]
	if !ok {
		room = rate.NewLimiter(rate.Every(refill), burst)
		all.set(name, room, now)
	}
	return room
}

// An aging map forgets what is old. It looks for that whenever it has doubled, so that a set costs
// little on average and no more than twice the live entries are kept, and forgets everything when
// too much of it is young.
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
