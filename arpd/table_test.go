package arpd

import (
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// newTable is the table of some addresses.
func newTable(roles map[netip.Addr]role) *table {
	grants := make([]grant, 0, len(roles))
	for ip, r := range roles {
		grants = append(grants, grant{ip: ip, role: r})
	}
	return new(table).with(grants)
}

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

// TestTableWith changes tables at random and checks each against a plain map: what it
// says, what its filter lets pass, and that the tables before stay as they were.
func TestTableWith(t *testing.T) {
	ips := slices.Concat(manyIPv4(40), many(40), []netip.Addr{vip4, vip6, other4, netip.MustParseAddr("2001:db8:1::1")})
	rapid.Check(t, func(t *rapid.T) {
		tabs, wants := []*table{{}}, []map[netip.Addr]role{{}}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			want := maps.Clone(wants[len(wants)-1])
			var grants []grant
			for range rapid.IntRange(0, 20).Draw(t, "grants") {
				g := grant{ip: rapid.SampledFrom(ips).Draw(t, "ip"), role: rapid.SampledFrom([]role{0, own, watch, own | watch, tried, deputized | watch}).Draw(t, "role")}
				grants = append(grants, g)
				if want[g.ip] = g.role; g.role == 0 {
					delete(want, g.ip)
				}
			}
			tabs, wants = append(tabs, tabs[len(tabs)-1].with(grants)), append(wants, want)
		}
		for i, want := range wants {
			for _, ip := range ips {
				if got := tabs[i].role(ip); got != want[ip] {
					t.Fatalf("table %d: role of %s is %d, want %d", i, ip, got, want[ip])
				}
			}
			covers(t, tabs[i].asked4, tabs[i].keys4(own|deputized|tried))
			covers(t, tabs[i].spoken4, tabs[i].keys4(own|watch|tried))
			covers(t, tabs[i].asked6, tabs[i].keys6(own|deputized))
			covers(t, tabs[i].spoken6, tabs[i].keys6(own|watch|tried))
		}
	})
}

// TestTableShares: a change copies the part that it is in and nothing else.
func TestTableShares(t *testing.T) {
	was := newTable(map[netip.Addr]role{vip4: own, vip6: own, other4: watch, other6: watch})
	is := was.with([]grant{{ip: vip4, role: own | watch}, {ip: vip6, role: own}, {ip: peer6}})
	for i := range was.v4 {
		if same := was.v4[i] == is.v4[i]; same == (uint8(i) == slot4(key4(vip4.As4()))) {
			t.Errorf("part %d of IPv4 is the same: %v", i, same)
		}
	}
	if was.v6 != is.v6 {
		t.Error("parts of IPv6 in which nothing changed were copied")
	}
	if was.with(nil) != was {
		t.Error("a table without changes is another")
	}
}
