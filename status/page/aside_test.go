package page

import (
	"testing"

	"github.com/starling-lb/starling/api"
)

// TestAside: what else is said of a member's condition beside the word for it.
func TestAside(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   api.Member
		want string
	}{
		{"well", api.Member{Health: "ready", Tier: "normal"}, ""},
		{"cordoned", api.Member{Health: "ready", Tier: "cordoned"}, "cordoned"},
		{"draining", api.Member{Health: "draining", Tier: "draining"}, ""},
		{"unfit", api.Member{Health: "ready", Unfit: "excluded"}, "excluded"},
		{"came back", api.Member{Health: "returning", Tier: "recently returned", Hold: "others go first until 12:00:00"}, "others go first until 12:00:00"},
		{"absent", api.Member{Health: "absent", Tier: "normal", Away: "keeps its addresses until 12:00:00, and n2 answers for them"}, "keeps its addresses until 12:00:00, and n2 answers for them"},
	} {
		if got := (member{Member: tt.in}).Aside(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
