package main

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

// resolveLimit bounds looking up the names of --join at every join attempt.
const resolveLimit = 2 * time.Second

// seeds gives the addresses to join: those of all nodes and those of --join. A
// name that does not resolve now is tried again at the next attempt.
func seeds(nodes func() []watcher.Node, join []string, port uint16) func() []mesh.Seed {
	return func() []mesh.Seed {
		var r []mesh.Seed
		for _, n := range nodes() {
			for _, a := range n.Addresses {
				r = append(r, mesh.Seed{Node: n.Name, Addr: netip.AddrPortFrom(a, port)})
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), resolveLimit)
		defer cancel()
		for _, j := range join {
			for _, at := range resolve(ctx, j) {
				r = append(r, mesh.Seed{Addr: at})
			}
		}
		return r
	}
}

// gossipAddrs are where gossip listens: --gossip-addr, else the first InternalIP of this node of
// each family. The first of them is advertised: that of the family that most nodes have; of equals
// that which is first on most of them, then IPv4. None: Kubernetes does not know the node.
func gossipAddrs(cfg config, nodes []watcher.Node) []netip.AddrPort {
	if cfg.gossip.ip.IsValid() {
		return []netip.AddrPort{netip.AddrPortFrom(cfg.gossip.ip, cfg.gossip.port)}
	}
	var own []netip.AddrPort
	var have, first [2]int // by family
	for _, n := range nodes {
		for f := range have {
			if i := slices.IndexFunc(n.Addresses, func(a netip.Addr) bool { return familyOf(a) == f }); i >= 0 {
				have[f]++
				if i == 0 {
					first[f]++
				}
				if n.Name == cfg.node {
					own = append(own, netip.AddrPortFrom(n.Addresses[i], cfg.gossip.port))
				}
			}
		}
	}
	slices.SortStableFunc(own, func(a, b netip.AddrPort) int {
		x, y := familyOf(a.Addr()), familyOf(b.Addr())
		return cmp.Or(have[y]-have[x], first[y]-first[x], x-y)
	})
	return own
}

// lastKnown remembers addresses while Kubernetes does not know the node.
func lastKnown(now func() []netip.AddrPort) func() []netip.AddrPort {
	var mu sync.Mutex
	var last []netip.AddrPort
	return func() []netip.AddrPort {
		mu.Lock()
		defer mu.Unlock()
		if addrs := now(); len(addrs) > 0 {
			last = addrs
		}
		return last
	}
}

// familyOf is 0 for IPv4 and 1 for IPv6.
func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// resolve looks up host:port, which parseConfig has checked.
func resolve(ctx context.Context, hostPort string) []netip.AddrPort {
	host, p, err := net.SplitHostPort(hostPort)
	if err != nil {
		return nil
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err != nil {
		return nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	var r []netip.AddrPort
	for _, ip := range ips {
		r = append(r, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
	}
	return r
}
