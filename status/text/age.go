package text

import (
	"fmt"
	"time"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// ages are how an age is written, by the first limit that it is below: in units of big and, where
// small is set, in what is left of it. Kubernetes users know these from `kubectl get`.
var ages = []struct {
	below      time.Duration
	big, small time.Duration
	unit, rest string
}{
	{2 * time.Minute, time.Second, 0, "s", ""},
	{10 * time.Minute, time.Minute, time.Second, "m", "s"},
	{3 * time.Hour, time.Minute, 0, "m", ""},
	{8 * time.Hour, time.Hour, time.Minute, "h", "m"},
	{2 * day, time.Hour, 0, "h", ""},
	{8 * day, day, time.Hour, "d", "h"},
	{2 * year, day, 0, "d", ""},
	{8 * year, year, day, "y", "d"},
}

// Age writes a duration in one or two units, as kubectl does. A negative one, which clocks that
// differ cause, is no age at all: 0s.
func Age(d time.Duration) string {
	d = max(d, 0)
	for _, a := range ages {
		if d >= a.below {
			continue
		}
		s := fmt.Sprintf("%d%s", d/a.big, a.unit)
		if a.small == 0 {
			return s
		}
		if rest := d % a.big / a.small; rest > 0 {
			s += fmt.Sprintf("%d%s", rest, a.rest)
		}
		return s
	}
	return fmt.Sprintf("%dy", d/year)
}

// Since is the age of a moment, "" for no moment.
func Since(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return Age(now.Sub(t))
}
