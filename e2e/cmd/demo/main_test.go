package main

import "testing"

// TestUnknownCommands must end before anything is built or touched.
func TestUnknownCommands(t *testing.T) {
	for _, args := range [][]string{{"bogus"}, {"up", "down"}, {""}, {"-h"}} {
		if code := run(t.Context(), args); code != 2 {
			t.Errorf("%q: exit code %d, want 2", args, code)
		}
	}
}
