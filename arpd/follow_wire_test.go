package arpd

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/lantest"
)

// awaitProblem waits until one thing is said to be wrong. A list that the kernel
// makes while a link goes down may show it without carrier first.
func (s *speakerNode) awaitProblem(text string) {
	s.t.Helper()
	s.await(text, func() bool { return s.used() == 0 && slices.Equal(s.words(), []string{text}) })
}

func TestLinkDownAndUp(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4, vip6})
	for range 3 {
		p.node.Down("eth0")
		p.speaker.awaitProblem("no usable interface: eth0: down")
		p.node.Up("eth0")
		p.node.Must("IPv6 address", p.node.NL.AddrReplace(p.node.Link("eth0"), &netlink.Addr{IPNet: lantest.Net("2001:db8::1/64")}))
		p.speaker.await("the interface to be used", func() bool { return p.speaker.used() == 1 })
		p.wire.expect("an announcement", isARP(packet.OpRequest, p.mac, vip4))
		p.wire.expect("an announcement", isND(packet.NA, p.mac, vip6))
		p.answered(vip4, vip6)
	}
}

// TestCarrier: the switch loses the node's port; the node is up all the time.
func TestCarrier(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4})
	p.Down("p0")
	p.speaker.awaitProblem("no usable interface: eth0: no carrier")
	p.Up("p0")
	p.speaker.await("the interface to be used", func() bool { return p.speaker.used() == 1 })
	p.wire.expect("an announcement", isARP(packet.OpRequest, p.mac, vip4))
}

func TestChangedMAC(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4, vip6})
	known := p.peer.neighbors()
	for _, ip := range []netip.Addr{vip4, vip6} {
		p.peer.poke(ip)
		p.peer.awaitNeighbor(known, ip, p.mac, unix.NUD_REACHABLE)
	}
	fresh := packet.HW{0x02, 0xaa, 0, 0, 0, 0x01}
	p.node.Must("change MAC", p.node.NL.LinkSetHardwareAddr(p.node.Link("eth0"), fresh[:]))
	for _, ip := range []netip.Addr{vip4, vip6} {
		p.peer.awaitNeighbor(known, ip, fresh, ^0)
	}
	p.mac = fresh
	p.answered(vip4, vip6)
	p.speaker.await("the new MAC to be shown", func() bool { return p.speaker.Interfaces()[0].MAC == fresh.String() })
}

func TestInterfaceRenamed(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4})
	p.node.Down("eth0")
	p.node.Must("rename", p.node.NL.LinkSetName(p.node.Link("eth0"), "uplink0"))
	p.node.Up("uplink0")
	p.speaker.await("the new name", func() bool {
		list := p.speaker.Interfaces()
		return p.speaker.used() == 1 && list[1].Name == "uplink0" && list[1].Used
	})
	p.answered(vip4)
}

// TestLateInterface: a node starts with loopback only; an interface comes, goes
// and comes again.
func TestLateInterface(t *testing.T) {
	lantest.Privileged(t)
	l, node, peer := newLAN(t), newHost(t), newHost(t)
	l.plug(peer, "eth0", "198.18.0.2/24")
	wire := peer.station("eth0")
	s := node.speak(0)
	s.Set([]netip.Addr{vip4})
	for range 3 {
		port := l.plug(node, "eth0", "198.18.0.1/24")
		s.await("the interface", func() bool { return s.used() == 1 })
		wire.expect("an announcement", isARP(packet.OpRequest, node.mac("eth0"), vip4))
		l.Must("unplug", l.NL.LinkDel(l.Link(port)))
		s.await("the interface to go", func() bool { return s.used() == 0 && len(s.Interfaces()) == 1 })
	}
}

