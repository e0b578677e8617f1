package speaker

import (
	"testing"
	"time"
)

// TestTouch follows one node through an outage of the API server.
func TestTouch(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	var tc touch
	for _, step := range []struct {
		now, contact int
		want         time.Duration
	}{
		{0, 0, inTouch},
		{30, 0, inTouch},
		{31, 0, unsure},
		{60, 0, unsure},
		{61, 0, outOfTouch},
		{3600, 0, outOfTouch},
		{3601, 3601, unsure}, // contact again, not yet steady
		{3629, 3629, unsure},
		{3630, 3630, inTouch},
		{3700, 3665, unsure}, // a second break
		{3701, 3701, unsure},
		{3730, 3730, inTouch},
	} {
		if got := tc.age(at(step.now), at(step.contact)); got != step.want {
			t.Errorf("at %d s with contact at %d s: %s, want %s", step.now, step.contact, got, step.want)
		}
	}
	if got := new(touch).age(start, time.Time{}); got != outOfTouch {
		t.Errorf("without any contact: %s", got)
	}
}

// TestOutageMovesNothing: two members that notice an outage and its end some
// seconds apart are never in the pair of values that would move addresses.
func TestOutageMovesNothing(t *testing.T) {
	start := time.Unix(1_800_000_000, 0)
	for _, skew := range []int{1, 5, 15, 25} {
		var a, b touch
		for s := range 400 {
			now := start.Add(time.Duration(s) * time.Second)
			contact := func(from, to int) time.Time { // lost from, back at to
				if s >= from && s < to {
					return start.Add(time.Duration(from) * time.Second)
				}
				return now
			}
			x, y := a.age(now, contact(100, 250)), b.age(now, contact(100+skew, 250+skew))
			if min(x, y) == inTouch && max(x, y) == outOfTouch {
				t.Fatalf("skew %d s: after %d s one tells %s, the other %s", skew, s, x, y)
			}
		}
	}
}
