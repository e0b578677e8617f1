package api

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/health"
)

func TestOwnConditions(t *testing.T) {
	mine := health.New(health.NoNetRaw, health.Node("n1"), "missing NET_RAW")
	rival := health.New(health.AddressTaken, health.Address("198.18.64.1"), "02:00:00:00:00:09 also answers")
	s := Snapshot{Conditions: []health.Condition{
		mine, rival,
		health.New(health.NodeLost, health.Node("n2"), "neither gossip nor the wire reaches n2"),
		health.New(health.PoolFull, health.Pool("lan"), "2 wait"),
		health.New(health.NoEligibleNode, health.Address("198.18.64.2"), "nobody announces it"),
	}}
	if diff := cmp.Diff([]health.Condition{mine, rival}, s.Own()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestElsewhere(t *testing.T) {
	key := health.New(health.OtherCluster, health.Address("198.18.0.70"), "another cluster")
	raw := func(node string) health.Condition {
		return health.New(health.NoNetRaw, health.Node(node), "missing NET_RAW")
	}
	blocked := health.New(health.GossipBlocked, health.Node("n1"), "gossip to n1 is blocked")
	reworded := health.New(health.GossipBlocked, health.Node("n1"), "n1 does not hear")
	type views = map[string][]health.Condition
	for name, tt := range map[string]struct {
		here   []health.Condition
		others views
		want   []Reported
	}{
		"nothing":                {nil, views{"n2": nil}, nil},
		"the worst first":        {nil, views{"n2": {key}, "n3": {raw("n3")}}, []Reported{{raw("n3"), []string{"n3"}}, {key, []string{"n2"}}}},
		"the same once":          {nil, views{"n4": {blocked}, "n2": {blocked}, "n3": {key, blocked}}, []Reported{{blocked, []string{"n2", "n3", "n4"}}, {key, []string{"n3"}}}},
		"of each node its own":   {nil, views{"n2": {raw("n2")}, "n3": {raw("n3")}}, []Reported{{raw("n2"), []string{"n2"}}, {raw("n3"), []string{"n3"}}}},
		"twice of one node":      {nil, views{"n2": {key, key}}, []Reported{{key, []string{"n2"}}}},
		"what is known here":     {[]health.Condition{key}, views{"n2": {key, raw("n2")}}, []Reported{{raw("n2"), []string{"n2"}}}},
		"known in other words":   {[]health.Condition{reworded}, views{"n2": {blocked}}, nil},
		"by node, then by rules": {nil, views{"n2": {key, blocked}}, []Reported{{blocked, []string{"n2"}}, {key, []string{"n2"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, SeenByOthers(tt.here, tt.others)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReportedBy(t *testing.T) {
	if got, want := (Reported{Nodes: []string{"n1", "n2", "n3", "n4", "n5"}}).By(), "n1, n2, n3 and 2 more"; got != want {
		t.Errorf("by %q, want %q", got, want)
	}
}

func TestTellAll(t *testing.T) {
	raw := health.New(health.NoNetRaw, health.Node("n2"), "missing NET_RAW").Do("let it")
	got := LegacyReports([]Reported{{raw, []string{"n2"}}, {health.New(health.NodeCordoned, health.Node("n3"), "cordoned"), []string{"n2"}}})
	if diff := cmp.Diff([]LegacyReported{{Finding{"error", "", "missing NET_RAW", "let it"}, []string{"n2"}}}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
