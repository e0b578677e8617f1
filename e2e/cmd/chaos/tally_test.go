package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/e2e/chaos"
)

func TestTally(t *testing.T) {
	var got tally
	for _, tt := range []struct {
		name string
		out  chaos.Outcome
		mark bool
	}{
		{"quiet", chaos.Outcome{Asked: 100, Gap: 20 * time.Millisecond}, false},
		{"at the limits", chaos.Outcome{Asked: 100, Lost: 9, Gap: chaos.MaxGap, Double: chaos.MaxDouble}, false},
		{"a long gap", chaos.Outcome{Asked: 100, Lost: 80, Gap: chaos.MaxGap + 1}, true},
		{"two answers", chaos.Outcome{Asked: 100, Double: chaos.MaxDouble + 1}, true},
	} {
		if mark := got.add(tt.out); mark != tt.mark {
			t.Errorf("%s: marked %v, want %v", tt.name, mark, tt.mark)
		}
	}
	want := tally{faults: 4, asked: 400, lost: 89, marked: 2, gap: chaos.MaxGap + 1, double: chaos.MaxDouble + 1}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(tally{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	const line = "4 faults, 2 of them marked; longest 1500 ms without answer and 1000 ms with two; 89 of 400 connections lost"
	if got.String() != line {
		t.Errorf("%q, want %q", got, line)
	}
}
