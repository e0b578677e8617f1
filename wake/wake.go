// Package wake joins the times at which something wants to be looked at again. A pure machine
// returns such a time with everything else that is ready. Zero means never: not before the next
// event. Whoever drives several machines waits for the earliest of their times.
package wake

import "time"

// Earlier is the earlier of two times, where zero means never.
func Earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
