package main

import (
	"errors"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/e2e/chaos"
)

func TestChoose(t *testing.T) {
	every := []string{"three", "planned", "connections", "five", "gossip", "gossip5", "half", "twenty", "calm", "random"}
	for _, tt := range []struct {
		name string
		args []string
		want []string // none: refused
	}{
		{"nothing", nil, nil},
		{"unknown command", []string{"bogus"}, nil},
		{"leases", []string{"leases"}, []string{"allocation", "restart", "fill"}},
		{"some of the leases", []string{"leases", "restart"}, []string{"restart"}},
		{"leases have no options", []string{"leases", "-minutes", "3"}, nil},
		{"leases have other parts", []string{"leases", "five"}, nil},
		{"all faults", []string{"faults"}, every},
		{"cut short", []string{"faults", "-minutes", "3", "-count", "20", "-seed", "7"}, every},
		{"some faults in the order asked for", []string{"faults", "-seed", "7", "random", "five"}, []string{"random", "five"}},
		{"unknown part", []string{"faults", "six"}, nil},
		{"no number", []string{"faults", "-minutes", "many"}, nil},
		{"no round", []string{"faults", "-rounds", "0"}, nil},
		{"two rounds", []string{"faults", "-rounds", "2", "half"}, []string{"half"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			parts, err := choose(tt.args)
			if (err == nil) != (tt.want != nil) {
				t.Fatalf("error: %v", err)
			}
			var got []string
			for _, p := range parts {
				got = append(got, p.name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
		})
	}
}

// TestUsage: the help names every part and every option, and asking for it is no mistake.
func TestUsage(t *testing.T) {
	for _, command := range []string{"leases", "faults"} {
		parts, err := choose([]string{command})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			if !strings.Contains(usage, "\n    "+p.name+" ") {
				t.Errorf("the help does not explain %s %s", command, p.name)
			}
		}
	}
	for _, option := range []string{"rounds", "minutes", "count", "seed"} {
		if _, err := choose([]string{"faults", "-" + option, "3"}); err != nil || !strings.Contains(usage, "-"+option+" N") {
			t.Errorf("-%s: %v, or not in the help", option, err)
		}
	}
	for _, args := range [][]string{{"--help"}, {"-h"}, {"help"}, {"faults", "--help"}, {"leases", "-h"}} {
		if _, err := choose(args); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestTally(t *testing.T) {
	var got tally
	for _, tt := range []struct {
		name string
		out  chaos.Outcome
		told bool
	}{
		{"quiet", chaos.Outcome{Asked: 100, Gap: 20 * time.Millisecond}, false},
		{"at the limits", chaos.Outcome{Asked: 100, Lost: 9, Gap: gapMost, Double: doubleMost}, false},
		{"a long gap", chaos.Outcome{Asked: 100, Lost: 80, Gap: gapMost + 1}, true},
		{"two answers", chaos.Outcome{Asked: 100, Double: doubleMost + 1}, true},
	} {
		if told := got.add(tt.out); told != tt.told {
			t.Errorf("%s: told %v, want %v", tt.name, told, tt.told)
		}
	}
	want := tally{faults: 4, asked: 400, lost: 89, gaps: 1, doubles: 1, gap: gapMost + 1, double: doubleMost + 1}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(tally{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
