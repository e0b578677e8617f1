package main

import (
	"testing"
	"time"

	"github.com/starling-lb/starling/e2e/probe"
)

// TestMoves: only changes after the beginning count, and silence is no rest.
func TestMoves(t *testing.T) {
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name   string
		before []string // Who claimed the address.
		after  []string
		want   int
		silent bool
	}{
		{"nobody", nil, nil, 0, true},
		{"nobody any more", []string{"n1", "n2"}, nil, 0, true},
		{"one", nil, []string{"n1", "n1", "n1"}, 0, false},
		{"another before", []string{"n2"}, []string{"n1", "n1"}, 0, false},
		{"away and back", []string{"n1"}, []string{"n1", "n2", "n2", "n1"}, 2, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var claims []probe.Claim
			for i, mac := range append(append([]string{}, tt.before...), tt.after...) {
				claims = append(claims, probe.Claim{At: begun.Add(time.Duration(i-len(tt.before)) * time.Second), MAC: mac})
			}
			if n, err := moves(claims, begun); n != tt.want || (err != nil) != tt.silent {
				t.Errorf("%d, %v; want %d, an error: %v", n, err, tt.want, tt.silent)
			}
		})
	}
}
