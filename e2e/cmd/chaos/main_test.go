package main

import (
	"errors"
	"strings"
	"testing"
)

func TestRefused(t *testing.T) {
	for _, args := range [][]string{{"-count", "0"}, {"-count", "some"}, {"-seed", "-1"}, {"faults"}, {"-rounds", "3"}} {
		if code := run(t.Context(), args); code != 2 {
			t.Errorf("%q ends with %d, want 2", args, code)
		}
	}
	if code := run(t.Context(), []string{"-h"}); code != 0 {
		t.Errorf("help ends with %d", code)
	}
}

// TestConcluded: whatever was wrong or failed, what was seen is saved and named, and all is said.
func TestConcluded(t *testing.T) {
	failed, full := errors.New("speakers: not steady"), errors.New("disk full")
	for _, tt := range []struct {
		name   string
		wrong  int
		failed error
		save   error
		want   []string // none: all well
	}{
		{"all well", 0, nil, nil, nil},
		{"something wrong", 2, nil, nil, []string{"seed 7", "(logs and history: /logs)", "2 things"}},
		{"failed", 0, failed, nil, []string{"seed 7", "(logs and history: /logs)", failed.Error()}},
		{"both, and nothing can be saved", 1, failed, full, []string{"seed 7", "1 things", failed.Error(), full.Error()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			saved := false
			err := concluded(7, tt.wrong, tt.failed, func() (string, error) {
				saved = true
				return "/logs", tt.save
			})
			if (err != nil) != (tt.want != nil) || saved != (tt.want != nil) {
				t.Fatalf("%v, saved %v", err, saved)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}
