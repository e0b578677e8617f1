package speaker

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/watcher"
)

func TestFindings(t *testing.T) {
	t.Parallel()
	got := api.Findings([]health.Condition{
		health.New(health.NoNetRaw, health.Node("n1"), "missing NET_RAW").Do("let it"),
		health.New(health.NodeLost, health.Node("n3"), "gone").Do("look"),
		health.New(health.AddressTaken, health.Address("198.18.64.1"), "two").Do("one"),
		health.New(health.PoolFull, health.Pool("lan"), "full").Do("more"),
		health.New(health.LeasesOfOthers, health.Cluster(), "others").Do("remove"),
		health.New(health.NodeCordoned, health.Node("n2"), "cordoned"),
	}, "n1")
	want := []api.Finding{
		{Level: "error", About: "", Words: "missing NET_RAW", Todo: "let it"},
		{Level: "error", About: "node n3", Words: "gone", Todo: "look"},
		{Level: "error", About: "198.18.64.1", Words: "two", Todo: "one"},
		{Level: "error", About: "pool lan", Words: "full", Todo: "more"},
		{Level: "warning", About: "", Words: "others", Todo: "remove"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

// TestOneCount: what the status lists, what the metrics count and what the findings of earlier
// releases say is the same.
func TestOneCount(t *testing.T) {
	lab(t, func(m *model) {
		m.create("first", nil, "n1")
		m.bound("first")
		m.create("second", nil, "n1")                                                           // the pool is used up
		m.create("lost", func(s *watcher.Service) { s.LoadBalancerIP = "203.0.113.1" }, "n1")   // in no pool
		m.create("typo", func(s *watcher.Service) { s.LoadBalancerIP = "203.0.113.300" }, "n1") // no address
		m.create("lab", func(s *watcher.Service) {
			s.Annotations = append(s.Annotations, [2]string{"starling-lb.io/address-pool", "lab"})
		}, "n1") // no such pool
		m.set("n1", func(b *node) { b.mistakes = []string{"the configuration file is not in force: pools: want a list"} })
		m.setNode("n2", func(n *watcher.Node) { n.Going = "DrainInProgress" })
		m.pass(10 * time.Second)
		snap := m.view()
		codes := map[health.Code]int{}
		for _, c := range snap.Conditions {
			codes[c.Code]++
		}
		want := map[health.Code]int{
			health.PoolFull: 1, health.AddressInNoPool: 1, health.RequestMalformed: 1, health.PoolUnknown: 1, health.ConfigRejected: 1, health.NodeGoing: 1,
		}
		if diff := cmp.Diff(want, codes); diff != "" {
			t.Fatalf("conditions (-want +got):\n%s", diff)
		}
		if !slices.IsSortedFunc(snap.Conditions, health.Condition.Compare) {
			t.Errorf("conditions %v are not sorted", snap.Conditions)
		}
		counted := values(t, m.speakers["n1"].registry)
		if n := counted["starling_problems"]; int(n) != len(snap.Conditions)-1 || len(snap.Findings) != int(n) { // that a node goes only explains
			t.Errorf("%v problems are counted and %d found, of %d conditions", n, len(snap.Findings), len(snap.Conditions))
		}
		for code, n := range codes {
			if got := counted["starling_conditions "+string(code)]; int(got) != n {
				t.Errorf("%v of %s are counted, want %d", got, code, n)
			}
		}
	}, "tiny=198.18.64.1/32")
}
