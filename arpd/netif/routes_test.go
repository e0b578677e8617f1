package netif

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRoutes(t *testing.T) {
	eth0 := nic("eth0", 2, "198.18.0.1/24", "2001:db8::1/64")
	eth1 := nic("eth1", 3, "198.18.1.1/24", "fe80::1/64")
	beside := nic("eth1", 3, "198.18.0.9/24", "2001:db8::9/64")
	bare := nic("eth2", 4)
	table := but(beside, func(l *Link) { l.VRF = 9 })
	vips := []netip.Addr{netip.MustParseAddr("198.18.0.7"), netip.MustParseAddr("198.18.7.7"), netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("2001:db8:7::7")}
	named := func(names ...string) []Limit { return []Limit{{Interfaces: names, Named: names, VIPs: vips}} }
	fits := func(names ...string) []Limit { return []Limit{{Interfaces: names, VIPs: vips}} }
	via := func(four, six int) map[Network]int {
		return map[Network]int{{Prefix: netip.MustParsePrefix("198.18.0.0/24")}: four, {Prefix: netip.MustParsePrefix("2001:db8::/64")}: six}
	}
	for name, tc := range map[string]struct {
		vip      string
		links    []Link
		via      map[Network]int
		limits   []Limit
		heard    []Kin
		announce []int
		listen   []int
	}{
		"on the segment":               {vip: "198.18.0.7", links: []Link{eth0, eth1}, announce: []int{2}},
		"on the other":                 {vip: "198.18.1.7", links: []Link{eth0, eth1}, announce: []int{3}},
		"IPv6 on the segment":          {vip: "2001:db8::7", links: []Link{eth0, eth1}, announce: []int{2}},
		"routed":                       {vip: "198.18.7.7", links: []Link{eth0, eth1}, announce: []int{2, 3}},
		"routed IPv6":                  {vip: "2001:db8:7::7", links: []Link{eth0, eth1}, announce: []int{2, 3}},
		"an interface without address": {vip: "198.18.7.7", links: []Link{bare}, announce: []int{4}},
		"not beside a direct one":      {vip: "198.18.0.7", links: []Link{eth0, bare}, announce: []int{2}},
		"no IPv6 there":                {vip: "2001:db8:7::7", links: []Link{nic("eth3", 5, "198.18.0.1/24")}},
		"no IPv4 there":                {vip: "198.18.7.7", links: []Link{nic("eth3", 5, "2001:db8::1/64")}},
		"no interface":                 {vip: "198.18.0.7"},

		"two on one network":                      {vip: "198.18.0.7", links: []Link{eth0, beside}, announce: []int{2}, listen: []int{3}},
		"in another order":                        {vip: "198.18.0.7", links: []Link{beside, eth0}, announce: []int{2}, listen: []int{3}},
		"the kernel reaches it by the first":      {vip: "198.18.0.7", links: []Link{eth0, beside}, via: via(2, 3), announce: []int{2}, listen: []int{3}},
		"by the second":                           {vip: "198.18.0.7", links: []Link{eth0, beside}, via: via(3, 2), announce: []int{3}, listen: []int{2}},
		"IPv6 by the second":                      {vip: "2001:db8::7", links: []Link{eth0, beside}, via: via(2, 3), announce: []int{3}, listen: []int{2}},
		"by one that is not used":                 {vip: "198.18.0.7", links: []Link{eth0, beside}, via: via(8, 8), announce: []int{2}, listen: []int{3}},
		"routed over one network":                 {vip: "198.18.7.7", links: []Link{eth0, beside}, via: via(3, 2), announce: []int{3}, listen: []int{2}},
		"routed IPv6 over one network":            {vip: "2001:db8:7::7", links: []Link{eth0, beside}, via: via(3, 2), announce: []int{2}, listen: []int{3}},
		"routed IPv6, link-local beside":          {vip: "2001:db8:7::7", links: []Link{nic("eth0", 2, "198.18.0.1/24", "fe80::1/64"), nic("eth1", 3, "198.18.0.9/24", "fe80::2/64")}, via: via(3, 0), announce: []int{3}, listen: []int{2}},
		"a third on another network":              {vip: "198.18.7.7", links: []Link{eth0, beside, nic("eth2", 4, "198.18.2.1/24")}, announce: []int{2, 4}, listen: []int{3}},
		"a longer prefix":                         {vip: "198.18.0.7", links: []Link{nic("eth3", 1, "198.18.0.1/16"), eth0}, announce: []int{2}, listen: []int{1}},
		"outside of the longer prefix":            {vip: "198.18.5.7", links: []Link{nic("eth3", 1, "198.18.0.1/16"), eth0}, announce: []int{1}},
		"a routing table of its own":              {vip: "198.18.0.7", links: []Link{eth0, table}, announce: []int{2, 3}},
		"a table of its own, and they hear it":    {vip: "198.18.0.7", links: []Link{eth0, table}, heard: []Kin{{2, 3}}, announce: []int{2}, listen: []int{3}},
		"routed, and one hears the other":         {vip: "198.18.7.7", links: []Link{eth0, eth1}, heard: []Kin{{2, 3}}, announce: []int{2}, listen: []int{3}},
		"routed, and others hear each other":      {vip: "198.18.7.7", links: []Link{eth0, eth1}, heard: []Kin{{2, 4}}, announce: []int{2, 3}},
		"direct, though they hear each other":     {vip: "198.18.1.7", links: []Link{eth0, eth1}, heard: []Kin{{2, 3}}, announce: []int{3}},
		"an interface that only speaks the other": {vip: "198.18.7.7", links: []Link{nic("eth0", 2, "fe80::1/64"), eth1}, limits: named("eth0", "eth1"), heard: []Kin{{2, 3}}, announce: []int{3}, listen: []int{2}},

		"named, on networks that differ":           {vip: "198.18.0.7", links: []Link{eth0, eth1}, limits: named("eth0", "eth1"), announce: []int{2, 3}},
		"named, the other alone":                   {vip: "198.18.0.7", links: []Link{eth0, eth1}, limits: named("eth1"), announce: []int{3}},
		"named, on one network":                    {vip: "198.18.0.7", links: []Link{eth0, beside}, via: via(3, 2), limits: named("eth0", "eth1"), announce: []int{3}, listen: []int{2}},
		"named, routed, on one network":            {vip: "198.18.7.7", links: []Link{eth0, beside}, limits: named("eth0", "eth1"), announce: []int{2}, listen: []int{3}},
		"named, one network, kernel by another":    {vip: "198.18.0.7", links: []Link{nic("eth5", 1, "198.18.0.8/24"), eth0, beside}, via: via(1, 1), limits: named("eth0", "eth1"), announce: []int{2}, listen: []int{3}},
		"named, routed":                            {vip: "198.18.7.7", links: []Link{eth0, eth1}, limits: named("eth0", "eth1"), announce: []int{2, 3}},
		"named, without any address":               {vip: "198.18.0.7", links: []Link{eth0, bare}, limits: named("eth0", "eth2"), announce: []int{2, 4}},
		"named, IPv4 without an address of IPv4":   {vip: "198.18.0.7", links: []Link{eth0, nic("eth3", 5, "fe80::3/64")}, limits: named("eth0", "eth3"), announce: []int{2, 5}},
		"named, IPv6 where the kernel speaks none": {vip: "2001:db8::7", links: []Link{eth0, nic("eth3", 5, "198.18.5.1/24")}, limits: named("eth0", "eth3"), announce: []int{2}},
		"named, IPv6 with a link-local address":    {vip: "2001:db8::7", links: []Link{eth0, eth1}, limits: named("eth0", "eth1"), announce: []int{2, 3}},
		"by a pattern, by prefix":                  {vip: "198.18.0.7", links: []Link{eth0, eth1}, limits: fits("eth0", "eth1"), announce: []int{2}},
		"by a pattern, routed":                     {vip: "198.18.7.7", links: []Link{eth0, eth1}, limits: fits("eth0", "eth1"), announce: []int{2, 3}},
		"by a pattern, the other alone":            {vip: "198.18.0.7", links: []Link{eth0, eth1}, limits: fits("eth1"), announce: []int{3}},
		"one named, others by a pattern":           {vip: "198.18.0.7", links: []Link{eth0, eth1, nic("eth2", 4, "198.18.2.1/24")}, limits: []Limit{{Interfaces: []string{"eth0", "eth1", "eth2"}, Named: []string{"eth1"}, VIPs: vips}}, announce: []int{2, 3}},
		"none left":                                {vip: "198.18.0.7", links: []Link{eth0, eth1}, limits: fits()},
	} {
		t.Run(name, func(t *testing.T) {
			vip := netip.MustParseAddr(tc.vip)
			limits := append([]Limit{{VIPs: []netip.Addr{netip.MustParseAddr("198.18.0.8")}}}, tc.limits...)
			announce, listen := NewRoutes(limits, tc.via, tc.heard, tc.links).Of(vip)
			if diff := cmp.Diff([2][]int{tc.announce, tc.listen}, [2][]int{announce, listen}); diff != "" {
				t.Errorf("interfaces that announce and that listen (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAnnouncing: interfaces by name.
func TestAnnouncing(t *testing.T) {
	at := NewRoutes(nil, nil, nil, []Link{nic("eth1", 3, "198.18.1.1/24", "2001:db8::1/64"), nic("eth0", 2, "198.18.0.1/16", "fe80::1/64")})
	for ip, want := range map[string][]string{
		"198.18.0.7": {"eth0"}, "198.18.1.7": {"eth1"}, "203.0.113.7": {"eth0", "eth1"}, "2001:db8::7": {"eth1"}, "2001:db8:1::7": {"eth0", "eth1"},
	} {
		if diff := cmp.Diff(want, at.Announcing(netip.MustParseAddr(ip))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", ip, diff)
		}
	}
	if got := (*Routes)(nil).Announcing(netip.MustParseAddr("198.18.0.7")); got != nil {
		t.Errorf("before anything is known: %v", got)
	}
}

// TestNeighbor: the kernel is asked for an address that is on the network and not
// this node's.
func TestNeighbor(t *testing.T) {
	own := map[netip.Addr]bool{}
	for _, ip := range []string{"198.18.0.1", "198.18.0.2", "198.18.7.0", "198.18.7.1", "2001:db8::1", "198.18.9.0"} {
		own[netip.MustParseAddr(ip)] = true
	}
	for p, want := range map[string]string{
		"198.18.0.0/24": "198.18.0.3", "198.18.1.0/24": "198.18.1.1", "2001:db8::/64": "2001:db8::2", "2001:db8:1::/64": "2001:db8:1::1",
		"198.18.9.0/31": "198.18.9.1", "198.18.7.0/31": "198.18.7.1", // both are own
	} {
		if got := neighbor(netip.MustParsePrefix(p), own).String(); got != want {
			t.Errorf("%s: %s, want %s", p, got, want)
		}
	}
}
