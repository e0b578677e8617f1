package arpd

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// pair is a node that runs a responder and a peer on the same switch.
type pair struct {
	*lan
	node, peer *host
	speaker    *speakerNode
	wire       *station // the peer's view of the switch
	mac        hw       // of the node
}

func newPair(t testing.TB) *pair {
	t.Helper()
	privileged(t)
	p := &pair{lan: newLAN(t), node: newHost(t), peer: newHost(t)}
	p.plug(p.node, "eth0", "198.18.0.1/24", "2001:db8::1/64")
	p.plug(p.peer, "eth0", "198.18.0.2/24", "2001:db8::2/64")
	p.mac = p.node.mac("eth0")
	p.wire = p.peer.station("eth0")
	p.speaker = p.node.speak(1)
	p.peer.reach(netip.MustParseAddr("198.18.0.1"), p.mac)
	return p
}

// ask sends the peer's question for ip.
func (p *pair) ask(ips ...netip.Addr) {
	p.t.Helper()
	for _, ip := range ips {
		if ip.Is4() {
			p.wire.send(arpFrame(p.t, broadcastHW, p.wire.mac, 1, p.wire.mac, peer4, hw{}, ip))
			continue
		}
		group := solicitedNode(ip)
		p.wire.send(solicit(p.t, multicastHW(group.As16()), p.wire.mac, netip.MustParseAddr("2001:db8::2"), group, ip, p.wire.mac))
	}
}

// toPeer fits an answer for ip to the peer alone; an announcement in reply form
// does not fit.
func (p *pair) toPeer(ip netip.Addr) func([]byte) bool {
	answer := isAnswer(p.mac, ip)
	return func(f []byte) bool { return answer(f) && hw(f[:6]) == p.wire.mac }
}

// answered asks for the addresses and waits for every answer.
func (p *pair) answered(ips ...netip.Addr) {
	p.t.Helper()
	for _, ip := range ips {
		p.ask(ip)
		p.wire.expect("the answer for "+ip.String(), p.toPeer(ip))
	}
}

// silent asks for ip and then for fence, and fails if ip is answered before
// fence is: the reader works in order, so ip is not answered at all.
func (p *pair) silent(ip, fence netip.Addr) {
	p.t.Helper()
	p.ask(ip, fence)
	p.wire.expect("the answer for "+fence.String(), func(f []byte) bool {
		if p.toPeer(ip)(f) {
			p.t.Errorf("%s is answered", ip)
		}
		return p.toPeer(fence)(f)
	})
}

// TestKernelResolves: the kernel of a peer finds VIPs and its datagrams arrive.
func TestKernelResolves(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4, vip6})
	known, arrived := p.peer.neighbours(), p.node.station("eth0")
	for _, ip := range []netip.Addr{vip4, vip6} {
		p.peer.poke(ip)
		p.peer.awaitNeighbour(known, ip, p.mac, unix.NUD_REACHABLE)
		arrived.expect("the datagram", func(f []byte) bool {
			dst, ok := netip.AddrFromSlice(f[30:34])
			if f[12] == 0x86 {
				dst, ok = netip.AddrFromSlice(f[38:54])
			}
			return ok && dst == ip && hw(f[:6]) == p.mac
		})
	}
}

// TestKernelProbesAgain: neighbour unreachability detection asks by unicast, and
// an entry that is not confirmed would fail.
func TestKernelProbesAgain(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4, vip6})
	known, seen := p.peer.neighbours(), p.node.station("eth0")
	for _, ip := range []netip.Addr{vip4, vip6} {
		for range 3 {
			p.peer.must("set entry", p.peer.nl.NeighSet(&netlink.Neigh{
				LinkIndex: p.peer.link("eth0").Attrs().Index, IP: ip.AsSlice(), HardwareAddr: p.mac[:], State: unix.NUD_PROBE,
			}))
			seen.expect("the unicast question", func(f []byte) bool {
				arp, nd := isARP(arpRequest, p.wire.mac, peer4), isND(typeNS, p.wire.mac, ip)
				return hw(f[:6]) == p.mac && (ip.Is4() && arp(f) || ip.Is6() && nd(f))
			})
			p.peer.awaitNeighbour(known, ip, p.mac, unix.NUD_REACHABLE)
		}
	}
}

