package health

import (
	"slices"
	"time"
)

// Shown returns the conditions that people are to see now, sorted by [Condition.Compare]: those
// that have lasted long enough by their rules and that no other one of them explains. A condition
// that does not know when it began has lasted long enough. Wake is when the next one will have
// lasted long enough; zero if none waits.
func Shown(all []Condition, now time.Time) (shown []Condition, wake time.Time) {
	present := make(map[key]bool, len(all))
	hidden := map[key]bool{}
	for _, c := range all {
		present[c.key()] = true
		for _, code := range c.Code.Rule().Hides {
			hidden[key{code, c.Subject}] = true
		}
	}
	for _, c := range all {
		at := c.Since.Add(c.Code.Rule().After)
		switch {
		case hidden[c.key()]:
		case !c.Since.IsZero() && now.Before(at):
			if wake.IsZero() || at.Before(wake) {
				wake = at
			}
		case !slices.Contains(shown, c):
			shown = append(shown, c)
		}
	}
	slices.SortStableFunc(shown, Condition.Compare)
	return shown, wake
}

// Tracker remembers since when conditions last. Its zero value is ready to use.
type Tracker struct {
	since map[key]span
}

// span is how long a condition has been there.
type span struct {
	from, over time.Time // since when, and when it was not there any more; zero: it is
}

// Track returns the conditions with the time at which each began, as far as it does not say so
// itself, and forgets those that are over. A condition is the same as before if code and subject
// are, however it is worded. One that is back within [settled] has not been over: gossip to a node
// behind a firewall comes and goes.
func (t *Tracker) Track(all []Condition, now time.Time) []Condition {
	since := make(map[key]span, len(all))
	for k, s := range t.since {
		if s.over.IsZero() {
			s.over = now
		}
		if now.Sub(s.over) < settled {
			since[k] = s
		}
	}
	out := slices.Clone(all)
	for i := range out {
		c := &out[i]
		if !c.Since.IsZero() {
			continue
		}
		s, known := since[c.key()]
		if !known {
			s.from = now
		}
		since[c.key()], c.Since = span{from: s.from}, s.from
	}
	t.since = since
	return out
}

// Count is how many conditions there are of each severity.
func Count(all []Condition) map[Severity]int {
	n := map[Severity]int{}
	for _, c := range all {
		n[c.Severity]++
	}
	return n
}
