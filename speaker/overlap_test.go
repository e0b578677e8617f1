package speaker

import (
	"net/netip"
	"testing"
	"time"

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
				`pool "edge" contains 1 addresses of nodes, such as 203.0.113.2 of n2, which are never handed out: exclude them, or check that the range is free`,
				`pool "lan" contains 2 addresses of nodes, such as 198.18.0.1 of n1, which are never handed out: exclude them, or check that the range is free`,
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var o overlap
			o.of(&world{pools: compiled(t, tt.pools...), cluster: watcher.State{Nodes: nodes}})
			if diff := cmp.Diff(tt.counts, o.counts); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.words, o.words); diff != "" {
				t.Errorf("words (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOverlapFollows: it is told in the status, and no longer when the pool or the node has gone.
func TestOverlapFollows(t *testing.T) {
	lab(t, func(m *model) {
		problems := func() int { return len(m.speakers["n1"].speaker.Snapshot().Problems) }
		m.until("it is told", time.Second, func() bool { return problems() == 1 })
		m.setNode("n2", func(n *watcher.Node) { n.Addresses = []netip.Addr{netip.MustParseAddr("198.18.0.9")} })
		m.until("it is over with the node's address", 10*time.Second, func() bool { return problems() == 0 })
		m.setNode("n2", func(n *watcher.Node) { n.Addresses = []netip.Addr{netip.MustParseAddr("198.18.0.2")} })
		m.until("it is told again", 10*time.Second, func() bool { return problems() == 1 })
		m.configure(compiled(t, lease.Pool{Name: "default", Ranges: []string{"198.18.64.0/24"}}))
		m.until("it is over with the pool", 10*time.Second, func() bool { return problems() == 0 })
	}, "default=198.18.0.2/32,198.18.64.0/28")
}
