package arpd

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"

	"github.com/starling-lb/starling/claims"
)

// quiet is a responder with two interfaces whose sockets cost nothing.
func quiet(t testing.TB) *Responder {
	t.Helper()
	r, err := newResponder(Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []netif.Link{nic("eth0", 2, "198.18.0.1/15", "2001:db8::1/64"), nic("eth1", 3, "192.0.2.1/24")} {
		p := &iface{link: l, regroup: make(chan struct{}, 1)}
		for _, proto := range r.spoken {
			p.readers = append(p.readers, &reader{protocol: proto, sock: sink{}})
		}
		p.view.Store(&view{table: &table{}})
		r.ifaces[p.link.Index] = p
	}
	return r
}

// BenchmarkAssign gives one address more, of those of this node or of the others', and
// takes it again.
func BenchmarkAssign(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000, 100_000} {
		more := netip.MustParseAddr("198.18.7.7")
		owned, watched := []netip.Addr(nil), []netip.Addr(nil)
		for i := range n {
			if ip := netip.AddrFrom4([4]byte{198, 19 + byte(i>>16), byte(i >> 8), byte(i)}); i%2 == 0 {
				owned = append(owned, ip)
			} else {
				watched = append(watched, ip)
			}
		}
		for name, sets := range map[string][2][2][]netip.Addr{
			"owned":   {{owned, watched}, {slices.Insert(slices.Clone(owned), 0, more), watched}},
			"watched": {{owned, watched}, {owned, slices.Insert(slices.Clone(watched), 0, more)}},
		} {
			b.Run(fmt.Sprintf("%s-%d", name, n), func(b *testing.B) {
				r := quiet(b)
				r.Assign(claims.Assignment{Own: sets[0][0], Watched: sets[0][1]})
				for i := 1; b.Loop(); i++ {
					r.Assign(claims.Assignment{Own: sets[i%2][0], Watched: sets[i%2][1]})
				}
			})
		}
	}
}

// BenchmarkHeard hears another announcer of one address, and looks what was heard of all.
func BenchmarkHeard(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			r := quiet(b)
			r.Assign(claims.Assignment{Watched: manyIPv4(n)})
			for _, ip := range manyIPv4(n) {
				r.hear(claim{kind: claimed, ip: ip, mac: peerHW}, epoch)
			}
			one, macs := manyIPv4(n)[n/2], []packet.HW{peerHW, strangerHW}
			for i := 1; b.Loop(); i++ {
				r.hear(claim{kind: claimed, ip: one, mac: macs[i%2]}, epoch)
				if got := r.State().Heard; len(got) != n || got[one] != macs[i%2].String() {
					b.Fatalf("%d heard, %s at %s", len(got), got[one], one)
				}
			}
		})
	}
}
