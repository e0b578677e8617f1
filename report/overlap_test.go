package report

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher"
)

func TestOverlap(t *testing.T) {
	ip := netip.MustParseAddr
	nodes := []watcher.Node{
		{Name: "n1", Addresses: []netip.Addr{ip("198.18.0.1"), ip("2001:db8::1")}},
		{Name: "n2", Addresses: []netip.Addr{ip("198.18.0.2")}, Others: []netip.Addr{ip("203.0.113.2")}},
	}
	lan := lease.Pool{Name: "lan", Ranges: []string{"198.18.0.0/24"}}
	clean := lan
	clean.Exclude = []string{"198.18.0.1-198.18.0.2"}
	for _, tt := range []struct {
		name   string
		pools  []lease.Pool
		counts map[string]int
		words  []string
	}{
		{"none", []lease.Pool{{Name: "far", Ranges: []string{"198.18.64.0/24"}}}, map[string]int{}, nil},
		{"excluded", []lease.Pool{clean}, map[string]int{}, nil},
		{
			"two pools",
			[]lease.Pool{lan, {Name: "edge", Ranges: []string{"203.0.113.0/24"}}},
			map[string]int{"lan": 2, "edge": 1},
			[]string{
				`pool "edge" contains 1 addresses of nodes, such as 203.0.113.2 of n2, which are never handed out`,
				`pool "lan" contains 2 addresses of nodes, such as 198.18.0.1 of n1, which are never handed out`,
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var o Overlap
			pools, err := lease.NewPools(tt.pools)
			if err != nil {
				t.Fatal(err)
			}
			o.Of(pools, nodes)
			if diff := cmp.Diff(tt.counts, o.Counts); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.words, Words(o.Found)); diff != "" {
				t.Errorf("words (-want +got):\n%s", diff)
			}
		})
	}
}
