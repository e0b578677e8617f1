package routes

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/owner"
)

// BenchmarkNew plans for a holder with 1,000 addresses and 100 nodes.
func BenchmarkNew(b *testing.B) {
	w := World{BGP: &lease.BGP{Sessions: lease.SessionsFew, Routers: []lease.Router{{Name: "tor1", Address: netip.MustParseAddr("198.18.0.254")}}}}
	for i := range 100 {
		w.Nodes = append(w.Nodes, Node{
			Node:  owner.Node{Name: fmt.Sprintf("n%02d", i), Segments: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/24")}},
			Ready: true, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{198, 18, 0, byte(i)})},
		})
	}
	for i := range 1000 {
		ip := netip.AddrFrom4([4]byte{203, 0, byte(i >> 8), byte(i)})
		w.Addresses = append(w.Addresses, Address{VIP: owner.VIP{IP: ip, Serving: true}, Pool: "p", Entries: []lease.Announcement{{}}})
	}
	w.Self = New(w).Peerings[0].Holders[0]
	b.ReportAllocs()
	for b.Loop() {
		if paths := New(w).Set.Routers[0].Paths; len(paths) != 100_000 {
			b.Fatalf("%d paths", len(paths))
		}
	}
}