// TestSameIndexAgain: the kernel gives a new interface the index of the one that
// was just removed.
func TestSameIndexAgain(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4})
	index, port := p.node.Link("eth0").Attrs().Index, "p0"
	for range 3 {
		p.Must("unplug", p.NL.LinkDel(p.Link(port)))
		port = fmt.Sprintf("p%d", p.ports)
		p.ports++
		p.node.Must("add", p.node.NL.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: "eth0", Index: index, HardwareAddr: p.mac[:]},
			PeerName:  port, PeerNamespace: netlink.NsFd(int(p.NS)),
		}))
		p.Must("enslave", p.NL.LinkSetMaster(p.Link(port), p.Link("br0")))
		p.Up(port)
		p.node.Up("eth0")
		p.node.Address("eth0", "198.18.0.1/24")
		p.wire.expect("an announcement", isARP(packet.OpRequest, p.mac, vip4))
		// Opening the sockets may take more than one turn of the follower, and a
		// question that falls between two is lost, as on any new interface.
		p.answeredSoon(vip4)
	}
}

// TestTwoSegmentsOnTheWire: each VIP is answered on its own segment, a routed
// one on both.
func TestTwoSegmentsOnTheWire(t *testing.T) {
	p := newPair(t)
	back := newLAN(t)
	peer := newHost(t)
	back.plug(p.node, "eth1", "198.18.1.1/24", "2001:db8:1::1/64")
	back.plug(peer, "eth0", "198.18.1.2/24", "2001:db8:1::2/64")
	q := &pair{lan: back, node: p.node, peer: peer, wire: peer.station("eth0"), mac: p.node.mac("eth1")}
	p.speaker.await("both interfaces", func() bool { return p.speaker.used() == 2 })
	peer.reach(netip.MustParseAddr("198.18.1.1"), q.mac)
	back4, back6 := netip.MustParseAddr("198.18.1.100"), netip.MustParseAddr("2001:db8:1::100")
	routed4, routed6 := netip.MustParseAddr("198.18.9.9"), netip.MustParseAddr("2001:db8:9::9")
	p.speaker.Set([]netip.Addr{vip4, vip6, back4, back6, routed4, routed6})
	for _, ip := range []netip.Addr{routed4, routed6} {
		p.answered(ip)
		q.answered(ip)
	}
	p.silent(back4, vip4)
	p.silent(back6, vip6)
	q.silent(vip4, back4)
	q.silent(vip6, back6)
}

// TestUplinkIsABridge: the node's address is on a bridge, pods hang on it too.
func TestUplinkIsABridge(t *testing.T) {
	lantest.Privileged(t)
	l, node, peer := newLAN(t), newHost(t), newHost(t)
	l.plug(node, "eth0")
	l.plug(peer, "eth0", "198.18.0.2/24", "2001:db8::2/64")
	mac := node.mac("eth0")
	node.Must("add bridge", node.NL.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0", HardwareAddr: mac[:]}}))
	node.Must("enslave", node.NL.LinkSetMaster(node.Link("eth0"), node.Link("br0")))
	node.Up("br0")
	node.Address("br0", "198.18.0.1/24", "2001:db8::1/64")
	s := node.speak(1)
	for _, i := range s.Interfaces() {
		if i.Name == "eth0" && i.Reason != "member of bridge br0" {
			t.Errorf("eth0: %+v", i)
		}
	}
	s.Set([]netip.Addr{vip4, vip6})
	known := peer.neighbors()
	for _, ip := range []netip.Addr{vip4, vip6} {
		peer.poke(ip)
		peer.awaitNeighbor(known, ip, mac, unix.NUD_REACHABLE)
	}
}

// TestRunEndsPromptly: readers that sleep in the kernel leave at once, and with
// them all descriptors.
func TestRunEndsPromptly(t *testing.T) {
	p := newPair(t)
	p.speaker.stop()
	before := descriptors(t)
	threads := runtime.NumGoroutine()
	for range 5 {
		s := p.node.speak(1)
		s.Set(append(many(400), vip4))
		p.wire.expect("an announcement", isARP(packet.OpRequest, p.mac, vip4))
		begin := time.Now()
		s.stop()
		if d := time.Since(begin); d > time.Second {
			t.Errorf("Run took %v to end", d)
		} else {
			t.Logf("Run took %v to end", d.Round(100*time.Microsecond))
		}
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
	if after := runtime.NumGoroutine(); after > threads+2 { // the library's own may take a moment to end
		t.Errorf("%d goroutines, %d before", after, threads)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
