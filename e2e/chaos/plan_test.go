package chaos

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPlanIsRepeatable(t *testing.T) {
	if diff := cmp.Diff(Plan(7, 3, 200), Plan(7, 3, 200)); diff != "" {
		t.Errorf("twice the same seed: %s", diff)
	}
	if cmp.Equal(Plan(7, 3, 200), Plan(8, 3, 200)) {
		t.Error("two seeds, one plan")
	}
}

// TestPlanLeavesSomebody follows many plans: somebody could always answer, what is healed was
// broken, nothing is broken twice, and every kind of fault comes and goes.
func TestPlanLeavesSomebody(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(200) {
		s := state{nodes: 3, hurt: map[Fault]bool{}}
		for i, f := range Plan(seed, 3, 100, More()...) {
			if f.Rest < restLeast || f.Rest > restMost {
				t.Fatalf("seed %d, fault %d: a rest of %v", seed, i, f.Rest)
			}
			f.Rest = 0
			seen[string(f.Kind)] = true
			if lasting := f.Kind != Term && f.Kind != Kill; lasting && s.hurt[Fault{Kind: f.Kind, Node: f.Node}] != f.Heal {
				t.Fatalf("seed %d, fault %d: %s, while broken are %v", seed, i, f, s.hurt)
			}
			s.apply(f)
			if !s.whole(0) && !s.spare(0) {
				t.Fatalf("seed %d, fault %d: after %s nobody could answer", seed, i, f)
			}
			if s.is(Mute) && s.anyDeaf() {
				t.Fatalf("seed %d, fault %d: gossip is blocked twice", seed, i)
			}
			for n := range 3 {
				if s.hurt[Fault{Kind: Loss, Node: n}] && s.hurt[Fault{Kind: Repeat, Node: n}] {
					t.Fatalf("seed %d, fault %d: the port of n%d is impaired twice", seed, i, n+1)
				}
				if s.hurt[Fault{Kind: Ahead, Node: n}] && s.hurt[Fault{Kind: Behind, Node: n}] {
					t.Fatalf("seed %d, fault %d: the clock of n%d is ahead and behind", seed, i, n+1)
				}
			}
		}
	}
	if len(seen) != 7+len(More()) {
		t.Errorf("only %v happened", seen)
	}
}

// TestPlanWithoutMore: what must be asked for does not happen by itself.
func TestPlanWithoutMore(t *testing.T) {
	for seed := range uint64(50) {
		for _, f := range Plan(seed, 3, 100) {
			if slices.Contains(More(), f.Kind) {
				t.Fatalf("seed %d: %s", seed, f)
			}
		}
	}
}

func TestFaultString(t *testing.T) {
	for want, f := range map[string]Fault{
		"link cut n2":                       {Kind: Cut, Node: 1},
		"link cut n2, healed":               {Kind: Cut, Node: 1, Heal: true},
		"API server away":                   {Kind: NoAPI, Node: -1},
		"gossip blocked towards n1":         {Kind: Deaf, Node: 0},
		"gossip blocked everywhere":         {Kind: Mute, Node: -1},
		"pod deleted n3":                    {Kind: Term, Node: 2},
		"API server away, healed":           {Kind: NoAPI, Node: -1, Heal: true},
		"gossip blocked towards n1, healed": {Kind: Deaf, Node: 0, Heal: true},
	} {
		if got := f.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
