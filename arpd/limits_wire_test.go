package arpd

import (
	"net/netip"
	"testing"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
)

// TestSetLimitsOnTheWire: real frames, real filters and groups. What is kept to another interface
// is not answered and not announced here, and is again as soon as it may be here.
func TestSetLimitsOnTheWire(t *testing.T) {
	p := newPair(t)
	kept := []netip.Addr{vip4, vip6}
	free := []netip.Addr{netip.MustParseAddr("198.18.0.101"), netip.MustParseAddr("2001:db8::101")}
	p.speaker.SetLimits([]netif.Limit{{Interfaces: []string{"eth9"}, VIPs: kept}})
	p.speaker.Set(append(free, kept...))
	p.answered(free...)
	for i, ip := range kept {
		p.silent(ip, free[i])
	}
	p.speaker.SetLimits([]netif.Limit{{Interfaces: []string{"eth9", "eth0"}, VIPs: kept}})
	p.wire.expect("the announcement", isARP(packet.OpRequest, p.mac, vip4))
	for _, ip := range kept {
		p.answeredSoon(ip)
	}
	p.speaker.SetLimits([]netif.Limit{{VIPs: kept}})
	for i, ip := range kept {
		p.silent(ip, free[i])
	}
	p.speaker.SetLimits(nil)
	for _, ip := range kept {
		p.answeredSoon(ip)
	}
}

// TestNamedOnTheWire: an address of the first network is kept to interfaces on two networks. Both
// answer if they are named, each with its own MAC, and that of its network if a pattern fits both.
func TestNamedOnTheWire(t *testing.T) {
	p := newPair(t)
	back, peer := newLAN(t), newHost(t)
	back.plug(p.node, "eth1", "198.18.1.1/24", "2001:db8:1::1/64")
	back.plug(peer, "eth0", "198.18.1.2/24", "2001:db8:1::2/64")
	q := &pair{lan: back, node: p.node, peer: peer, wire: peer.station("eth0"), mac: p.node.mac("eth1")}
	p.speaker.await("both interfaces", func() bool { return p.speaker.used() == 2 })
	peer.reach(netip.MustParseAddr("198.18.1.1"), q.mac)
	kept, both := []netip.Addr{vip4, vip6}, []string{"eth0", "eth1"}
	there := []netip.Addr{netip.MustParseAddr("198.18.1.100"), netip.MustParseAddr("2001:db8:1::100")}
	p.speaker.SetLimits([]netif.Limit{{Interfaces: both, Named: both, VIPs: kept}})
	p.speaker.Set(append(there, kept...))
	q.wire.expect("an announcement", isND(packet.NA, q.mac, vip6))
	p.answered(kept...)
	q.answered(kept...)
	p.speaker.SetLimits([]netif.Limit{{Interfaces: both, VIPs: kept}})
	p.answered(kept...)
	for i, ip := range kept {
		q.silent(ip, there[i])
	}
}
