package arpd

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/lantest"
)

// pair is a node that runs a responder and a peer on the same switch.
type pair struct {
	*lan
	node, peer *host
	speaker    *speakerNode
	wire       *station  // the peer's view of the switch
	mac        packet.HW // of the node
}

func newPair(t testing.TB) *pair {
	t.Helper()
	lantest.Privileged(t)
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
	p.T.Helper()
	for _, ip := range ips {
		if ip.Is4() {
			p.wire.send(arpFrame(p.T, packet.Broadcast, p.wire.mac, 1, p.wire.mac, peer4, packet.HW{}, ip))
			continue
		}
		group := packet.SolicitedNode(ip)
		p.wire.send(solicit(p.T, packet.Multicast(group.As16()), p.wire.mac, netip.MustParseAddr("2001:db8::2"), group, ip, p.wire.mac))
	}
}

// toPeer fits an answer for ip to the peer alone; an announcement in reply form
// does not fit.
func (p *pair) toPeer(ip netip.Addr) func([]byte) bool {
	answer := isAnswer(p.mac, ip)
	return func(f []byte) bool { return answer(f) && packet.HW(f[:6]) == p.wire.mac }
}

// answered asks for the addresses and waits for every answer.
func (p *pair) answered(ips ...netip.Addr) {
	p.T.Helper()
	for _, ip := range ips {
		p.ask(ip)
		p.wire.expect("the answer for "+ip.String(), p.toPeer(ip))
	}
}

// until repeats a step that takes some time itself until it succeeds.
func (p *pair) until(what string, step func() bool) {
	p.T.Helper()
	for late := time.Now().Add(patience); !step(); {
		if time.Now().After(late) {
			p.T.Fatalf("not in %v: %s", patience, what)
		}
	}
}

// answeredSoon asks again and again until ip is answered.
func (p *pair) answeredSoon(ip netip.Addr) {
	p.T.Helper()
	p.until("an answer for "+ip.String(), func() bool {
		p.ask(ip)
		return p.wire.within(100*time.Millisecond, p.toPeer(ip))
	})
}

// silent asks for ip and then for fence, and fails if ip is answered before
// fence is: the reader works in order, so ip is not answered at all.
func (p *pair) silent(ip, fence netip.Addr) {
	p.T.Helper()
	p.ask(ip, fence)
	p.wire.expect("the answer for "+fence.String(), func(f []byte) bool {
		if p.toPeer(ip)(f) {
			p.T.Errorf("%s is answered", ip)
		}
		return p.toPeer(fence)(f)
	})
}

// TestKernelResolves: the kernel of a peer finds VIPs and its datagrams arrive.
func TestKernelResolves(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4, vip6})
	known, arrived := p.peer.neighbors(), p.node.station("eth0")
	for _, ip := range []netip.Addr{vip4, vip6} {
		p.peer.poke(ip)
		p.peer.awaitNeighbor(known, ip, p.mac, unix.NUD_REACHABLE)
		arrived.expect("the datagram", func(f []byte) bool {
			dst, ok := netip.AddrFromSlice(f[30:34])
			if f[12] == 0x86 {
				dst, ok = netip.AddrFromSlice(f[38:54])
			}
			return ok && dst == ip && packet.HW(f[:6]) == p.mac
		})
	}
}

// TestKernelProbesAgain: neighbor unreachability detection asks by unicast, and
// an entry that is not confirmed would fail.
func TestKernelProbesAgain(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4, vip6})
	known, seen := p.peer.neighbors(), p.node.station("eth0")
	for _, ip := range []netip.Addr{vip4, vip6} {
		for range 3 {
			p.peer.Must("set entry", p.peer.NL.NeighSet(&netlink.Neigh{
				LinkIndex: p.peer.Link("eth0").Attrs().Index, IP: ip.AsSlice(), HardwareAddr: p.mac[:], State: unix.NUD_PROBE,
			}))
			seen.expect("the unicast question", func(f []byte) bool {
				arp, nd := isARP(packet.OpRequest, p.wire.mac, peer4), isND(packet.NS, p.wire.mac, ip)
				return packet.HW(f[:6]) == p.mac && (ip.Is4() && arp(f) || ip.Is6() && nd(f))
			})
			p.peer.awaitNeighbor(known, ip, p.mac, unix.NUD_REACHABLE)
		}
	}
}

