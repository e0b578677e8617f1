// Package wake joins the times at which something wants to be looked at again.
package wake

import "time"

// Earlier is the earlier of two times, where zero means never.
func Earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
