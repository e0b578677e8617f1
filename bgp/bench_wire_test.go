package bgp

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/routes"
)

// BenchmarkWithdraw measures the time from Apply without the paths of a node until a router's
// kernel has no next hop of it any more, with one address and with 1,000.
func BenchmarkWithdraw(b *testing.B) {
	for name, make := range routersToTry() {
		for _, addresses := range []int{1, 1000} {
			b.Run(fmt.Sprintf("router=%s/addresses=%d", name, addresses), func(b *testing.B) {
				n, r := newNetwork(b), make()
				r.start(b, n.router, "203.0.113.0/24", "203.0.0.0/16")
				s := n.node(1).speak()
				s.Apply(manyPaths(addresses, "192.0.2.11", "192.0.2.12"))
				s.established()
				n.router.awaitHops(addresses, 2)
				var took []time.Duration
				for b.Loop() {
					start := time.Now()
					s.Apply(manyPaths(addresses, "192.0.2.11"))
					n.router.awaitHops(addresses, 1)
					took = append(took, time.Since(start))
					b.StopTimer()
					s.Apply(manyPaths(addresses, "192.0.2.11", "192.0.2.12"))
					n.router.awaitHops(addresses, 2)
					b.StartTimer()
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
				b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "worst-ms")
			})
		}
	}
}

// manyPaths is a set with so many addresses, each by the next hops.
func manyPaths(n int, hops ...string) routes.Set {
	set := setOf(1, tor())
	for i := range n {
		for _, hop := range hops {
			set.Routers[0].Paths = append(set.Routers[0].Paths, routes.Path{
				Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)}), 32), NextHop: netip.MustParseAddr(hop), LocalPref: 100,
			})
		}
	}
	return set
}

// awaitHops waits until the kernel of the host has so many routes of BGP, each with so many next
// hops.
func (h *host) awaitHops(n, hops int) {
	h.T.Helper()
	changed, end := make(chan netlink.RouteUpdate, 4096), make(chan struct{})
	h.Must("subscribe to routes", netlink.RouteSubscribeAt(h.NS, changed, end))
	defer close(end)
	late := time.After(wait)
	for {
		if h.counted(hops) == n {
			return
		}
		select {
		case <-changed:
		case <-late:
			h.T.Fatalf("%d routes with %d next hops in %v, want %d", h.counted(hops), hops, wait, n)
		}
		for len(changed) > 0 {
			<-changed
		}
	}
}

func (h *host) counted(hops int) int {
	list, err := h.NL.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	h.Must("list routes", err)
	n := 0
	for _, r := range list {
		if r.Dst == nil || r.Dst.IP[0] != 203 {
			continue
		}
		if got := max(len(r.MultiPath), min(1, len(r.Gw))); got == hops {
			n++
		}
	}
	return n
}
