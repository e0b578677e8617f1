package arpd

import (
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/lantest"
)

// TestRecheckFindsKernels: the kernel of a peer that is no node has two addresses of
// this node and says so only when it is asked. It is found, and neither is another
// speaker taken for a rival, nor does any cache learn a thing.
func TestRecheckFindsKernels(t *testing.T) {
	p := newPair(t)
	third := newHost(t)
	p.plug(third, "eth0", "198.18.0.3/24", "2001:db8::3/64")
	third.speak(1).Watch([]netip.Addr{vip4, vip6})
	p.speaker.stop()
	p.speaker = p.node.speakWith(1, Config{Recheck: 200 * time.Millisecond})
	p.speaker.Set([]netip.Addr{vip4, vip6})
	for range 2 { // each address twice: time enough for an answer
		for range 2 {
			p.wire.expect("a question", func(f []byte) bool { return packet.HW(f[6:12]) == p.mac && asksFor(f) != "no question for everybody" })
		}
	}
	if got := p.speaker.Conflicts(); len(got) != 0 {
		t.Errorf("conflicts %v while nobody else has the addresses", got)
	}
	for _, ip := range []netip.Addr{vip4, vip6} {
		p.peer.Must("add "+ip.String(), p.peer.NL.AddrAdd(p.peer.Link("eth0"), &netlink.Addr{
			IPNet: lantest.Net(netip.PrefixFrom(ip, ip.BitLen()).String()), Flags: unix.IFA_F_NODAD,
		}))
	}
	p.speaker.await("both strangers", func() bool { return len(p.speaker.Conflicts()) == 2 })
	for _, c := range p.speaker.Conflicts() {
		if c.Kind != claims.OfStranger || c.MAC != p.wire.mac.String() {
			t.Errorf("%s: %s at %s, want a stranger at %s", c.IP, c.Kind, c.MAC, p.wire.mac)
		}
	}
	list, err := third.NL.NeighList(third.Link("eth0").Attrs().Index, 0)
	third.Must("list neighbors", err)
	for _, n := range list {
		if ip, _ := netip.AddrFromSlice(n.IP); ip == vip4 || ip == vip6 {
			t.Errorf("the third host learned %+v", n)
		}
	}
}
