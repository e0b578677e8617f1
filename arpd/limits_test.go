package arpd

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
)

// spoken are the addresses that were announced on an interface since the last call.
func (n *node) spoken(t *testing.T, index int) map[string]bool {
	t.Helper()
	seen := make(map[string]bool)
	for _, f := range n.sys.socket(index, packet.EtherARP).take() {
		m, d := packet.ParseARP(f.frame)
		if d != packet.Sound {
			t.Errorf("an unreadable frame was sent: %s", d)
		}
		seen[netip.AddrFrom4(m.SPA).String()] = true
	}
	return seen
}

// TestSetLimits moves an address and a routed one between interfaces.
func TestSetLimits(t *testing.T) {
	there, routed := netip.MustParseAddr("198.18.1.100"), netip.MustParseAddr("198.18.9.100")
	only := func(ip netip.Addr, names ...string) netif.Limit {
		return netif.Limit{Interfaces: names, VIPs: []netip.Addr{ip}}
	}
	type names = map[string]bool
	for _, tt := range []struct {
		name   string
		limits []netif.Limit
		want   map[int]names // announced, by interface
	}{
		{"no limit", nil, map[int]names{2: {vip4.String(): true, routed.String(): true}, 3: {there.String(): true, routed.String(): true}}},
		{"a routed one", []netif.Limit{only(routed, "eth1")}, map[int]names{2: {vip4.String(): true}, 3: {there.String(): true, routed.String(): true}}},
		{"to where its network is not", []netif.Limit{only(vip4, "eth1")}, map[int]names{2: {routed.String(): true}, 3: {vip4.String(): true, there.String(): true, routed.String(): true}}},
		{"to its own network", []netif.Limit{only(vip4, "eth0")}, map[int]names{2: {vip4.String(): true, routed.String(): true}, 3: {there.String(): true, routed.String(): true}}},
		{"to interfaces that are not there", []netif.Limit{only(there, "eth7", "eth8"), only(routed)}, map[int]names{2: {vip4.String(): true}, 3: {}}},
		{"twice", []netif.Limit{only(routed, "eth0"), only(routed, "eth1")}, map[int]names{2: {vip4.String(): true, routed.String(): true}, 3: {there.String(): true, routed.String(): true}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, _ := start(t, newFake(t, testNIC, nic("eth1", 3, "198.18.1.1/24")))
				n.SetLimits(tt.limits)
				n.Set([]netip.Addr{vip4, there, routed})
				synctest.Wait()
				for index, want := range tt.want {
					if diff := cmp.Diff(want, n.spoken(t, index)); diff != "" {
						t.Errorf("interface %d announces (-want +got):\n%s", index, diff)
					}
					for _, ip := range []netip.Addr{vip4, there, routed} {
						if got := n.sys.socket(index, packet.EtherARP).deliver(t, request(t, peer4, ip)); got != want[ip.String()] {
							t.Errorf("a question for %s on interface %d passes the filter: %t", ip, index, got)
						}
					}
				}
			})
		})
	}
}

// TestSetLimitsWhileAnnounced makes sure that an address is announced at once where it goes, and
// that no other address is because of that.
func TestSetLimitsWhileAnnounced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := start(t, newFake(t, testNIC, nic("eth1", 3, "198.18.1.1/24")))
		n.Set([]netip.Addr{vip4, netip.MustParseAddr("198.18.0.101")})
		time.Sleep(30 * time.Second)
		n.spoken(t, 2)
		for _, st := range []struct {
			name       string
			interfaces []string
			want       [2]map[string]bool // on eth0 and eth1
		}{
			{"moved", []string{"eth1"}, [2]map[string]bool{{}, {vip4.String(): true}}},
			{"the same again", []string{"eth1"}, [2]map[string]bool{{}, {}}},
			{"back", []string{"eth0"}, [2]map[string]bool{{vip4.String(): true}, {}}},
			{"everywhere, which is its network", nil, [2]map[string]bool{{vip4.String(): true}, {}}},
		} {
			var limits []netif.Limit
			if st.interfaces != nil {
				limits = []netif.Limit{{Interfaces: st.interfaces, VIPs: []netip.Addr{vip4}}}
			}
			n.SetLimits(limits)
			synctest.Wait()
			if diff := cmp.Diff(st.want, [2]map[string]bool{n.spoken(t, 2), n.spoken(t, 3)}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", st.name, diff)
			}
			time.Sleep(8 * time.Second) // until the repeats are over
			n.spoken(t, 2)
			n.spoken(t, 3)
		}
	})
}