// TestDuplicateAddressDetection: a host that tries to take a VIP learns that it
// is taken.
func TestDuplicateAddressDetection(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4, vip6})
	p.peer.sysctl("net/ipv6/conf/eth0/accept_dad", "1")
	p.peer.sysctl("net/ipv6/conf/eth0/dad_transmits", "1")
	updates, done := make(chan netlink.AddrUpdate), make(chan struct{})
	p.must("subscribe", netlink.AddrSubscribeAt(p.peer.ns, updates, done))
	t.Cleanup(func() { close(done); drain(updates) })
	p.peer.address("eth0", vip6.String()+"/64")
	late := time.After(patience)
	for failed := false; !failed; {
		select {
		case u := <-updates:
			ip, _ := netip.AddrFromSlice(u.LinkAddress.IP)
			if ip == vip6 && u.NewAddr && u.Flags&(unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED) == 0 {
				t.Fatal("the kernel took the address")
			}
			failed = ip == vip6 && u.Flags&unix.IFA_F_DADFAILED != 0
		case <-late:
			t.Fatal("duplicate address detection does not fail")
		}
	}
	p.wire.send(arpFrame(t, broadcastHW, p.wire.mac, 1, p.wire.mac, netip.IPv4Unspecified(), hw{}, vip4)) // RFC 5227 probe
	p.wire.expect("the answer to the probe", func(f []byte) bool {
		m, _ := parseARP(f)
		return isARP(arpReply, p.mac, vip4)(f) && m.dst == p.wire.mac && m.tpa == [4]byte{}
	})
}

// TestGratuitousMovesNeighbours: when another node gains a VIP, the entries of a
// peer that asks nothing follow.
func TestGratuitousMovesNeighbours(t *testing.T) {
	p := newPair(t)
	second := newHost(t)
	p.plug(second, "eth0", "198.18.0.3/24", "2001:db8::3/64")
	other := second.speak(1)
	vips := []netip.Addr{vip4, vip6}
	known := p.peer.neighbours()
	p.speaker.Set(vips)
	for _, ip := range vips {
		p.peer.poke(ip)
		p.peer.awaitNeighbour(known, ip, p.mac, unix.NUD_REACHABLE)
	}
	p.speaker.Set(nil)
	other.Set(vips)
	for _, ip := range vips {
		p.peer.awaitNeighbour(known, ip, second.mac("eth0"), ^0)
	}
	p.speaker.Set(vips)
	other.Set(nil)
	for _, ip := range vips {
		p.peer.awaitNeighbour(known, ip, p.mac, ^0)
	}
}

// TestSilence: nothing is answered that is not in the set, and what leaves it
// falls silent at once.
func TestSilence(t *testing.T) {
	p := newPair(t)
	fence4, fence6 := netip.MustParseAddr("198.18.0.200"), netip.MustParseAddr("2001:db8::200")
	p.speaker.Set([]netip.Addr{vip4, vip6, fence4, fence6})
	p.speaker.Watch([]netip.Addr{other4, other6})
	p.answered(vip4, vip6)
	p.silent(other4, fence4)
	p.silent(other6, fence6)
	p.silent(netip.MustParseAddr("198.18.0.150"), fence4)
	p.silent(netip.MustParseAddr("2001:db8::150"), fence6)
	for range 20 {
		p.speaker.Set([]netip.Addr{vip4, vip6, fence4, fence6})
		p.answered(vip4, vip6)
		p.speaker.Set([]netip.Addr{fence4, fence6})
		p.silent(vip4, fence4)
		p.silent(vip6, fence6)
	}
}

func TestLinkDownAndUp(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4, vip6})
	for range 3 {
		p.node.down("eth0")
		p.speaker.await("the interface to be left", func() bool { return p.speaker.used() == 0 })
		if got := p.speaker.Problems(); len(got) != 1 || got[0] != "no usable interface: eth0: down" {
			t.Errorf("problems %v", got)
		}
		p.node.up("eth0")
		p.node.must("IPv6 address", p.node.nl.AddrReplace(p.node.link("eth0"), &netlink.Addr{IPNet: ipnet("2001:db8::1/64")}))
		p.speaker.await("the interface to be used", func() bool { return p.speaker.used() == 1 })
		p.wire.expect("an announcement", isARP(arpRequest, p.mac, vip4))
		p.wire.expect("an announcement", isND(typeNA, p.mac, vip6))
		p.answered(vip4, vip6)
	}
}

// TestCarrier: the switch loses the node's port; the node is up all the time.
func TestCarrier(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4})
	p.down("p0")
	p.speaker.await("the interface to be left", func() bool { return p.speaker.used() == 0 })
	if got := p.speaker.Problems(); len(got) != 1 || got[0] != "no usable interface: eth0: no carrier" {
		t.Errorf("problems %v", got)
	}
	p.up("p0")
	p.speaker.await("the interface to be used", func() bool { return p.speaker.used() == 1 })
	p.wire.expect("an announcement", isARP(arpRequest, p.mac, vip4))
}

