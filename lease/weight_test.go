package lease

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNodeWeights: the first entry that matches a node counts, and a node without one weighs 1.
func TestNodeWeights(t *testing.T) {
	with := func(key, value string) []Selector { return []Selector{{MatchLabels: Labels{key: value}}} }
	p := mustPools(t,
		Pool{Name: "plain", Ranges: []string{"192.0.2.1/32"}},
		Pool{Name: "weighed", Ranges: []string{"192.0.2.2/32"}, NodeWeights: []NodeWeight{
			{append(with("rack", "1"), with("rack", "2")...), new(3)},
			{with("spare", "yes"), new(0)},
			{with("rack", "1"), new(100)},
		}},
	)
	for _, tt := range []struct {
		pool   string
		labels Labels
		want   int
	}{
		{"plain", Labels{"rack": "1"}, 1},
		{"weighed", nil, 1},
		{"weighed", Labels{"rack": "3"}, 1},
		{"weighed", Labels{"rack": "1"}, 3},
		{"weighed", Labels{"rack": "2"}, 3},
		{"weighed", Labels{"spare": "yes"}, 0},
		{"weighed", Labels{"spare": "yes", "rack": "2"}, 3},
	} {
		s, _ := p.Scope(tt.pool)
		var given []int
		if weight, said := s.Entries[0].Weight(tt.labels); said {
			given = append(given, weight)
		}
		if got := Weight(given...); got != tt.want || s.Weighed() != (tt.pool == "weighed") {
			t.Errorf("a node with %v weighs %d in %s, want %d; weighed: %t", tt.labels, got, tt.pool, tt.want, s.Weighed())
		}
	}
	want := []string{"by weight 3 for rack=1 or rack=2, 0 for spare=yes, 100 for rack=1"}
	if diff := cmp.Diff(want, p.List()[1].Rules()); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

func TestNodeWeightsRefused(t *testing.T) {
	for _, tt := range []struct {
		name, text, want string
	}{
		{"no weight", "{nodeSelectors: [{matchLabels: {a: b}}]}", `pool "p": nodeWeights[0]: it has no weight; want 0 to 100`},
		{"no nodes", "{weight: 3}", `pool "p": nodeWeights[0]: it has no nodeSelectors; say which nodes it is for`},
		{"too much", "{weight: 101, nodeSelectors: [{}]}", `pool "p": nodeWeights[0]: weight 101; want 0 (only while there is no other node) to 100`},
		{"too little", "{weight: -1, nodeSelectors: [{}]}", "weight -1"},
		{"selector", "{weight: 1, nodeSelectors: [{matchLabels: {'a b': c}}]}", "nodeWeights[0]: nodeSelectors"},
		{"no number", "{weight: much, nodeSelectors: [{}]}", "pools[0].nodeWeights[0].weight"},
		{"unknown key", "{weigth: 3}", `unknown key "weigth"; did you mean weight?`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := ParseConfig([]byte("pools: [{name: p, ranges: [192.0.2.0/28], nodeWeights: [" + tt.text + "]}]"))
			if err == nil {
				_, err = NewPools(c.Pools)
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
		})
	}
}
