package arpd

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
)

// announcement builds the frames that tell everybody that ip is at mac.
//
// For IPv4 these are the request form, which RFC 5227 (section 2.3) knows as the
// announcement, and the reply form, to which some devices listen instead; a
// brief one is the request form alone. In the reply the target hardware address
// is the sender's: Linux takes it for gratuitous only then.
//
// For IPv6 it is an unsolicited neighbour advertisement to all nodes with the
// override flag (RFC 4861, section 7.2.6), from the address itself.
func announcement(mac hw, ip netip.Addr, brief bool) ([][]byte, error) {
	if ip.Is6() {
		f, err := advertisement(mac, ip)
		return [][]byte{f}, err
	}
	request, err := gratuitous(arp.OperationRequest, mac, hw{}, ip)
	if err != nil || brief {
		return [][]byte{request}, err
	}
	reply, err := gratuitous(arp.OperationReply, mac, mac, ip)
	return [][]byte{request, reply}, err
}

func gratuitous(op arp.Operation, mac, target hw, ip netip.Addr) ([]byte, error) {
	p, err := arp.NewPacket(op, mac[:], ip, target[:], ip)
	if err != nil {
		return nil, fmt.Errorf("build gratuitous ARP for %s: %w", ip, err)
	}
	body, err := p.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encode gratuitous ARP for %s: %w", ip, err)
	}
	return append(ethernet(broadcastHW, mac, etherARP), body...), nil
}

func advertisement(mac hw, ip netip.Addr) ([]byte, error) {
	na := &ndp.NeighborAdvertisement{
		Override:      true,
		TargetAddress: ip,
		Options:       []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: net.HardwareAddr(mac[:])}},
	}
	body, err := ndp.MarshalMessageChecksum(na, ip, allNodes)
	if err != nil {
		return nil, fmt.Errorf("encode advertisement of %s: %w", ip, err)
	}
	return ndFrame(multicastHW(allNodes.As16()), mac, ip, allNodes, body), nil
}

// ndFrame puts the headers of Ethernet and IPv6 before an ICMPv6 message.
func ndFrame(dst, src hw, from, to netip.Addr, icmp []byte) []byte {
	f := ethernet(dst, src, etherIPv6)
	f = binary.BigEndian.AppendUint32(f, 6<<28)
	f = binary.BigEndian.AppendUint16(f, uint16(len(icmp)))
	f = append(f, icmpv6, 255)
	f = append(f, from.AsSlice()...)
	f = append(f, to.AsSlice()...)
	return append(f, icmp...)
}

func ethernet(dst, src hw, kind uint16) []byte {
	f := make([]byte, 0, naSize)
	f = append(f, dst[:]...)
	f = append(f, src[:]...)
	return binary.BigEndian.AppendUint16(f, kind)
}
