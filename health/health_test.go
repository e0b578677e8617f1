package health

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// TestRules: every rule says what programs and people need, and what it hides is about the same.
func TestRules(t *testing.T) {
	t.Parallel()
	word := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := map[Code]bool{}
	for _, r := range Rules() {
		if !word.MatchString(string(r.Code)) || seen[r.Code] {
			t.Errorf("%q is no code, or is there twice", r.Code)
		}
		seen[r.Code] = true
		if !slices.Contains([]Severity{Error, Warning, Information}, r.Severity) || len(r.About) == 0 {
			t.Errorf("%s: severity %q, about %q", r.Code, r.Severity, r.About)
		}
		if !strings.HasSuffix(r.Meaning, ".") || r.Meaning[:1] != strings.ToUpper(r.Meaning[:1]) && !strings.HasPrefix(r.Meaning, "kube-proxy") {
			t.Errorf("%s: the meaning is no sentence: %q", r.Code, r.Meaning)
		}
		if strings.HasSuffix(r.Advice, ".") {
			t.Errorf("%s: the advice goes on after a colon and has no full stop: %q", r.Code, r.Advice)
		}
		for _, h := range r.Hides {
			if h == r.Code || !slices.ContainsFunc(h.Rule().About, func(k Kind) bool { return slices.Contains(r.About, k) }) {
				t.Errorf("%s hides %s, which is about something else", r.Code, h)
			}
		}
	}
	if !slices.IsSortedFunc(Rules(), func(a, b Rule) int { return a.Severity.Compare(b.Severity) }) {
		t.Error("the rules are not in the order of their severities")
	}
}

