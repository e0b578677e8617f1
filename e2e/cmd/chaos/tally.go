package main

import (
	"fmt"
	"time"

	"github.com/starling-lb/starling/e2e/chaos"
)

// tally sums up outcomes.
type tally struct {
	faults, asked, lost, marked int
	gap, double                 time.Duration // The longest.
}

// add reports whether a client noticed too much.
func (t *tally) add(o chaos.Outcome) bool {
	t.faults++
	t.asked += o.Asked
	t.lost += o.Lost
	t.gap, t.double = max(t.gap, o.Gap), max(t.double, o.Double)
	if o.TooMuch() {
		t.marked++
	}
	return o.TooMuch()
}

func (t tally) String() string {
	return fmt.Sprintf("%d faults, %d of them marked; longest %d ms without answer and %d ms with two; %d of %d connections lost",
		t.faults, t.marked, t.gap.Milliseconds(), t.double.Milliseconds(), t.lost, t.asked)
}
