package routes

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
)

var (
	one = netip.MustParseAddr("198.18.0.1")
	two = netip.MustParseAddr("198.18.0.2")
)

// TestSession: what the configuration says of a router goes into the set as it is.
func TestSession(t *testing.T) {
	t.Parallel()
	router := lease.Router{
		Name: "tor1", Address: netip.MustParseAddr("198.18.0.254"), ASN: 64512, Port: 1179, Source: one, Multihop: 2,
		Hold: 9 * time.Second, Keepalive: 3 * time.Second, BFDInterval: time.Second, BFDMultiplier: 3,
	}
	w := World{
		Self: "n1", Passwords: map[string]string{"tor1": "secret"}, Restart: time.Minute,
		BGP:   &lease.BGP{ASN: 64513, Sessions: lease.SessionsEach, Routers: []lease.Router{router}},
		Nodes: []Node{{Node: owner.Node{Name: "n1"}, Ready: true, Addresses: []netip.Addr{one}}},
	}
	want := Set{ASN: 64513, RouterID: one, Routers: []Router{{
		Name: "tor1", Address: router.Address, ASN: 64512, Port: 1179, Source: one, Multihop: 2, Hold: 9 * time.Second, Keepalive: 3 * time.Second,
		Password: "secret", BFD: &BFD{time.Second, 3}, Restart: time.Minute,
	}}}
	if diff := cmp.Diff(want, New(w).Set, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("set (-want +got):\n%s", diff)
	}
	w.BGP = &lease.BGP{ASN: 64513, Sessions: lease.SessionsFew, Routers: []lease.Router{router}}
	if r := New(w).Set.Routers[0]; !r.AddPath || r.Restart != time.Minute {
		t.Errorf("in few: add-path %v, restart %v", r.AddPath, r.Restart)
	}
}

// TestNothing: without the key, and before the speaker is ready, no router is in the set.
func TestNothing(t *testing.T) {
	t.Parallel()
	b := &lease.BGP{ASN: 1, Sessions: lease.SessionsEach, Routers: []lease.Router{{Name: "tor1"}}}
	for name, w := range map[string]World{
		"no key":     {Self: "n1", Nodes: []Node{{Node: owner.Node{Name: "n1"}, Ready: true}}},
		"not ready":  {Self: "n1", BGP: b, Nodes: []Node{{Node: owner.Node{Name: "n1"}}}},
		"no members": {Self: "n1", BGP: b},
	} {
		if p := New(w); len(p.Set.Routers) > 0 {
			t.Errorf("%s: %+v", name, p.Set)
		}
	}
}

// TestRouterID: the first IPv4 address, else a hash of the name, never 0.0.0.0 (RFC 6286, 2.1) and
// no multicast address.
func TestRouterID(t *testing.T) {
	t.Parallel()
	six := netip.MustParseAddr("2001:db8::1")
	for name, tc := range map[string]struct {
		node Node
		want string
	}{
		"IPv4":      {Node{Addresses: []netip.Addr{six, two}}, "198.18.0.2"},
		"IPv6 only": {Node{Node: owner.Node{Name: "n1"}, Addresses: []netip.Addr{six}}, "4.53.220.0"},
		"another":   {Node{Node: owner.Node{Name: "n2"}}, "7.53.224.185"},
		"multicast": {Node{Node: owner.Node{Name: "n20"}}, "2.208.119.171"},
	} {
		if got := tc.node.routerID().String(); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

// TestAggregate: a prefix goes as leaving only if all that is in it does, and has the best
// preference of all.
func TestAggregate(t *testing.T) {
	t.Parallel()
	node := func(name string, tier owner.Tier, ip netip.Addr) Node {
		return Node{Node: owner.Node{Name: name, Tier: tier, Segments: []netip.Prefix{netip.PrefixFrom(ip, 24).Masked()}}, Ready: true, Addresses: []netip.Addr{ip}}
	}
	entry := func(pref uint32, communities ...string) []lease.Announcement {
		return []lease.Announcement{{Aggregation: [2]uint8{28, 128}, LocalPref: pref, Communities: communities}}
	}
	addr := func(ip string, local [][]string, entries []lease.Announcement) Address {
		return Address{VIP: owner.VIP{IP: netip.MustParseAddr(ip), Serving: true, Local: local}, Entries: entries}
	}
	got := New(World{
		Self: "n1", BGP: &lease.BGP{Sessions: lease.SessionsEach, Routers: []lease.Router{{Name: "tor1", Address: netip.MustParseAddr("198.18.0.254")}}},
		Nodes: []Node{node("n1", owner.Draining, one), node("n2", owner.Normal, two)},
		Addresses: []Address{
			addr("203.0.113.1", nil, entry(100, "64513:2")), // n2 is there
			addr("203.0.113.2", [][]string{{"n1"}}, entry(200, "64513:1")),
			addr("203.0.113.17", nil, entry(100)),
		},
	}).Set.Routers[0].Paths
	want := []Path{
		{Prefix: netip.MustParsePrefix("203.0.113.0/28"), NextHop: one, LocalPref: 200, Communities: []string{"64513:1", "64513:2"}},
		{Prefix: netip.MustParsePrefix("203.0.113.16/28"), NextHop: one, LocalPref: 100, Leaving: true},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

// TestHundredNodes: a router has three sessions, however many nodes there are, and each node is
// announced to it twice at least.
func TestHundredNodes(t *testing.T) {
	t.Parallel()
	ip := netip.MustParseAddr("203.0.113.1")
	w := World{
		BGP:       &lease.BGP{Sessions: lease.SessionsFew, Routers: []lease.Router{{Name: "tor1", Address: netip.MustParseAddr("198.18.0.254")}, {Name: "tor2", Address: netip.MustParseAddr("198.18.0.253")}}},
		Addresses: []Address{{VIP: owner.VIP{IP: ip, Serving: true}, Entries: []lease.Announcement{{}}}},
	}
	for i := range 100 {
		w.Nodes = append(w.Nodes, Node{
			Node: owner.Node{Name: fmt.Sprintf("n%02d", i)}, Ready: true, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{198, 18, 0, byte(i)})},
			Sessions: []uint32{mesh.ShortName("tor1"), mesh.ShortName("tor2")},
		})
	}
	sessions, paths := map[string]int{}, map[netip.Addr]int{}
	for i := range w.Nodes {
		w.Self = w.Nodes[i].Name
		for _, r := range New(w).Set.Routers {
			sessions[r.Name]++
			for _, p := range r.Paths {
				paths[p.NextHop]++
			}
		}
	}
	if sessions["tor1"] != 3 || sessions["tor2"] != 3 {
		t.Errorf("sessions %v", sessions)
	}
	for _, n := range w.Nodes {
		if got := paths[n.Addresses[0]]; got < 4 || got > 6 {
			t.Errorf("%s is announced %d times to two routers", n.Name, got)
		}
	}
}
