package speaker

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher"
)

// overlap is how far the pools contain nodes' own addresses. Those are never handed out, so nothing breaks; but the pool
// is smaller than it looks, and whoever wrote it took the nodes' network for a free one. It is made anew only when
// pools or nodes have changed.
type overlap struct {
	pools  *lease.Pools
	nodes  []watcher.Node
	counts map[string]int // of nodes' addresses in a pool, by its name
	words  []string       // sorted
}

// of looks at the pools and nodes of this turn.
func (o *overlap) of(w *world) {
	nodes := w.cluster.Nodes
	same := len(o.nodes) == len(nodes) && (len(nodes) == 0 || &o.nodes[0] == &nodes[0])
	if o.pools == w.pools && same {
		return
	}
	*o = overlap{pools: w.pools, nodes: nodes, counts: map[string]int{}}
	examples := map[string]string{}
	for _, n := range nodes {
		for _, ip := range slices.Concat(n.Addresses, n.Others) {
			o.add(examples, n.Name, ip)
		}
	}
	for pool, example := range examples {
		o.words = append(o.words, fmt.Sprintf("pool %q contains %d addresses of nodes, such as %s, which are never handed out: exclude them, or check that the range is free",
			pool, o.counts[pool], example))
	}
	slices.Sort(o.words)
}

// add counts the address, and keeps the first one of each pool for the words.
func (o *overlap) add(examples map[string]string, node string, ip netip.Addr) {
	pool, in := o.pools.Of(ip)
	if !in {
		return
	}
	o.counts[pool]++
	if examples[pool] == "" {
		examples[pool] = fmt.Sprintf("%s of %s", ip, node)
	}
}