func TestChangedMAC(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4, vip6})
	known := p.peer.neighbours()
	for _, ip := range []netip.Addr{vip4, vip6} {
		p.peer.poke(ip)
		p.peer.awaitNeighbour(known, ip, p.mac, unix.NUD_REACHABLE)
	}
	fresh := hw{0x02, 0xaa, 0, 0, 0, 0x01}
	p.node.must("change MAC", p.node.nl.LinkSetHardwareAddr(p.node.link("eth0"), fresh[:]))
	for _, ip := range []netip.Addr{vip4, vip6} {
		p.peer.awaitNeighbour(known, ip, fresh, ^0)
	}
	p.mac = fresh
	p.answered(vip4, vip6)
	p.speaker.await("the new MAC to be shown", func() bool { return p.speaker.Interfaces()[0].MAC == fresh.String() })
}

func TestInterfaceRenamed(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4})
	p.node.down("eth0")
	p.node.must("rename", p.node.nl.LinkSetName(p.node.link("eth0"), "uplink0"))
	p.node.up("uplink0")
	p.speaker.await("the new name", func() bool {
		list := p.speaker.Interfaces()
		return p.speaker.used() == 1 && list[1].Name == "uplink0" && list[1].Used
	})
	p.answered(vip4)
}

// TestLateInterface: a node starts with loopback only; an interface comes, goes
// and comes again.
func TestLateInterface(t *testing.T) {
	privileged(t)
	l, node, peer := newLAN(t), newHost(t), newHost(t)
	l.plug(peer, "eth0", "198.18.0.2/24")
	wire := peer.station("eth0")
	s := node.speak(0)
	s.Set([]netip.Addr{vip4})
	for range 3 {
		port := l.plug(node, "eth0", "198.18.0.1/24")
		s.await("the interface", func() bool { return s.used() == 1 })
		wire.expect("an announcement", isARP(arpRequest, node.mac("eth0"), vip4))
		l.must("unplug", l.nl.LinkDel(l.link(port)))
		s.await("the interface to go", func() bool { return s.used() == 0 && len(s.Interfaces()) == 1 })
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
	privileged(t)
	l, node, peer := newLAN(t), newHost(t), newHost(t)
	l.plug(node, "eth0")
	l.plug(peer, "eth0", "198.18.0.2/24", "2001:db8::2/64")
	mac := node.mac("eth0")
	node.must("add bridge", node.nl.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0", HardwareAddr: mac[:]}}))
	node.must("enslave", node.nl.LinkSetMaster(node.link("eth0"), node.link("br0")))
	node.up("br0")
	node.address("br0", "198.18.0.1/24", "2001:db8::1/64")
	s := node.speak(1)
	for _, i := range s.Interfaces() {
		if i.Name == "eth0" && i.Reason != "member of bridge br0" {
			t.Errorf("eth0: %+v", i)
		}
	}
	s.Set([]netip.Addr{vip4, vip6})
	known := peer.neighbours()
	for _, ip := range []netip.Addr{vip4, vip6} {
		peer.poke(ip)
		peer.awaitNeighbour(known, ip, mac, unix.NUD_REACHABLE)
	}
}

// TestTaggedFrames: a frame of a VLAN is not for the interface below it, unless
// the tag only carries a priority.
func TestTaggedFrames(t *testing.T) {
	p := newPair(t)
	fence := netip.MustParseAddr("198.18.0.200")
	p.speaker.Set([]netip.Addr{vip4, fence})
	tagged := func(ip netip.Addr, vid byte) []byte {
		plain := arpFrame(t, broadcastHW, p.wire.mac, 1, p.wire.mac, peer4, hw{}, ip)
		return append(append(append([]byte(nil), plain[:12]...), 0x81, 0, 0xe0, vid), plain[12:]...)
	}
	p.wire.send(tagged(vip4, 10))
	p.silent(netip.MustParseAddr("198.18.0.150"), fence)
	if got := gathered(t, p.speaker, "starling_layer2_requests_received_total"); got != 1 {
		t.Errorf("%v questions counted, one was asked", got)
	}
	p.wire.send(tagged(vip4, 0))
	p.wire.expect("the answer to the priority-tagged frame", p.toPeer(vip4))
}

// TestFramesForOthers: a macvlan and a promiscuous interface show more than is
// addressed to the node; a question is answered once, and only if it was meant
// for the node.
func TestFramesForOthers(t *testing.T) {
	p := newPair(t)
	eth0 := p.node.link("eth0")
	p.node.must("add macvlan", p.node.nl.LinkAdd(&netlink.Macvlan{
		LinkAttrs: netlink.LinkAttrs{Name: "mac0", ParentIndex: eth0.Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE,
	}))
	p.node.up("mac0")
	p.node.must("promiscuous", p.node.nl.SetPromiscOn(eth0))
	fence := netip.MustParseAddr("198.18.0.200")
	p.speaker.Set([]netip.Addr{vip4, fence})
	question := arpFrame(t, broadcastHW, p.wire.mac, 1, p.wire.mac, peer4, hw{}, vip4)
	macvlan := p.node.mac("mac0")
	p.wire.send(with(question, 0, strangerHW[:]...), with(question, 0, macvlan[:]...), question)
	p.ask(fence)
	answers := 0
	p.wire.expect("the answer for the fence", func(f []byte) bool {
		if p.toPeer(vip4)(f) {
			answers++
		}
		return p.toPeer(fence)(f)
	})
	if answers != 1 {
		t.Errorf("%d answers to one question", answers)
	}
	if got := gathered(t, p.speaker, "starling_layer2_dropped_total"); got != 0 {
		t.Errorf("%v frames for others passed the kernel's filter", got)
	}
}

// TestStrangerOnTheWire: a peer has a VIP as its own address. Its kernel says so
// whenever it asks for somebody from there; for IPv6 the announcement is made by
// hand.
func TestStrangerOnTheWire(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4, vip6})
	p.peer.address("eth0", vip4.String()+"/24")
	p.peer.do(func() error {
		c, err := net.DialUDP("udp", &net.UDPAddr{IP: vip4.AsSlice()}, &net.UDPAddr{IP: net.IPv4(198, 18, 0, 77), Port: 9})
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("hello"))
		return err
	})
	frames, err := announcement(p.wire.mac, vip6, true)
	p.must("build", err)
	p.wire.send(frames...)
	p.speaker.await("the conflicts", func() bool { return len(p.speaker.Conflicts()) == 2 })
	for _, c := range p.speaker.Conflicts() {
		if c.MAC != p.wire.mac.String() || c.Kind != "stranger" || c.Last.Before(c.Since) {
			t.Errorf("conflict %+v", c)
		}
	}
	if got := gathered(t, p.speaker, "starling_layer2_conflicts_total"); got < 2 {
		t.Errorf("%v conflicts counted", got)
	}
}

