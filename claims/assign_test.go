package claims

import (
	"net/netip"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var (
	compare = cmpopts.EquateComparable(netip.Addr{})
	addr6   = netip.MustParseAddr("2001:db8::100")
)

func addrs(texts ...string) (out []netip.Addr) {
	for _, t := range texts {
		out = append(out, netip.MustParseAddr(t))
	}
	return out
}

func TestDiffering(t *testing.T) {
	a := func(hosts ...byte) (out []netip.Addr) {
		for _, h := range hosts {
			out = append(out, netip.AddrFrom4([4]byte{198, 18, 0, h}))
		}
		return out
	}
	for name, tc := range map[string]struct{ was, is, want []netip.Addr }{
		"nothing":             {nil, nil, nil},
		"the same":            {a(1, 2), a(1, 2), nil},
		"all new":             {nil, a(1, 2), a(1, 2)},
		"all gone":            {a(1, 2), nil, a(1, 2)},
		"one more":            {a(1, 3), a(1, 2, 3), a(2)},
		"one less":            {a(1, 2, 3), a(1, 3), a(2)},
		"one for another":     {a(1, 2, 4), a(1, 3, 4), a(2, 3)},
		"the same in between": {a(1, 2, 3, 4), a(2, 3, 5), a(1, 4, 5)},
		"the end is the head": {a(1), a(1, 1), a(1)},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := gocmp.Diff(tc.want, Differing(tc.was, tc.is), compare); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNormalize(t *testing.T) {
	for name, tc := range map[string]struct {
		ips  []netip.Addr
		want []netip.Addr
		same bool // the list itself
	}{
		"nothing":        {nil, nil, true},
		"as it is":       {[]netip.Addr{addrA, addrB, addr6}, []netip.Addr{addrA, addrB, addr6}, true},
		"not sorted":     {[]netip.Addr{addrB, addrA}, []netip.Addr{addrA, addrB}, false},
		"twice":          {[]netip.Addr{addrA, addrA}, []netip.Addr{addrA}, false},
		"mapped":         {addrs("::ffff:198.18.0.100"), []netip.Addr{addrA}, false},
		"with a zone":    {[]netip.Addr{addr6.WithZone("eth0")}, []netip.Addr{addr6}, false},
		"not unicast":    {addrs("0.0.0.0", "127.0.0.1", "198.18.0.100", "224.0.0.1", "::", "ff02::1"), []netip.Addr{addrA}, false},
		"not an address": {[]netip.Addr{{}, addrA}, []netip.Addr{addrA}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, known := range [][]netip.Addr{nil, {addrA}, {addrA, addr6}, {addr6}} {
				got := normalize(tc.ips, known)
				if diff := gocmp.Diff(tc.want, got, compare); diff != "" || sameList(got, tc.ips) != tc.same {
					t.Errorf("after %v: the list itself: %v (-want +got):\n%s", known, sameList(got, tc.ips), diff)
				}
			}
		})
	}
}
