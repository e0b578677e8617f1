package packet

import (
	"fmt"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
)

// Announcement builds the frames by which src tells everybody that ip is at mac, which need not be
// its own.
//
// For IPv4 these are the request form, which RFC 5227 (section 2.3) knows as the
// announcement, and the reply form, to which some devices listen instead; a
// brief one is the request form alone. In the reply the target hardware address
// is the sender's: Linux takes it for gratuitous only then.
//
// For IPv6 it is an unsolicited neighbor advertisement to all nodes with the
// override flag (RFC 4861, section 7.2.6), from the address itself.
func Announcement(src, mac HW, ip netip.Addr, brief bool) ([][]byte, error) {
	if ip.Is6() {
		f, err := advertisement(src, mac, ip)
		return [][]byte{f}, err
	}
	request, err := gratuitous(arp.OperationRequest, src, mac, HW{}, ip)
	if err != nil || brief {
		return [][]byte{request}, err
	}
	reply, err := gratuitous(arp.OperationReply, src, mac, mac, ip)
	return [][]byte{request, reply}, err
}

func gratuitous(op arp.Operation, src, mac, target HW, ip netip.Addr) ([]byte, error) {
	p, err := arp.NewPacket(op, mac[:], ip, target[:], ip)
	if err != nil {
		return nil, fmt.Errorf("build gratuitous ARP for %s: %w", ip, err)
	}
	body, err := p.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encode gratuitous ARP for %s: %w", ip, err)
	}
	return append(Ethernet(Broadcast, src, EtherARP), body...), nil
}

func advertisement(src, mac HW, ip netip.Addr) ([]byte, error) {
	na := &ndp.NeighborAdvertisement{
		Override:      true,
		TargetAddress: ip,
		Options:       []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: mac[:]}},
	}
	body, err := ndp.MarshalMessageChecksum(na, ip, AllNodes)
	if err != nil {
		return nil, fmt.Errorf("encode advertisement of %s: %w", ip, err)
	}
	return NDFrame(Multicast(AllNodes.As16()), src, ip, AllNodes, body), nil
}
