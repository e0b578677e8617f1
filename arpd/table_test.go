package arpd

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	tab := nodeView().table
	for ip, want := range map[netip.Addr]role{
		vip4: own, other4: watch, yielded4: own | watch, peer4: 0,
		vip6: own, other6: watch, yielded6: own | watch, peer6: 0,
	} {
		if got := tab.role(ip); got != want {
			t.Errorf("role of %s is %d, want %d", ip, got, want)
		}
	}
	solicited := tab.solicited()
	slices.SortFunc(solicited, netip.Addr.Compare)
	if diff := cmp.Diff([]netip.Addr{vip6, yielded6}, solicited, compare); diff != "" {
		t.Errorf("solicited (-want +got):\n%s", diff)
	}
}

func TestTableKeys(t *testing.T) {
	tab := nodeView().table
	for name, tc := range map[string]struct{ got, want []uint32 }{
		"own IPv4":     {tab.keys4(own), []uint32{0xc6120064, 0xc6120066}},
		"watched IPv4": {tab.keys4(watch), []uint32{0xc6120065, 0xc6120066}},
		"all IPv4":     {tab.keys4(own | watch), []uint32{0xc6120064, 0xc6120065, 0xc6120066}},
		"own IPv6":     {tab.keys6(own), []uint32{0x100, 0x102}},
		"watched IPv6": {tab.keys6(watch), []uint32{0x101, 0x102}},
		"all IPv6":     {tab.keys6(own | watch), []uint32{0x100, 0x101, 0x102}},
	} {
		t.Run(name, func(t *testing.T) {
			slices.Sort(tc.got)
			if diff := cmp.Diff(tc.want, tc.got); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRole(t *testing.T) {
	for r, want := range map[role]bool{0: false, own: true, watch: false, own | watch: false} {
		if r.ours() != want {
			t.Errorf("role %d announced: %v", r, r.ours())
		}
	}
}
