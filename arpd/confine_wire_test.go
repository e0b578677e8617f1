package arpd

import (
	"net/netip"
	"testing"
)

// TestConfineOnTheWire: real frames, real filters and groups. What is kept to another interface is not
// answered and not announced here, and is again as soon as it may be here.
func TestConfineOnTheWire(t *testing.T) {
	p := newPair(t)
	kept := []netip.Addr{vip4, vip6}
	free := []netip.Addr{netip.MustParseAddr("198.18.0.101"), netip.MustParseAddr("2001:db8::101")}
	p.speaker.Confine([]Limit{{Interfaces: []string{"eth9"}, VIPs: kept}})
	p.speaker.Set(append(free, kept...))
	p.answered(free...)
	for i, ip := range kept {
		p.silent(ip, free[i])
	}
	p.speaker.Confine([]Limit{{Interfaces: []string{"eth9", "eth0"}, VIPs: kept}})
	p.wire.expect("the announcement", isARP(arpRequest, p.mac, vip4))
	for _, ip := range kept {
		p.answeredSoon(ip)
	}
	p.speaker.Confine([]Limit{{VIPs: kept}})
	for i, ip := range kept {
		p.silent(ip, free[i])
	}
	p.speaker.Confine(nil)
	for _, ip := range kept {
		p.answeredSoon(ip)
	}
}
