package mesh

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/health"
)

func TestConditions(t *testing.T) {
	epoch := time.Unix(1000, 0)
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	key := condition{kind: kindKey, who: "198.18.0.3"}
	refused := condition{kind: kindRefused, who: "198.18.0.4"}
	foreign := condition{kind: kindLabel, who: "198.18.0.4"}
	udp := condition{kind: kindUDP, who: "n5"}
	bind := condition{kind: kindBind, who: "198.18.0.1:7927", other: "gossip port 7927 is in use"}
	type step struct {
		at   int
		see  condition // If any.
		told bool
		want []string // Of words, after the step.
	}
	keyed := []string{"peer 198.18.0.3 uses another gossip key"}
	tests := []struct {
		name  string
		steps []step
	}{
		{"told once, for a minute", []step{{0, key, true, keyed}, {30, key, false, keyed}, {89, condition{}, false, keyed}, {90, condition{}, false, nil}}},
		{"told again after a pause", []step{{0, key, true, keyed}, {60, key, true, keyed}}},
		{"a refusal counts from the third", []step{
			{0, refused, false, nil},
			{1, refused, false, nil},
			{2, refused, true, []string{"peer 198.18.0.4 takes connections but does not answer as a speaker of this cluster"}},
			{
				3, refused, false,
				[]string{"peer 198.18.0.4 takes connections but does not answer as a speaker of this cluster"},
			},
		}},
		{"a refusal that is explained", []step{
			{0, refused, false, nil},
			{0, refused, false, nil},
			{0, refused, true, []string{"peer 198.18.0.4 takes connections but does not answer as a speaker of this cluster"}},
			{30, foreign, true, []string{"peer 198.18.0.4 belongs to another cluster"}},
			{59, refused, false, []string{"peer 198.18.0.4 belongs to another cluster"}},
			{90, condition{}, false, []string{"peer 198.18.0.4 takes connections but does not answer as a speaker of this cluster"}},
		}},
		{"rare refusals do not count", []step{{0, refused, false, nil}, {60, refused, false, nil}, {120, refused, false, nil}, {180, refused, false, nil}}},
		{"udp counts from the fifth", []step{
			{0, udp, false, nil},
			{1, udp, false, nil},
			{2, udp, false, nil},
			{3, udp, false, nil},
			{4, udp, true, []string{"node n5 answers gossip by tcp but not by udp"}},
		}},
		{"a busy port stays", []step{{0, bind, true, []string{"gossip port 7927 is in use"}}, {999, condition{}, false, []string{"gossip port 7927 is in use"}}}},
		{"sorted", []step{{0, key, true, keyed}, {0, bind, true, []string{"gossip port 7927 is in use", "peer 198.18.0.3 uses another gossip key"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var ts conditions
			for i, s := range tt.steps {
				if s.see != (condition{}) {
					if reported := ts.see(s.see, at(s.at)); reported != s.told {
						t.Errorf("step %d: told %v, want %v", i, reported, s.told)
					}
				}
				if diff := cmp.Diff(s.want, wordsOf(ts.report(at(s.at)))); diff != "" {
					t.Errorf("step %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

func TestConditionsEnd(t *testing.T) {
	now := time.Unix(1000, 0)
	key, label := condition{kind: kindKey, who: "a"}, condition{kind: kindLabel, who: "a"}
	refused, other := condition{kind: kindRefused, who: "a"}, condition{kind: kindKey, who: "b"}
	bind := condition{kind: kindBind, who: "a", other: "in use"}
	var ts conditions
	for _, what := range []condition{key, label, refused, other, bind} {
		ts.see(what, now)
	}
	if diff := cmp.Diff([]condition{key}, ts.over("a", kindKey, kindRefused), cmp.AllowUnexported(condition{})); diff != "" {
		t.Errorf("over, where the refusal was never told (-want +got):\n%s", diff)
	}
	if got := ts.expire(now.Add(conditionTime - 1)); got != nil {
		t.Errorf("expired %v too early", got)
	}
	if got := len(ts.expire(now.Add(conditionTime))); got != 2 {
		t.Errorf("%d conditions expired, want the label and the other's key", got)
	}
	if diff := cmp.Diff([]string{"in use"}, wordsOf(ts.report(now.Add(conditionTime)))); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

// TestConditionsAnswered: an answer by UDP ends what it disproves, and nothing else.
func TestConditionsAnswered(t *testing.T) {
	now := time.Unix(1000, 0)
	udp, key := condition{kind: kindUDP, who: "n2"}, condition{kind: kindKey, who: "198.18.0.2"}
	label := condition{kind: kindLabel, who: "198.18.0.2"}
	for _, tt := range []struct {
		name, who, addr string
		after           time.Duration
		want            []condition
	}{
		{"another member", "n3", "198.18.0.3", time.Minute, nil},
		{"a member with another key just now", "n2", "198.18.0.2", keyTime - 1, []condition{udp}},
		{"a member that had another key", "n2", "198.18.0.2", keyTime, []condition{key, udp}},
		{"another member at its address", "n3", "198.18.0.2", keyTime, []condition{key}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var ts conditions
			for range kindUDP.threshold() {
				ts.see(udp, now)
				ts.see(key, now)
				ts.see(label, now)
			}
			got := ts.answered(tt.who, tt.addr, now.Add(tt.after))
			slices.SortFunc(got, func(a, b condition) int { return strings.Compare(string(a.kind), string(b.kind)) })
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(condition{})); diff != "" {
				t.Errorf("over (-want +got):\n%s", diff)
			}
		})
	}
}

func TestConditionsAreBounded(t *testing.T) {
	now := time.Unix(1000, 0)
	var ts conditions
	for i := range 100_000 {
		ts.see(condition{kind: kindKey, who: fmt.Sprint(i)}, now)
	}
	if len(ts.seen) != conditionLimit {
		t.Errorf("%d conditions are kept, want %d", len(ts.seen), conditionLimit)
	}
	words := wordsOf(ts.report(now))
	if got, want := words[len(words)-1], "more than 64 problems with gossip; the others are not listed"; got != want || len(words) != conditionLimit+1 {
		t.Errorf("%d lines, the last %q, want %q", len(words), got, want)
	}
	ts.expire(now.Add(conditionTime))
	if !ts.see(condition{kind: kindKey, who: "later"}, now.Add(conditionTime)) {
		t.Error("a full table stays full")
	}
}

func TestConditionsWords(t *testing.T) {
	tests := []struct {
		what condition
		want string
	}{
		{condition{kind: kindLabel, who: "198.18.0.3"}, "peer 198.18.0.3 belongs to another cluster"},
		{condition{kind: kindName, who: "n2", other: "198.18.0.2:7927 and 198.18.0.9:7927"}, "two nodes are named n2: 198.18.0.2:7927 and 198.18.0.9:7927"},
		{condition{kind: kindMalformed, who: "198.18.0.3"}, "peer 198.18.0.3 sends malformed packets"},
	}
	for _, tt := range tests {
		if got := tt.what.String(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// problems are the words of the conditions.
func (m *Mesh) problems() []string { return wordsOf(m.Conditions()) }

func wordsOf(all []health.Condition) (words []string) {
	for _, c := range all {
		words = append(words, c.Words)
	}
	return words
}

// TestConditionCodes: each kind of condition has its code, and is about the peer or the node.
func TestConditionCodes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what    condition
		code    health.Code
		subject health.Subject
	}{
		{condition{kind: kindKey, who: "198.18.0.3"}, health.GossipKeyMismatch, health.Address("198.18.0.3")},
		{condition{kind: kindLabel, who: "198.18.0.3"}, health.OtherCluster, health.Address("198.18.0.3")},
		{condition{kind: kindRefused, who: "198.18.0.3"}, health.PeerNoSpeaker, health.Address("198.18.0.3")},
		{condition{kind: kindUDP, who: "n3"}, health.GossipUDPBlocked, health.Node("n3")},
		{condition{kind: kindName, who: "n3", other: "both"}, health.NodeNameTwice, health.Node("n3")},
		{condition{kind: kindBind, who: "198.18.0.1:7927", other: "in use"}, health.GossipPortInUse, health.Node("")},
	} {
		c := tt.what.health()
		if c.Code != tt.code || c.Subject != tt.subject || c.Words != tt.what.String() || c.Advice == "" {
			t.Errorf("%v makes %+v", tt.what, c)
		}
	}
}
