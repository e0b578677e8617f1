package packet

import (
	"fmt"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
)

// Question4 is an ARP request (RFC 826) for ip to the station at to, by the one at mac with the
// address from. That it gives the target hardware address, which those of hosts leave empty, marks
// it as one of a speaker: it asks who holds on to the address, and who is handing it over is to be
// silent.
func Question4(mac HW, from netip.Addr, to HW, ip netip.Addr) ([]byte, error) {
	p, err := arp.NewPacket(arp.OperationRequest, mac[:], from, to[:], ip)
	if err != nil {
		return nil, fmt.Errorf("build question for %s: %w", ip, err)
	}
	body, err := p.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encode question for %s: %w", ip, err)
	}
	return append(Ethernet(to, mac, EtherARP), body...), nil
}

// Question6 is a neighbor solicitation to one station, as of neighbor
// unreachability detection (RFC 4861, section 7.3.3). It comes from the
// link-local address that belongs to the MAC (RFC 4291, appendix A), whether the
// interface has it or not: the answer is read from the frame.
func Question6(mac, to HW, ip netip.Addr) ([]byte, error) {
	ns := &ndp.NeighborSolicitation{
		TargetAddress: ip,
		Options: []ndp.Option{
			&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: mac[:]},
			&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: to[:]}, // the mark, ignored by hosts (RFC 4861, section 4.6.1)
		},
	}
	from := LinkLocal(mac)
	body, err := ndp.MarshalMessageChecksum(ns, from, ip)
	if err != nil {
		return nil, fmt.Errorf("encode question for %s: %w", ip, err)
	}
	return NDFrame(to, mac, from, ip, body), nil
}

// Probe4 is the ARP probe of RFC 5227, section 2.1.1: a request from 0.0.0.0, by
// which no cache learns anything.
func Probe4(mac HW, ip netip.Addr) ([]byte, error) {
	p, err := arp.NewPacket(arp.OperationRequest, mac[:], netip.IPv4Unspecified(), make([]byte, len(mac)), ip)
	if err != nil {
		return nil, fmt.Errorf("build probe for %s: %w", ip, err)
	}
	body, err := p.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encode probe for %s: %w", ip, err)
	}
	return append(Ethernet(Broadcast, mac, EtherARP), body...), nil
}

// Probe6 is the solicitation of duplicate address detection (RFC 4862, section
// 5.4.2).
func Probe6(mac HW, ip netip.Addr) ([]byte, error) {
	from, to := netip.IPv6Unspecified(), SolicitedNode(ip)
	body, err := ndp.MarshalMessageChecksum(&ndp.NeighborSolicitation{TargetAddress: ip}, from, to)
	if err != nil {
		return nil, fmt.Errorf("encode probe for %s: %w", ip, err)
	}
	return NDFrame(Multicast(to.As16()), mac, from, to, body), nil
}

// Solicit6 is the solicitation of address resolution (RFC 4861, section 7.2.2).
func Solicit6(mac HW, ip netip.Addr) ([]byte, error) {
	ns := &ndp.NeighborSolicitation{
		TargetAddress: ip,
		Options:       []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: mac[:]}},
	}
	from, to := LinkLocal(mac), SolicitedNode(ip)
	body, err := ndp.MarshalMessageChecksum(ns, from, to)
	if err != nil {
		return nil, fmt.Errorf("encode solicitation for %s: %w", ip, err)
	}
	return NDFrame(Multicast(to.As16()), mac, from, to, body), nil
}
