package arpd

import (
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/packet"
)

// learned is the port at which the switch has a MAC, "" for none.
func (l *lan) learned(mac packet.HW) string {
	l.T.Helper()
	list, err := l.NL.NeighList(0, unix.AF_BRIDGE)
	l.Must("list forwarding table", err)
	for _, n := range list {
		if n.MasterIndex != 0 && string(n.HardwareAddr) == string(mac[:]) && n.State&netlink.NUD_PERMANENT == 0 {
			port, err := l.NL.LinkByIndex(n.LinkIndex)
			l.Must("find port", err)
			return port.Attrs().Name
		}
	}
	return ""
}

// TestSwitchLearns: a virtual machine moved to another port of the switch, which
// still has it at the old one. The first announcement, for each family, is what
// teaches it.
func TestSwitchLearns(t *testing.T) {
	for _, ip := range []netip.Addr{vip4, vip6} {
		p := newPair(t)
		p.speaker.stop()
		before := p.learned(p.mac)
		moved := newHost(t)
		after := p.plug(moved, "eth0")
		moved.Down("eth0")
		moved.Must("set MAC", moved.NL.LinkSetHardwareAddr(moved.Link("eth0"), p.mac[:]))
		moved.Up("eth0")
		moved.Address("eth0", "198.18.0.3/24", "2001:db8::3/64")
		s := moved.speak(1)
		old := p.node.station("eth0")
		last := announced(t, p.mac, other4)
		p.until("the switch has the node at its old port", func() bool {
			old.send(last)
			return p.wire.within(patience, isARP(packet.OpRequest, p.mac, other4)) && p.learned(p.mac) == before
		})
		s.Set([]netip.Addr{ip})
		p.wire.expect("the first announcement", func(f []byte) bool {
			return isARP(packet.OpRequest, p.mac, ip)(f) || isND(packet.NA, p.mac, ip)(f)
		})
		if is := p.learned(p.mac); is != after || before == after || before == "" {
			t.Errorf("%s: the switch has the node at port %q, it moved from %q to %q", ip, is, before, after)
		}
	}
}

// TestRoutersLearn: a router that takes what it did not ask for (RFC 9131, and
// arp_accept for IPv4) has an entry before it needs one.
func TestRoutersLearn(t *testing.T) {
	p := newPair(t)
	p.peer.Sysctl("net/ipv6/conf/eth0/forwarding", "1")
	p.peer.Sysctl("net/ipv6/conf/eth0/accept_untracked_na", "1")
	p.peer.Sysctl("net/ipv4/conf/eth0/arp_accept", "1")
	known := p.peer.neighbors()
	p.speaker.Set([]netip.Addr{vip4, vip6})
	for _, ip := range []netip.Addr{vip4, vip6} {
		p.peer.awaitNeighbor(known, ip, p.mac, unix.NUD_STALE)
	}
}

// TestMacvlan: a node whose uplink is a macvlan answers and announces with the
// macvlan's MAC, and the interface below it says nothing for it.
func TestMacvlan(t *testing.T) {
	p := newPair(t)
	p.speaker.stop()
	p.node.Sysctl("net/ipv4/conf/all/arp_ignore", "1") // else the kernel answers on eth0 for addresses of mac0
	p.node.Must("add macvlan", p.node.NL.LinkAdd(&netlink.Macvlan{
		LinkAttrs: netlink.LinkAttrs{Name: "mac0", ParentIndex: p.node.Link("eth0").Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE,
	}))
	p.node.Up("mac0")
	p.node.Address("mac0", "198.18.0.3/24", "2001:db8::3/64")
	p.speaker = p.node.speak(1, "mac0")
	p.mac = p.node.mac("mac0")
	p.peer.reach(netip.MustParseAddr("198.18.0.3"), p.mac)
	fence := netip.MustParseAddr("198.18.0.200")
	p.speaker.Set([]netip.Addr{vip4, vip6, fence})
	p.answeredSoon(vip6) // a macvlan passes on only the groups that are joined already
	if n := p.answers(vip4, fence); n != 1 {
		t.Errorf("%d answers", n)
	}
}

// TestLinkLocals: a peer asks from each of its several link-local addresses, of a
// node that has several itself.
func TestLinkLocals(t *testing.T) {
	p := newPair(t)
	p.node.Address("eth0", "fe80::1/64", "fe80::2/64")
	p.speaker.Set([]netip.Addr{vip6})
	for _, text := range []string{"fe80::a", "fe80::b", "2001:db8::2"} {
		from, group := netip.MustParseAddr(text), packet.SolicitedNode(vip6)
		p.wire.send(solicit(t, packet.Multicast(group.As16()), p.wire.mac, from, group, vip6, p.wire.mac))
		p.wire.expect("the answer to "+text, func(f []byte) bool {
			m, d := packet.ParseND(f)
			return d == packet.Sound && m.Src == p.mac && m.Kind == packet.NA && m.To == from.As16() && m.From == vip6.As16()
		})
	}
}
