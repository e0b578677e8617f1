package report

import (
	"testing"

	"github.com/starling-lb/starling/owner"
)

func TestChangeWords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ owner, from, cause, want string }{
		{"n1", "", CauseNew, "new to this speaker"},
		{"", "", CauseNew, "nobody may announce it since it is known"},
		{"n1", "", CauseEligible, "n1 may announce it, after nobody could"},
		{"n1", "n2", CauseLost, "n2 was lost"},
		{"", "n2", CauseLost, "n2 may not announce it any more"},
		{"n1", "n2", CauseMoved, "moved from n2"},
	} {
		election := Election{Result: owner.Result{Owner: tt.owner}, From: tt.from, Cause: tt.cause}
		if got := election.words(); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}
