package arpd

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/health"
)

func TestInvestigate(t *testing.T) {
	eth0, lo, dummy := nic("eth0", 2, "198.18.0.1/24", "2001:db8::1/64"), netif.Link{Name: "lo", Index: 1}, netif.Link{Name: ipvs, Index: 7}
	routed := netip.MustParseAddr("198.18.77.7")
	on := func(l *netif.Link, ips ...netip.Addr) map[netip.Addr]*netif.Link {
		out := map[netip.Addr]*netif.Link{peer4: &eth0, netip.MustParseAddr("127.0.0.1"): &lo}
		for _, ip := range ips {
			out[ip] = l
		}
		return out
	}
	strict := map[string]netif.Setting{"all": {ARPIgnore: 1, ARPAnnounce: 2}}
	for _, tc := range []struct {
		name     string
		settings map[string]netif.Setting
		locals   map[netip.Addr]*netif.Link
		vips     []netip.Addr
		want     []health.Code
		says     string // in the first one
	}{
		{"nothing is wrong", nil, on(nil), []netip.Addr{vip4, vip6}, nil, ""},
		{"the interface has VIPs", nil, on(&eth0, vip4, vip6), []netip.Addr{vip4, vip6}, []health.Code{health.KernelHasAddress, health.KernelHasAddress}, "ip address del 198.18.0.100 dev eth0"},
		{"loopback has a VIP", nil, on(&lo, vip4), []netip.Addr{vip4}, []health.Code{health.KernelAnswers}, "198.18.0.100 is an address of lo and arp_ignore of eth0 is 0"},
		{"loopback has an address that is no VIP", nil, on(&lo, vip4), []netip.Addr{other4}, nil, ""},
		{"loopback has a VIP of IPv6", nil, on(&lo, vip6), []netip.Addr{vip6}, nil, ""},
		{"IPVS without strictARP, before there is a VIP", nil, on(&dummy, other4), nil, []health.Code{health.KernelAnswers}, "strictARP: true"},
		{"IPVS without strictARP", nil, on(&dummy, vip4, other4), []netip.Addr{vip4, other4}, []health.Code{health.KernelAnswers}, "198.18.0.100 (and 1 more) is an address of kube-ipvs0"},
		{"IPVS with strictARP", strict, on(&dummy, vip4), []netip.Addr{vip4}, nil, ""},
		{"IPVS that does not answer and asks", map[string]netif.Setting{"eth0": {ARPIgnore: 1}}, on(&dummy, vip4), []netip.Addr{vip4}, []health.Code{health.KernelAsks}, "arp_announce of eth0 is 0"},
		{"proxy ARP and a VIP of the network", map[string]netif.Setting{"eth0": {ProxyARP: true, Forwarding: true}}, on(nil), []netip.Addr{vip4}, nil, ""},
		{"proxy ARP and a routed VIP", map[string]netif.Setting{"all": {ProxyARP: true}, "eth0": {Forwarding: true}}, on(nil), []netip.Addr{vip4, routed, vip6}, []health.Code{health.ProxyARP}, "may answer for 198.18.77.7, whichever"},
		{"proxy ARP of a host that does not forward", map[string]netif.Setting{"eth0": {ProxyARP: true}}, on(nil), []netip.Addr{routed}, nil, ""},
		{"private VLAN", map[string]netif.Setting{"eth0": {ProxyPVLAN: true, Forwarding: true}}, on(nil), []netip.Addr{vip4, routed}, []health.Code{health.ProxyARP}, "set net.ipv4.conf.eth0.proxy_arp_pvlan=0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vips := map[netip.Addr]role{}
			for _, ip := range tc.vips {
				vips[ip] = watch // whoever owns it
			}
			got := investigate([]*netif.Link{&eth0}, tc.settings, tc.locals, vips)
			var kinds []health.Code
			for _, f := range got {
				kinds = append(kinds, f.Code)
				if !strings.Contains(f.Words, "eth0") || f.Advice == "" {
					t.Errorf("%+v", f)
				}
			}
			if diff := cmp.Diff(tc.want, kinds); diff != "" {
				t.Errorf("kinds (-want +got):\n%s", diff)
			}
			if tc.says != "" && !strings.Contains(got[0].String(), tc.says) {
				t.Errorf("%q does not say %q", got[0], tc.says)
			}
		})
	}
}

func TestDeadRoutes(t *testing.T) {
	used := []*netif.Link{&testNIC}
	eth1 := netif.Interface{Name: "eth1", Index: 3, Reason: "no carrier"}
	lan4, lan6 := netif.Network{Prefix: netip.MustParsePrefix("198.18.0.0/24")}, netif.Network{Prefix: netip.MustParsePrefix("2001:db8::/64")}
	for name, tc := range map[string]struct {
		list []netif.Interface
		via  map[netif.Network]int
		want []string // first words of the advice
	}{
		"one interface":           {nil, nil, nil},
		"by one that is used":     {[]netif.Interface{{Name: "eth1", Index: 3, Used: true}}, map[netif.Network]int{lan4: 3, lan6: 3}, nil},
		"no route":                {[]netif.Interface{eth1}, map[netif.Network]int{lan4: 0, lan6: 0}, nil},
		"by one without carrier":  {[]netif.Interface{eth1}, map[netif.Network]int{lan4: 3, lan6: 2}, []string{"set net.ipv4.conf.eth1.ignore_routes_with_linkdown=1"}},
		"the same for IPv6":       {[]netif.Interface{eth1}, map[netif.Network]int{lan6: 3}, []string{"set net.ipv6.conf.eth1.ignore_routes_with_linkdown=1"}},
		"by one that is excluded": {[]netif.Interface{{Name: "eth1", Index: 3, Reason: "not asked for"}}, map[netif.Network]int{lan4: 3}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range deadRoutes(used, tc.list, tc.via) {
				first, _, _ := strings.Cut(f.Advice, ",")
				got = append(got, first)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("advice (-want +got):\n%s", diff)
			}
		})
	}
}

// TestFindingsAppearAndGo: an address that the kernel gets is found by its event,
// a setting within half a minute.
func TestFindingsAppearAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dummy := netif.Link{Name: ipvs, Index: 7, Flags: running}
		n, _ := start(t, newFake(t, testNIC, dummy))
		n.Watch([]netip.Addr{vip4})
		synctest.Wait()
		drained(n)
		dummy.Own = []netip.Addr{vip4}
		n.sys.change(netif.Change{Index: 7}, testNIC, dummy)
		time.Sleep(rescanRest)
		synctest.Wait()
		if got := n.State().Conditions; len(got) != 1 || got[0].Code != health.KernelAnswers {
			t.Fatalf("%+v", got)
		}
		select {
		case <-n.Changed():
		default:
			t.Error("the caller is not told")
		}
		n.sys.set(func() { n.sys.settings = map[string]netif.Setting{"all": {ARPIgnore: 1, ARPAnnounce: 2}} })
		time.Sleep(rescanEvery + time.Second)
		if got := n.State().Conditions; len(got) != 0 {
			t.Errorf("%+v", got)
		}
	})
}