// TestSuccessorIsHeard: the hand-over as the speaker does it, between two nodes.
func TestSuccessorIsHeard(t *testing.T) {
	p := newPair(t)
	second := newHost(t)
	p.plug(second, "eth0", "198.18.0.3/24", "2001:db8::3/64")
	successor := second.speak(1)
	vips := []netip.Addr{vip4, vip6}
	p.speaker.Set(vips)
	successor.Watch(vips)
	mac := second.mac("eth0").String()
	successor.await("the owner to be heard", func() bool {
		heard := successor.Heard()
		return heard[vip4] == p.mac.String() && heard[vip6] == p.mac.String()
	})
	p.speaker.Watch(vips)
	successor.Set(vips)
	successor.Watch(nil)
	p.speaker.await("the successor to be heard", func() bool {
		heard := p.speaker.Heard()
		return heard[vip4] == mac && heard[vip6] == mac
	})
	if len(p.speaker.Conflicts())+len(successor.Conflicts()) != 0 {
		t.Errorf("conflicts %v, %v", p.speaker.Conflicts(), successor.Conflicts())
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
		p.wire.expect("an announcement", isARP(arpRequest, p.mac, vip4))
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

// gathered is the sum of a metric.
func gathered(t *testing.T, s *speakerNode, name string) float64 {
	t.Helper()
	families, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == name {
				sum += m.Counter.GetValue()
			}
		}
	}
	return sum
}

// TestSameIndexAgain: the kernel gives a new interface the index of the one that
// was just removed.
func TestSameIndexAgain(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4})
	index, port := p.node.link("eth0").Attrs().Index, "p0"
	for range 3 {
		p.must("unplug", p.nl.LinkDel(p.link(port)))
		port = fmt.Sprintf("p%d", p.ports)
		p.ports++
		p.node.must("add", p.node.nl.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: "eth0", Index: index, HardwareAddr: p.mac[:]},
			PeerName:  port, PeerNamespace: netlink.NsFd(int(p.ns)),
		}))
		p.must("enslave", p.nl.LinkSetMaster(p.link(port), p.link("br0")))
		p.up(port)
		p.node.up("eth0")
		p.node.address("eth0", "198.18.0.1/24")
		p.wire.expect("an announcement", isARP(arpRequest, p.mac, vip4))
		p.peer.reach(netip.MustParseAddr("198.18.0.1"), p.mac)
		p.answered(vip4)
	}
}