// What a tenant asks for and cannot have is for the alert of all speakers, and for none that fires
// for each speaker.
func TestRefusalsHaveOneAlert(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../manifests/monitoring/prometheusrule.yaml")
	if err != nil {
		t.Fatal(err)
	}
	codes := func(alert, before string) []string {
		_, rest, _ := strings.Cut(string(text), "alert: "+alert)
		_, rest, _ = strings.Cut(rest, before)
		list, _, _ := strings.Cut(rest, `"`)
		return strings.Split(list, "|")
	}
	all, each := codes("StarlingServiceRefused", `code=~"`), codes("StarlingProblem", `code!~"`)
	for _, r := range Rules() {
		if r.Event != "AllocationFailed" || r.Severity != Warning {
			continue
		}
		if !slices.Contains(all, string(r.Code)) || !slices.Contains(each, string(r.Code)) {
			t.Errorf("%s: in StarlingServiceRefused %v, left out of StarlingProblem %v, want both", r.Code, slices.Contains(all, string(r.Code)), slices.Contains(each, string(r.Code)))
		}
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		got  Condition
		want Condition
	}{
		{
			"by the rule", New(NodeNotReady, Node("n2"), "n2 is not ready"),
			Condition{NodeNotReady, Warning, Node("n2"), "n2 is not ready", "ask it why: `starling status --node n2`", time.Time{}},
		},
		{
			"by a room that knows more", New(KernelHasAddress, Node(""), "it has it").Do("remove it").On("n1").From(noon),
			Condition{KernelHasAddress, Warning, Node("n1"), "it has it", "remove it", noon},
		},
		{
			"by a room that does not know its node", New(NodeNotReady, Node(""), "not ready").On("n1"),
			Condition{NodeNotReady, Warning, Node("n1"), "not ready", "ask it why: `starling status --node n1`", time.Time{}},
		},
		{"about another node", New(NodeLost, Node("n2"), "lost").Do("look").On("n1"), Condition{NodeLost, Error, Node("n2"), "lost", "look", time.Time{}}},
		{"of a later release", New("too-warm", Node("n2"), "it is too warm").Do(""), Condition{"too-warm", Warning, Node("n2"), "it is too warm", "", time.Time{}}},
	} {
		if diff := cmp.Diff(tt.want, tt.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	if got, want := New(NodeNotReady, Node("n2"), "n2 is not ready").String(), "n2 is not ready: ask it why: `starling status --node n2`"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSubjects(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		subject Subject
		want    string
	}{
		{Node("n2"), "node n2"},
		{Pool("default"), "pool default"},
		{Router("tor1"), "router tor1"},
		{Service("default/web"), "default/web"},
		{Address("192.0.2.1"), "192.0.2.1"},
		{Cluster(), ""},
	} {
		if got := tt.subject.String(); got != tt.want {
			t.Errorf("%+v is %q, want %q", tt.subject, got, tt.want)
		}
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(New(NodeNotReady, Node("n2"), "n2 is not ready"))
	if err != nil {
		t.Fatal(err)
	}
	want := "{\"code\":\"node-not-ready\",\"severity\":\"warning\",\"subject\":{\"kind\":\"node\",\"name\":\"n2\"},\"words\":\"n2 is not ready\",\"advice\":\"ask it why: `starling status --node n2`\"}"
	if string(b) != want {
		t.Errorf("%s, want %s", b, want)
	}
}

func TestShown(t *testing.T) {
	t.Parallel()
	lost, blocked := New(NodeLost, Node("n2"), "lost"), New(GossipBlocked, Node("n2"), "blocked")
	other := New(GossipBlocked, Node("n3"), "blocked")
	full, near := New(PoolFull, Pool("a"), "full"), New(PoolNearlyFull, Pool("b"), "nearly")
	cordoned := New(NodeCordoned, Node("n1"), "cordoned")
	for _, tt := range []struct {
		name string
		all  []Condition
		want []Condition
	}{
		{"none", nil, nil},
		{"the worst first, in the order of the rules", []Condition{cordoned, near, full, other, lost}, []Condition{lost, full, other, near, cordoned}},
		{"what explains another one hides it", []Condition{blocked, lost}, []Condition{lost}},
		{"of the same subject only", []Condition{other, lost}, []Condition{lost, other}},
		{"the same once", []Condition{lost, lost}, []Condition{lost}},
		{
			"addresses as addresses",
			[]Condition{New(AddressTaken, Address("192.0.2.10"), "x"), New(AddressTaken, Address("192.0.2.9"), "x")},
			[]Condition{New(AddressTaken, Address("192.0.2.9"), "x"), New(AddressTaken, Address("192.0.2.10"), "x")},
		},
	} {
		got, wake := Shown(tt.all, noon)
		if diff := cmp.Diff(tt.want, got); diff != "" || !wake.IsZero() {
			t.Errorf("%s: wake %v (-want +got):\n%s", tt.name, wake, diff)
		}
	}
}

// TestShownLater: what must last is not shown before, and says when.
func TestShownLater(t *testing.T) {
	t.Parallel()
	const after = 3 * time.Second
	lost := New(NodeLost, Node("n2"), "lost").From(noon)
	if d := NodeLost.Rule().After; d != after {
		t.Fatalf("it must last %v, and the test thinks %v", d, after)
	}
	shown, wake := Shown([]Condition{lost}, noon.Add(after-1))
	if len(shown) != 0 || !wake.Equal(noon.Add(after)) {
		t.Errorf("%v, wake %v", shown, wake)
	}
	shown, wake = Shown([]Condition{lost}, noon.Add(after))
	if len(shown) != 1 || !wake.IsZero() {
		t.Errorf("%v, wake %v", shown, wake)
	}
}

func TestTracker(t *testing.T) {
	t.Parallel()
	var k Tracker
	lost := New(NodeLost, Node("n2"), "lost")
	reworded := New(NodeLost, Node("n2"), "still lost")
	known := New(AddressTaken, Address("192.0.2.1"), "taken").From(noon.Add(-time.Hour))
	for i, tt := range []struct {
		all, want []Condition
	}{
		{[]Condition{lost, known}, []Condition{lost.From(noon), known}},
		{[]Condition{reworded}, []Condition{reworded.From(noon)}},
		{nil, nil},
		{nil, nil},
		{[]Condition{lost}, []Condition{lost.From(noon)}}, // it was not over for long
		{nil, nil},
		{nil, nil},
		{nil, nil},
		{nil, nil},
		{[]Condition{lost}, []Condition{lost.From(noon.Add(9 * time.Second))}},
	} {
		if diff := cmp.Diff(tt.want, k.Track(tt.all, noon.Add(time.Duration(i)*time.Second))); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	got := Count([]Condition{New(NodeLost, Node("n2"), ""), New(NodeLost, Node("n3"), ""), New(NodeCordoned, Node("n1"), "")})
	if diff := cmp.Diff(map[Severity]int{Error: 2, Information: 1}, got); diff != "" {
		t.Errorf("count (-want +got):\n%s", diff)
	}
}
