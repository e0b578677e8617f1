package watcher

import (
	"maps"
	"time"
)

const (
	eventMemory  = 10 * time.Minute // an Event is counted up for so long
	eventBurst   = 25               // Events of one Service at once
	eventRefill  = 15 * time.Second // and one more after each of these
	eventServing = 4096             // entries above which old ones are looked for
)

type sentEvent struct {
	name  string
	count int32
	last  time.Time
}

// recentEvents remembers what was sent lately, and how much room each Service has left. It is used by one goroutine.
type recentEvents struct {
	sent map[Event]sentEvent
	room map[string]bucket // by UID
}

// A bucket fills by one Event per eventRefill up to eventBurst.
type bucket struct {
	left int
	at   time.Time // when left was true
}

func newRecentEvents() *recentEvents {
	return &recentEvents{sent: map[Event]sentEvent{}, room: map[string]bucket{}}
}

func (r *recentEvents) find(e Event, now time.Time) (sentEvent, bool) {
	s, ok := r.sent[e]
	return s, ok && now.Sub(s.last) < eventMemory
}

func (r *recentEvents) remember(e Event, s sentEvent, now time.Time) {
	s.last = now
	r.sent[e] = s
	if len(r.sent) > eventServing {
		maps.DeleteFunc(r.sent, func(_ Event, s sentEvent) bool { return now.Sub(s.last) >= eventMemory })
	}
	if len(r.sent) > 2*eventServing {
		clear(r.sent)
	}
}

// allow takes one from the Service's bucket if there is one.
func (r *recentEvents) allow(uid string, now time.Time) bool {
	b, ok := r.room[uid]
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
	r.room[uid] = b
	if len(r.room) > eventServing {
		maps.DeleteFunc(r.room, func(_ string, b bucket) bool { return now.Sub(b.at) >= eventBurst*eventRefill })
	}
	return allowed
}
