package bgp

import (
	"math/rand/v2"
	"time"
)

const (
	firstPause = time.Second
	maxPause   = 16 * time.Second // between attempts that fail
	maxHeld    = 2 * time.Minute  // between sessions that come and go
	steady     = 2 * time.Minute  // a session that stood for so long is no flapping one
	flappingAt = 3                // so many sessions ended soon after each other
)

// backoff is how long to wait before the next attempt. A session that comes and goes costs the
// router more than an attempt that fails, so it is held back for longer.
type backoff struct {
	failures int // attempts in a row that failed
	flaps    int // sessions in a row that ended soon
}

// next is the pause after an attempt that became a session, or not, and lasted so long.
func (b *backoff) next(stood bool, lasted time.Duration) time.Duration {
	if !stood {
		b.failures++
		return doubled(b.failures, maxPause)
	}
	b.failures = 0
	if lasted >= steady {
		b.flaps = 0
	}
	b.flaps++
	return doubled(b.flaps, maxHeld)
}

func (b *backoff) flapping() bool { return b.failures == 0 && b.flaps >= flappingAt }

// doubled is the first pause, doubled n-1 times, less up to a quarter, so that speakers do not go
// in step.
func doubled(n int, most time.Duration) time.Duration {
	d := firstPause
	for ; n > 1 && d < most; n-- {
		d *= 2
	}
	d = min(d, most)
	return d - rand.N(d/4)
}
