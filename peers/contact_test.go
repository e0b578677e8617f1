package peers

import (
	"testing"
	"time"
)

// TestContact follows one node through an outage of the API server.
func TestContact(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	tc := contact{times: new(Times())}
	for _, step := range []struct {
		now, contact int
		want         Contact
	}{
		{0, 0, InTouch},
		{30, 0, InTouch},
		{31, 0, Unsure},
		{60, 0, Unsure},
		{61, 0, OutOfTouch},
		{3600, 0, OutOfTouch},
		{3601, 3601, Unsure}, // contact again, not yet steady
		{3629, 3629, Unsure},
		{3630, 3630, InTouch},
		{3700, 3665, Unsure}, // a second break
		{3701, 3701, Unsure},
		{3730, 3730, InTouch},
	} {
		if got := tc.at(at(step.now), at(step.contact)); got != step.want {
			t.Errorf("at %d s with contact at %d s: %d, want %d", step.now, step.contact, got, step.want)
		}
	}
	if got := (&contact{times: new(Times())}).at(start, time.Time{}); got != OutOfTouch {
		t.Errorf("without any contact: %d", got)
	}
}

// TestOutageMovesNothing: two members that notice an outage and its end some
// seconds apart are never in the pair of values that would move addresses.
func TestOutageMovesNothing(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	for _, skew := range []int{1, 5, 15, 25} {
		a, b := contact{times: new(Times())}, contact{times: new(Times())}
		for s := range 400 {
			now := start.Add(time.Duration(s) * time.Second)
			contact := func(from, to int) time.Time { // lost from, back at to
				if s >= from && s < to {
					return start.Add(time.Duration(from) * time.Second)
				}
				return now
			}
			x, y := a.at(now, contact(100, 250)), b.at(now, contact(100+skew, 250+skew))
			if min(x, y) == InTouch && max(x, y) == OutOfTouch {
				t.Fatalf("skew %d s: after %d s one tells %d, the other %d", skew, s, x, y)
			}
		}
	}
}
