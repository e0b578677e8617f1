package arpd

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestRoute(t *testing.T) {
	eth0 := nic("eth0", 2, "198.18.0.1/24", "2001:db8::1/64")
	eth1 := nic("eth1", 3, "198.18.1.1/24", "fe80::1/64")
	bare := nic("eth2", 4)
	for name, tc := range map[string]struct {
		vip   string
		links []link
		want  []int
	}{
		"on the segment":                {"198.18.0.7", []link{eth0, eth1}, []int{2}},
		"on the other":                  {"198.18.1.7", []link{eth0, eth1}, []int{3}},
		"IPv6 on the segment":           {"2001:db8::7", []link{eth0, eth1}, []int{2}},
		"routed":                        {"198.18.7.7", []link{eth0, eth1}, []int{2, 3}},
		"routed IPv6":                   {"2001:db8:7::7", []link{eth0, eth1}, []int{2, 3}},
		"both on one segment":           {"198.18.0.7", []link{eth0, but(eth1, func(l *link) { l.addrs = eth0.addrs })}, []int{2, 3}},
		"an interface without address":  {"198.18.7.7", []link{bare}, []int{4}},
		"not beside a direct one":       {"198.18.0.7", []link{eth0, bare}, []int{2}},
		"no IPv6 there":                 {"2001:db8:7::7", []link{nic("eth3", 5, "198.18.0.1/24")}, nil},
		"no IPv4 there":                 {"198.18.7.7", []link{nic("eth3", 5, "2001:db8::1/64")}, nil},
		"longest prefix has no meaning": {"198.18.0.7", []link{eth0, nic("eth3", 5, "198.18.0.1/16")}, []int{2, 5}},
		"no interface":                  {"198.18.0.7", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			vip := netip.MustParseAddr(tc.vip)
			at := newRoutes([]Limit{{VIPs: []netip.Addr{netip.MustParseAddr("198.18.0.8")}}}, tc.links)
			if diff := cmp.Diff(tc.want, at.of(vip)); diff != "" {
				t.Errorf("interfaces (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPrefixes(t *testing.T) {
	for name, tc := range map[string]struct {
		addrs, want []string
	}{
		"none":           {nil, nil},
		"masked":         {[]string{"198.18.0.1/24"}, []string{"198.18.0.0/24"}},
		"two in one":     {[]string{"198.18.0.1/24", "198.18.0.2/24"}, []string{"198.18.0.0/24"}},
		"sorted":         {[]string{"2001:db8::1/64", "198.18.1.1/24", "198.18.0.1/24"}, []string{"198.18.0.0/24", "198.18.1.0/24", "2001:db8::/64"}},
		"link-local":     {[]string{"fe80::1/64", "169.254.0.1/16"}, nil},
		"single address": {[]string{"198.18.0.1/32", "2001:db8::1/128"}, nil},
		"point to point": {[]string{"198.18.0.0/31"}, []string{"198.18.0.0/31"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := nic("eth0", 2, tc.addrs...)
			if diff := cmp.Diff(prefixes(tc.want...), append([]netip.Prefix{}, l.prefixes()...), compare); diff != "" {
				t.Errorf("prefixes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDiffers(t *testing.T) {
	was := nic("eth0", 2, "198.18.0.1/24", "2001:db8::1/64")
	for name, tc := range map[string]struct {
		change func(*link)
		want   bool
	}{
		"nothing":                  {func(*link) {}, false},
		"another host part":        {func(l *link) { l.addrs = prefixes("198.18.0.9/24", "2001:db8::2/64", "2001:db8::1/64") }, false},
		"promiscuous":              {func(l *link) { l.flags |= unix.IFF_PROMISC }, false},
		"another name":             {func(l *link) { l.name = "lan0" }, true},
		"another MAC":              {func(l *link) { l.mac[5]++ }, true},
		"carrier gone":             {func(l *link) { l.flags &^= unix.IFF_RUNNING }, true},
		"another network":          {func(l *link) { l.addrs = prefixes("198.18.1.1/24", "2001:db8::1/64") }, true},
		"first link-local address": {func(l *link) { l.addrs = prefixes("198.18.0.1/24") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			now := but(was, tc.change)
			if got := now.differs(&was); got != tc.want {
				t.Errorf("differs: %v", got)
			}
		})
	}
}
