package arpd

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
)

// besideNIC is on the network of testNIC.
var besideNIC = nic("eth1", 3, "198.18.0.9/24", "2001:db8::9/64")

// unplugged is a link without a carrier.
func unplugged(l netif.Link) netif.Link {
	return but(l, func(l *netif.Link) { l.Flags &^= unix.IFF_RUNNING })
}

// spoken6 are the IPv6 addresses that were announced on an interface since the last call.
func (n *node) spoken6(t *testing.T, index int) map[string]bool {
	t.Helper()
	seen := make(map[string]bool)
	for _, f := range n.sys.socket(index, packet.EtherIPv6).take() {
		if m, d := packet.ParseND(f.frame); d == packet.Sound && m.Kind == packet.NA {
			seen[netip.AddrFrom16(m.Target).String()] = true
		}
	}
	return seen
}

// expectSpoken compares the addresses of both families that were announced on eth0
// and eth1 since the last call.
func (n *node) expectSpoken(t *testing.T, what string, want ...[]netip.Addr) {
	t.Helper()
	synctest.Wait()
	for i, list := range want {
		got, texts := n.spoken(t, i+2), []string{}
		for ip := range n.spoken6(t, i+2) {
			got[ip] = true
		}
		for ip := range got {
			texts = append(texts, ip)
		}
		slices.Sort(texts)
		names := []string{}
		for _, ip := range list {
			names = append(names, ip.String())
		}
		slices.Sort(names)
		if diff := cmp.Diff(names, texts); diff != "" {
			t.Errorf("%s: announced on eth%d (-want +got):\n%s", what, i, diff)
		}
	}
}

// TestCardsTakeTurns: of two interfaces on one network the one announces by which the
// kernel reaches it, and the other one as soon as that has no link.
func TestCardsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newFake(t, testNIC, besideNIC)
		sys.reaches = map[netip.Prefix]int{netip.MustParsePrefix("198.18.0.0/24"): 3, netip.MustParsePrefix("2001:db8::/64"): 2}
		n, _ := start(t, sys)
		n.Set([]netip.Addr{vip4, vip6})
		n.expectSpoken(t, "at first", []netip.Addr{vip6}, []netip.Addr{vip4})
		for i, want := range []bool{false, true} {
			if got := sys.socket(i+2, packet.EtherARP).deliver(t, request(t, peer4, vip4)); got != want {
				t.Errorf("a question on eth%d passes the filter: %t", i, got)
			}
		}
		synctest.Wait()
		n.spoken(t, 3)
		time.Sleep(10 * time.Second)
		n.expectSpoken(t, "repeats", []netip.Addr{vip6}, []netip.Addr{vip4})

		sys.change(netif.Change{Index: 3, Down: true}, testNIC, unplugged(besideNIC))
		synctest.Wait() // no time passes
		n.expectSpoken(t, "without the link of eth1", []netip.Addr{vip4, vip6})
		time.Sleep(10 * time.Second)
		n.expectSpoken(t, "repeats", []netip.Addr{vip4, vip6})
		if diff := cmp.Diff([]string{"eth0"}, n.State().Routes.Announcing(vip4)); diff != "" {
			t.Errorf("the state shows (-want +got):\n%s", diff)
		}

		sys.change(netif.Change{Index: 3}, testNIC, besideNIC)
		time.Sleep(rescanRest)
		n.expectSpoken(t, "with the link of eth1", []netip.Addr{vip6}, []netip.Addr{vip4})

		sys.set(func() { sys.reaches[netip.MustParsePrefix("198.18.0.0/24")] = 2 })
		sys.change(netif.Change{Index: 2}, testNIC, besideNIC)
		time.Sleep(rescanRest)
		n.expectSpoken(t, "after a change of routes", []netip.Addr{vip4, vip6}, nil)
		if len(n.Conflicts())+len(n.Heard()) != 0 {
			t.Errorf("conflicts %v, heard %v", n.Conflicts(), n.Heard())
		}
	})
}

// TestLinkLostInTheRest: the loss of a link does not wait for the rest between lists.
func TestLinkLostInTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newFake(t, testNIC, besideNIC)
		n, _ := start(t, sys)
		n.Set([]netip.Addr{vip4})
		time.Sleep(time.Minute)
		sys.change(netif.Change{Index: 7}, testNIC, besideNIC, nic("veth7", 7)) // of a pod
		n.expectSpoken(t, "before", []netip.Addr{vip4}, nil)
		sys.change(netif.Change{Index: 2, Down: true}, unplugged(testNIC), besideNIC)
		n.expectSpoken(t, "without the link of eth0", nil, []netip.Addr{vip4})
	})
}

// TestFramesOfALostCard: what an interface sent that is gone may still arrive at the
// other one, and is no stranger's. A moment later it is.
func TestFramesOfALostCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newFake(t, testNIC, besideNIC)
		n, _ := start(t, sys)
		n.Set([]netip.Addr{vip4, vip6})
		time.Sleep(10 * time.Second)
		sys.change(netif.Change{Index: 2, Down: true, Gone: true}, besideNIC)
		synctest.Wait()
		late := func() {
			sys.socket(3, packet.EtherARP).deliver(t, announced(t, testNIC.MAC, vip4))
			sys.socket(3, packet.EtherIPv6).deliver(t, announced(t, testNIC.MAC, vip6))
			time.Sleep(time.Second)
		}
		late()
		if len(n.Conflicts())+len(n.Heard()) != 0 {
			t.Errorf("conflicts %v, heard %v", n.Conflicts(), n.Heard())
		}
		time.Sleep(ownLate)
		late()
		if len(n.Conflicts()) != 2 {
			t.Errorf("conflicts %v with who has the interface now, want two", n.Conflicts())
		}
	})
}

