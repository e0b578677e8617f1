package report

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher"
)

// Overlap is how far the pools contain nodes' own addresses. Those are never handed out, so nothing
// breaks; but the pool is smaller than it looks, and whoever wrote it took the nodes' network for a
// free one. It is made anew only when pools or nodes have changed.
type Overlap struct {
	pools  *lease.Pools
	nodes  []watcher.Node
	Counts map[string]int     // of nodes' addresses in a pool, by its name
	Found  []health.Condition // sorted by pool
	NodeOf map[string]string  // of the first of them, by pool
}

// Of looks at the pools and nodes of this turn.
func (o *Overlap) Of(pools *lease.Pools, nodes []watcher.Node) {
	same := len(o.nodes) == len(nodes) && (len(nodes) == 0 || &o.nodes[0] == &nodes[0])
	if o.pools == pools && same {
		return
	}
	*o = Overlap{pools: pools, nodes: nodes, Counts: map[string]int{}, NodeOf: map[string]string{}}
	examples := map[string]example{}
	for _, n := range nodes {
		for _, ip := range slices.Concat(n.Addresses, n.Others) {
			o.add(examples, n.Name, ip)
		}
	}
	for _, pool := range slices.Sorted(maps.Keys(examples)) {
		e := examples[pool]
		words := fmt.Sprintf("pool %q contains %d addresses of nodes, such as %s of %s, which are never handed out", pool, o.Counts[pool], e.ip, e.node)
		o.Found, o.NodeOf[pool] = append(o.Found, health.New(health.PoolOverlapsNodes, health.Pool(pool), words)), e.node
	}
}

// example is a node's address.
type example struct {
	ip   netip.Addr
	node string
}

// add counts the address, and keeps the first one of each pool for the words.
func (o *Overlap) add(examples map[string]example, node string, ip netip.Addr) {
	pool, in := o.pools.Of(ip)
	if !in {
		return
	}
	o.Counts[pool]++
	if examples[pool].node == "" {
		examples[pool] = example{ip, node}
	}
}
