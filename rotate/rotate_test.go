package rotate

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNext(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		keyring Keyring
		want    Step
	}{
		{"at rest", Keyring{[]string{"a"}, ""}, Add},
		{"at rest with a spare key", Keyring{[]string{"a", "b"}, ""}, Add},
		{"a mark whose key was taken out by hand", Keyring{[]string{"a"}, "b"}, Add},
		{"added", Keyring{[]string{"a", "b"}, "b"}, Use},
		{"added in the middle", Keyring{[]string{"a", "b", "c"}, "b"}, Use},
		{"used", Keyring{[]string{"b", "a"}, "b"}, Drop},
		{"alone", Keyring{[]string{"b"}, "b"}, Finish},
	} {
		if got := tt.keyring.Next(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestLacking(t *testing.T) {
	t.Parallel()
	holds := func(keys ...string) []Member { return []Member{{Name: "n1", Keys: keys}} }
	rest, added := Keyring{[]string{"a"}, ""}, Keyring{[]string{"a", "b"}, "b"}
	used, alone := Keyring{[]string{"b", "a"}, "b"}, Keyring{[]string{"b"}, "b"}
	for _, tt := range []struct {
		name    string
		keyring Keyring
		members []Member
		want    []string
	}{
		{"before: follows", rest, holds("a"), nil},
		{"before: follows, and is late to drop", rest, holds("a", "z"), nil},
		{"before: has other keys", rest, holds("z", "a"), []string{"n1 encrypts with z, not with the Secret's first key a; has it a --gossip-key-file?"}},
		{"added: holds it", added, holds("a", "b"), nil},
		{"added: uses it already", added, holds("b", "a"), nil},
		{"added: not yet", added, holds("a"), []string{"n1 lacks the key b, it holds a"}},
		{"used: uses it", used, holds("b", "a"), nil},
		{"used: not yet", used, holds("a", "b"), []string{"n1 encrypts with a, not yet with b"}},
		{"alone: alone", alone, holds("b"), nil},
		{"alone: not yet", alone, holds("b", "a"), []string{"n1 holds b a, not b alone"}},
		{"alone: another", alone, holds("z"), []string{"n1 holds z, not b alone"}},
		{"an older release", added, holds(), []string{"n1 does not tell its keys; is its release older?"}},
		{
			"each is named", added,
			[]Member{{Name: "n1", Keys: []string{"a"}}, {Name: "n2", Keys: []string{"a", "b"}}, {Name: "n3", Unknown: "is starting"}},
			[]string{"n1 lacks the key b, it holds a", "n3 is starting"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tt.keyring.Lacking(tt.members)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	a, b := []string{"a"}, []string{"b"}
	for _, tt := range []struct {
		name  string
		views []View
		want  []Member
		dead  []string
	}{
		{"nobody", nil, nil, nil},
		{
			"one tells of all",
			[]View{{"n1", []Seen{{"n1", "alive", a}, {"n2", "alive", b}, {"n3", "dead", a}, {"n4", "left", a}}}},
			[]Member{{"n1", a, ""}, {"n2", b, ""}},
			[]string{"n3"},
		},
		{
			"what a member says of itself counts",
			[]View{{"n1", []Seen{{"n1", "alive", a}, {"n2", "alive", a}}}, {"n2", []Seen{{"n1", "alive", b}, {"n2", "alive", b}}}},
			[]Member{{"n1", a, ""}, {"n2", b, ""}},
			nil,
		},
		{
			"two halves that take each other for dead",
			[]View{{"n1", []Seen{{"n1", "alive", a}, {"n2", "dead", a}}}, {"n2", []Seen{{"n1", "dead", a}, {"n2", "alive", b}}}},
			[]Member{{"n1", a, ""}, {"n2", b, ""}},
			nil,
		},
		{
			"two say different things of one that was not asked",
			[]View{{"n1", []Seen{{"n1", "alive", a}, {"n3", "alive", a}}}, {"n2", []Seen{{"n2", "alive", a}, {"n3", "alive", b}}}},
			[]Member{{"n1", a, ""}, {"n2", a, ""}, {"n3", a, ""}, {"n3", b, ""}},
			nil,
		},
		{"one that starts", []View{{"n1", nil}}, []Member{{"n1", nil, "is starting"}}, nil},
		{
			"alive on the wire alone",
			[]View{{"n1", []Seen{{"n1", "alive", a}, {"n2", "wire", a}}}},
			[]Member{{"n1", a, ""}, {"n2", nil, "is alive on the wire, but by gossip nobody hears which keys it holds"}},
			nil,
		},
		{
			"alive on the wire for one, by gossip for another",
			[]View{{"n1", []Seen{{"n1", "alive", a}, {"n3", "wire", b}}}, {"n2", []Seen{{"n2", "alive", a}, {"n3", "alive", a}}}},
			[]Member{{"n1", a, ""}, {"n2", a, ""}, {"n3", a, ""}},
			nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, Members(tt.views)); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.dead, Dead(tt.views)); diff != "" {
				t.Errorf("dead (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever keyring there is, however slowly members follow and in whatever order,
// a rotation ends with the new key alone, and at no time a member encrypts with a
// key that another one lacks.
func TestRotation(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		keyring := Keyring{Keys: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3, rapid.ID[string]).Draw(t, "keyring")}
		members := make([]Member, rapid.IntRange(1, 4).Draw(t, "members"))
		for i := range members {
			members[i] = Member{Name: fmt.Sprintf("n%d", i), Keys: keyring.Keys}
		}
		done := false
		for turn := 0; !done; turn++ {
			if turn > 1000 {
				t.Fatalf("no end: %+v, %+v", keyring, members)
			}
			if who := rapid.IntRange(-1, len(members)-1).Draw(t, "who follows"); who >= 0 {
				members[who].Keys = keyring.Keys
			}
			for _, m := range members {
				for _, other := range members {
					if !slices.Contains(other.Keys, m.Keys[0]) {
						t.Fatalf("%s encrypts with %s, which %s lacks", m.Name, m.Keys[0], other.Name)
					}
				}
			}
			if len(keyring.Lacking(members)) == 0 {
				keyring, done = take(keyring)
			}
		}
		for _, m := range members {
			if !slices.Equal(m.Keys, []string{"new"}) {
				t.Errorf("%s ends with %v", m.Name, m.Keys)
			}
		}
	})
}

func take(r Keyring) (after Keyring, done bool) {
	switch r.Next() {
	case Add:
		return Keyring{append(slices.Clone(r.Keys), "new"), "new"}, false
	case Use:
		return Keyring{append([]string{"new"}, r.Keys[:len(r.Keys)-1]...), "new"}, false
	case Drop:
		return Keyring{[]string{"new"}, "new"}, false
	}
	return Keyring{r.Keys, ""}, true
}
