package speaker

import (
	"fmt"
	"maps"
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
	found  []overlapping  // sorted by pool
	words  []string       // of these
}

// overlapping is a pool with nodes' addresses in it, and the node of the first of them.
type overlapping struct{ pool, node, words string }

// of looks at the pools and nodes of this turn.
func (o *overlap) of(w *world) {
	nodes := w.cluster.Nodes
	same := len(o.nodes) == len(nodes) && (len(nodes) == 0 || &o.nodes[0] == &nodes[0])
	if o.pools == w.pools && same {
		return
	}
	*o = overlap{pools: w.pools, nodes: nodes, counts: map[string]int{}}
	examples := map[string]example{}
	for _, n := range nodes {
		for _, ip := range slices.Concat(n.Addresses, n.Others) {
			o.add(examples, n.Name, ip)
		}
	}
	for _, pool := range slices.Sorted(maps.Keys(examples)) {
		e := examples[pool]
		words := fmt.Sprintf("pool %q contains %d addresses of nodes, such as %s of %s, which are never handed out: exclude them, or check that the range is free",
			pool, o.counts[pool], e.ip, e.node)
		o.found, o.words = append(o.found, overlapping{pool, e.node, words}), append(o.words, words)
	}
}

// example is a node's address.
type example struct {
	ip   netip.Addr
	node string
}

// add counts the address, and keeps the first one of each pool for the words.
func (o *overlap) add(examples map[string]example, node string, ip netip.Addr) {
	pool, in := o.pools.Of(ip)
	if !in {
		return
	}
	o.counts[pool]++
	if examples[pool].node == "" {
		examples[pool] = example{ip, node}
	}
}
