package routes

import (
	"time"

	"github.com/starling-lb/starling/wake"
)

// clock knows since when things have been so. Its zero value knows nothing.
type clock[K comparable] struct{ before, since map[K]time.Time }

// begin begins a look at all things. What is not marked until the next look is so no longer.
func (c *clock[K]) begin() { c.before, c.since = c.since, map[K]time.Time{} }

// mark notes that a thing is so, and reports whether it has been for that long. If not, next is
// when it will have been, unless it is earlier already.
func (c *clock[K]) mark(k K, now time.Time, long time.Duration, next *time.Time) bool {
	began, known := c.before[k]
	if !known {
		began = now
	}
	c.since[k] = began
	if end := began.Add(long); now.Before(end) {
		*next = wake.Earlier(*next, end)
		return false
	}
	return true
}
