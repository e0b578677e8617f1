package main

import (
	"errors"
	"flag"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChoose(t *testing.T) {
	every := []string{"three", "planned", "connections", "away", "reboot", "five", "gossip", "gossip5", "half", "twenty", "calm"}
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
		{"cut short", []string{"faults", "-minutes", "3", "-rounds", "2"}, every},
		{"some faults in the order asked for", []string{"faults", "-minutes", "7", "calm", "five"}, []string{"calm", "five"}},
		{"unknown part", []string{"faults", "six"}, nil},
		{"no number", []string{"faults", "-minutes", "many"}, nil},
		{"no round", []string{"faults", "-rounds", "0"}, nil},
		{"some faults of a router", []string{"bgp", "-only", "few: silent", "frr"}, []string{"frr"}},
		{"all of a router", []string{"bgp"}, []string{"bird", "frr", "thousand"}},
		{"some faults of all routers", []string{"bgp", "-only", "BFD"}, []string{"bird", "frr"}},
		{"some faults of a part without any", []string{"bgp", "-only", "BFD", "thousand"}, nil},
		{"no such fault", []string{"bgp", "-only", "few: silnt"}, nil},
		{"no regular expression", []string{"bgp", "-only", "("}, nil},
		{"detection", []string{"detection"}, []string{"fast", "default", "calm"}},
		{"some of detection", []string{"detection", "-minutes", "1", "-svg", "x.svg", "-record", "x.json", "calm"}, []string{"calm"}},
		{"no minute of detection", []string{"detection", "-minutes", "0"}, nil},
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
	for _, command := range []string{"leases", "faults", "bgp", "detection"} {
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
	for _, option := range []string{"rounds", "minutes"} {
		if _, err := choose([]string{"faults", "-" + option, "3"}); err != nil || !strings.Contains(usage, "-"+option+" N") {
			t.Errorf("-%s: %v, or not in the help", option, err)
		}
	}
	if _, err := choose([]string{"bgp", "-only", "BFD"}); err != nil || !strings.Contains(usage, "-only REGEXP") {
		t.Errorf("-only: %v, or not in the help", err)
	}
	for _, option := range []string{"record", "svg"} {
		if _, err := choose([]string{"detection", "-" + option, "x"}); err != nil || !strings.Contains(usage, "-"+option+" FILE") {
			t.Errorf("-%s: %v, or not in the help", option, err)
		}
	}
	for _, args := range [][]string{{"--help"}, {"-h"}, {"help"}, {"faults", "--help"}, {"leases", "-h"}} {
		if _, err := choose(args); !errors.Is(err, flag.ErrHelp) {
			t.Errorf("%q: %v", args, err)
		}
	}
}