// TestCardsHearEachOther: two interfaces with networks of their own turn out to be on
// one wire. A routed address is announced on one of them as long as that is so.
func TestCardsHearEachOther(t *testing.T) {
	routed := []netip.Addr{netip.MustParseAddr("198.18.9.100"), netip.MustParseAddr("2001:db8:9::100")}
	other := nic("eth1", 3, "198.18.1.1/24", "2001:db8:1::1/64")
	synctest.Test(t, func(t *testing.T) {
		sys := newFake(t, testNIC, other)
		n, _ := start(t, sys)
		all := append(slices.Clone(routed), vip4)
		n.Set(all)
		n.expectSpoken(t, "at first", all, routed)
		hear := func() {
			sys.socket(3, packet.EtherARP).deliver(t, announced(t, testNIC.MAC, routed[0]))
			sys.socket(2, packet.EtherARP).deliver(t, announced(t, other.MAC, routed[0]))
			sys.socket(3, packet.EtherIPv6).deliver(t, announced(t, testNIC.MAC, routed[1]))
		}
		time.Sleep(20 * time.Second)
		n.expectSpoken(t, "repeats", all, routed)
		hear()
		n.expectSpoken(t, "once it hears itself", routed, nil)
		if sys.socket(3, packet.EtherARP).deliver(t, request(t, peer4, routed[0])) {
			t.Error("a question on eth1 passes the filter")
		}
		hear()
		n.expectSpoken(t, "which is no news", nil, nil)
		for range int(wireMemory/time.Minute) * 2 {
			time.Sleep(time.Minute)
			sys.socket(3, packet.EtherARP).deliver(t, announced(t, testNIC.MAC, routed[0])) // the refresh
		}
		n.expectSpoken(t, "refreshes", all, nil)

		sys.change(netif.Change{Index: 3, Down: true}, testNIC, other) // plugged in elsewhere
		time.Sleep(rescanRest)
		n.expectSpoken(t, "on wires of their own", all, routed)
		hear()
		n.expectSpoken(t, "and on one again", routed, nil)
		time.Sleep(wireMemory + 2*rescanEvery)
		n.expectSpoken(t, "that was not heard for long", all, routed)
		if len(n.Conflicts())+len(n.Heard()) != 0 {
			t.Errorf("conflicts %v, heard %v", n.Conflicts(), n.Heard())
		}
	})
}

// TestSameMACTwice: a VLAN has the MAC of its parent, so who hears it knows nothing of
// the parent's network.
func TestSameMACTwice(t *testing.T) {
	routed := []netip.Addr{netip.MustParseAddr("198.18.9.100")}
	vlan := but(nic("eth0.7", 4, "198.18.7.1/24"), func(l *netif.Link) { l.MAC = testNIC.MAC })
	synctest.Test(t, func(t *testing.T) {
		sys := newFake(t, testNIC, nic("eth1", 3, "198.18.1.1/24"), vlan)
		n, _ := start(t, sys)
		n.Set(routed)
		n.expectSpoken(t, "at first", routed, routed, routed)
		sys.socket(3, packet.EtherARP).deliver(t, announced(t, testNIC.MAC, routed[0]))
		time.Sleep(time.Second)
		n.expectSpoken(t, "repeats", routed, routed, routed)
	})
}

// TestListeningCard: the other interface remembers what it hears of others, hands
// nothing over, tries nothing out and does not ask for own addresses.
func TestListeningCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newFake(t, testNIC, besideNIC)
		n, _ := startWith(t, Config{Recheck: time.Second}, sys)
		n.give([]netip.Addr{vip4}, []netip.Addr{vip4, other4})
		n.Probe([]netip.Addr{netip.MustParseAddr("198.18.0.77")})
		time.Sleep(10 * time.Second)
		if sent := append(sys.socket(3, packet.EtherARP).take(), sys.socket(3, packet.EtherIPv6).take()...); len(sent) > 0 {
			t.Errorf("eth1 sent %d frames", len(sent))
		}
		for _, ip := range []netip.Addr{vip4, netip.MustParseAddr("198.18.0.77")} {
			if sys.socket(3, packet.EtherARP).deliver(t, request(t, peer4, ip)) {
				t.Errorf("a question for %s passes the filter of eth1", ip)
			}
		}
		sys.socket(3, packet.EtherARP).deliver(t, announced(t, strangerHW, other4))
		sys.socket(3, packet.EtherARP).deliver(t, announced(t, strangerHW, vip4))
		synctest.Wait()
		want := map[netip.Addr]string{vip4: strangerHW.String(), other4: strangerHW.String()}
		if diff := cmp.Diff(want, n.Heard(), compare); diff != "" {
			t.Errorf("heard (-want +got):\n%s", diff)
		}
	})
}