// TestDuplicateAddressDetection: a host that tries to take a VIP learns that it
// is taken.
func TestDuplicateAddressDetection(t *testing.T) {
	p := newPair(t)
	p.speaker.Set([]netip.Addr{vip4, vip6})
	p.peer.Sysctl("net/ipv6/conf/eth0/accept_dad", "1")
	p.peer.Sysctl("net/ipv6/conf/eth0/dad_transmits", "1")
	updates, done := make(chan netlink.AddrUpdate), make(chan struct{})
	p.Must("subscribe", netlink.AddrSubscribeAt(p.peer.NS, updates, done))
	t.Cleanup(func() {
		close(done)
		for range updates { // the library blocks on a channel that nobody reads
		}
	})
	p.peer.Address("eth0", vip6.String()+"/64")
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
	p.wire.send(arpFrame(t, packet.Broadcast, p.wire.mac, 1, p.wire.mac, netip.IPv4Unspecified(), packet.HW{}, vip4)) // RFC 5227 probe
	p.wire.expect("the answer to the probe", func(f []byte) bool {
		m, _ := packet.ParseARP(f)
		return isARP(packet.OpReply, p.mac, vip4)(f) && m.Dst == p.wire.mac && m.TPA == [4]byte{}
	})
}

// TestGratuitousMovesNeighbors: when another node gains a VIP, the entries of a
// peer that asks nothing follow.
func TestGratuitousMovesNeighbors(t *testing.T) {
	p := newPair(t)
	second := newHost(t)
	p.plug(second, "eth0", "198.18.0.3/24", "2001:db8::3/64")
	other := second.speak(1)
	vips := []netip.Addr{vip4, vip6}
	known := p.peer.neighbors()
	p.speaker.Set(vips)
	for _, ip := range vips {
		p.peer.poke(ip)
		p.peer.awaitNeighbor(known, ip, p.mac, unix.NUD_REACHABLE)
	}
	p.speaker.Set(nil)
	other.Set(vips)
	for _, ip := range vips {
		p.peer.awaitNeighbor(known, ip, second.mac("eth0"), ^0)
	}
	p.speaker.Set(vips)
	other.Set(nil)
	for _, ip := range vips {
		p.peer.awaitNeighbor(known, ip, p.mac, ^0)
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

// TestTaggedFrames: a frame of a VLAN is not for the interface below it, unless
// the tag only carries a priority.
func TestTaggedFrames(t *testing.T) {
	p := newPair(t)
	fence := netip.MustParseAddr("198.18.0.200")
	p.speaker.Set([]netip.Addr{vip4, fence})
	tagged := func(ip netip.Addr, vid byte) []byte {
		plain := arpFrame(t, packet.Broadcast, p.wire.mac, 1, p.wire.mac, peer4, packet.HW{}, ip)
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
	eth0 := p.node.Link("eth0")
	p.node.Must("add macvlan", p.node.NL.LinkAdd(&netlink.Macvlan{
		LinkAttrs: netlink.LinkAttrs{Name: "mac0", ParentIndex: eth0.Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE,
	}))
	p.node.Up("mac0")
	p.node.Must("promiscuous", p.node.NL.SetPromiscOn(eth0))
	fence := netip.MustParseAddr("198.18.0.200")
	p.speaker.Set([]netip.Addr{vip4, fence})
	question := arpFrame(t, packet.Broadcast, p.wire.mac, 1, p.wire.mac, peer4, packet.HW{}, vip4)
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
	p.peer.Address("eth0", vip4.String()+"/24")
	p.peer.do(func() error {
		c, err := net.DialUDP("udp", &net.UDPAddr{IP: vip4.AsSlice()}, &net.UDPAddr{IP: net.IPv4(198, 18, 0, 77), Port: 9})
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("hello"))
		return err
	})
	frames, err := packet.Announcement(p.wire.mac, p.wire.mac, vip6, true)
	p.Must("build", err)
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

// gathered is the sum of a metric.
func gathered(t testing.TB, s *speakerNode, name string) float64 {
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
