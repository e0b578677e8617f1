package netif

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

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
			if diff := cmp.Diff(prefixes(tc.want...), append([]netip.Prefix{}, l.Prefixes()...), compare); diff != "" {
				t.Errorf("prefixes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDiffers(t *testing.T) {
	was := nic("eth0", 2, "198.18.0.1/24", "2001:db8::1/64")
	for name, tc := range map[string]struct {
		change func(*Link)
		want   bool
	}{
		"nothing":                  {func(*Link) {}, false},
		"another host part":        {func(l *Link) { l.Addrs = prefixes("198.18.0.9/24", "2001:db8::2/64", "2001:db8::1/64") }, false},
		"promiscuous":              {func(l *Link) { l.Flags |= unix.IFF_PROMISC }, false},
		"another name":             {func(l *Link) { l.Name = "lan0" }, true},
		"another MAC":              {func(l *Link) { l.MAC[5]++ }, true},
		"carrier gone":             {func(l *Link) { l.Flags &^= unix.IFF_RUNNING }, true},
		"another network":          {func(l *Link) { l.Addrs = prefixes("198.18.1.1/24", "2001:db8::1/64") }, true},
		"first link-local address": {func(l *Link) { l.Addrs = prefixes("198.18.0.1/24") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			now := but(was, tc.change)
			if got := now.Differs(&was); got != tc.want {
				t.Errorf("differs: %v", got)
			}
		})
	}
}

// TestSource: the address from which a node speaks to another one.
func TestSource(t *testing.T) {
	l := Link{
		Addrs: prefixes("192.0.2.1/24", "198.18.0.1/24", "203.0.113.2/32", "fe80::1/64", "2001:db8::1/64"),
		Own:   addrs("192.0.2.1", "198.18.0.1", "203.0.113.1", "fe80::1", "2001:db8::1"),
	}
	for to, want := range map[string]string{
		"198.18.0.100":  "198.18.0.1",
		"203.0.113.2":   "192.0.2.1", // the other end's address is none of this node
		"198.51.100.1":  "192.0.2.1",
		"2001:db8::100": "2001:db8::1",
		"2001:db8:1::1": "2001:db8::1",
	} {
		if got := l.Source(netip.MustParseAddr(to)); got != netip.MustParseAddr(want) {
			t.Errorf("to %s from %s, want %s", to, got, want)
		}
	}
	four := Link{Addrs: prefixes("198.18.0.1/24", "fe80::1/64"), Own: addrs("198.18.0.1", "fe80::1")}
	if got := four.Source(netip.MustParseAddr("2001:db8::1")); got.IsValid() {
		t.Errorf("from %s to a family that it has not", got)
	}
}
