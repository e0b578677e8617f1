package arpd

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestInvestigate(t *testing.T) {
	eth0, lo, dummy := nic("eth0", 2, "198.18.0.1/24", "2001:db8::1/64"), link{name: "lo", index: 1}, link{name: ipvs, index: 7}
	routed := netip.MustParseAddr("198.18.77.7")
	on := func(l *link, ips ...netip.Addr) map[netip.Addr]*link {
		out := map[netip.Addr]*link{peer4: &eth0, netip.MustParseAddr("127.0.0.1"): &lo}
		for _, ip := range ips {
			out[ip] = l
		}
		return out
	}
	strict := map[string]setting{"all": {arpIgnore: 1, arpAnnounce: 2}}
	for _, tc := range []struct {
		name     string
		settings map[string]setting
		locals   map[netip.Addr]*link
		vips     []netip.Addr
		want     []string // kinds
		says     string   // in the first one
	}{
		{"nothing is wrong", nil, on(nil), []netip.Addr{vip4, vip6}, nil, ""},
		{"the interface has VIPs", nil, on(&eth0, vip4, vip6), []netip.Addr{vip4, vip6}, []string{KernelHas, KernelHas}, "ip address del 198.18.0.100 dev eth0"},
		{"loopback has a VIP", nil, on(&lo, vip4), []netip.Addr{vip4}, []string{KernelAnswers}, "198.18.0.100 is an address of lo and arp_ignore of eth0 is 0"},
		{"loopback has an address that is no VIP", nil, on(&lo, vip4), []netip.Addr{other4}, nil, ""},
		{"loopback has a VIP of IPv6", nil, on(&lo, vip6), []netip.Addr{vip6}, nil, ""},
		{"IPVS without strictARP, before there is a VIP", nil, on(&dummy, other4), nil, []string{KernelAnswers}, "strictARP: true"},
		{"IPVS without strictARP", nil, on(&dummy, vip4, other4), []netip.Addr{vip4, other4}, []string{KernelAnswers}, "198.18.0.100 (and 1 more) is an address of kube-ipvs0"},
		{"IPVS with strictARP", strict, on(&dummy, vip4), []netip.Addr{vip4}, nil, ""},
		{"IPVS that does not answer and asks", map[string]setting{"eth0": {arpIgnore: 1}}, on(&dummy, vip4), []netip.Addr{vip4}, []string{KernelAsks}, "arp_announce of eth0 is 0"},
		{"proxy ARP and a VIP of the network", map[string]setting{"eth0": {proxyARP: true, forwarding: true}}, on(nil), []netip.Addr{vip4}, nil, ""},
		{"proxy ARP and a routed VIP", map[string]setting{"all": {proxyARP: true}, "eth0": {forwarding: true}}, on(nil), []netip.Addr{vip4, routed, vip6}, []string{ProxyARP}, "may answer for 198.18.77.7, whoever"},
		{"proxy ARP of a host that does not forward", map[string]setting{"eth0": {proxyARP: true}}, on(nil), []netip.Addr{routed}, nil, ""},
		{"private VLAN", map[string]setting{"eth0": {proxyPVLAN: true, forwarding: true}}, on(nil), []netip.Addr{vip4, routed}, []string{ProxyARP}, "set net.ipv4.conf.eth0.proxy_arp_pvlan=0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vips := map[netip.Addr]role{}
			for _, ip := range tc.vips {
				vips[ip] = watch // whoever owns it
			}
			got := investigate([]*link{&eth0}, tc.settings, tc.locals, vips)
			var kinds []string
			for _, f := range got {
				kinds = append(kinds, f.Kind)
				if f.Interface != "eth0" || f.Advice == "" {
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

// TestFindingsAppearAndGo: an address that the kernel gets is found by its event,
// a setting within half a minute.
func TestFindingsAppearAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dummy := link{name: ipvs, index: 7, flags: running}
		n, _ := start(t, newFake(t, testNIC, dummy))
		n.Watch([]netip.Addr{vip4})
		synctest.Wait()
		drained(n)
		dummy.own = []netip.Addr{vip4}
		n.sys.change(change{index: 7}, testNIC, dummy)
		time.Sleep(rescanRest)
		synctest.Wait()
		if got := n.State().Findings; len(got) != 1 || got[0].Kind != KernelAnswers {
			t.Fatalf("%+v", got)
		}
		select {
		case <-n.Changed():
		default:
			t.Error("the caller is not told")
		}
		n.sys.set(func() { n.sys.settings = map[string]setting{"all": {arpIgnore: 1, arpAnnounce: 2}} })
		time.Sleep(rescanEvery + time.Second)
		if got := n.State().Findings; len(got) != 0 {
			t.Errorf("%+v", got)
		}
	})
}
