package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestManySpeakerless: they share a condition.
func TestManySpeakerless(t *testing.T) {
	t.Parallel()
	l := Speakerless{Unselected: []string{"n1", "n2", "n3", "n4", "n5"}, Missing: []string{"n6", "n7"}}
	want := []string{
		"n1, n2, n3 and 2 more run no speaker (the DaemonSet does not select them)",
		"no speaker of n6, n7 was ever heard, though the DaemonSet selects them",
	}
	if diff := cmp.Diff(want, Words(l.Conditions())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
