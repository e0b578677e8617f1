package packet

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// Offsets and lengths, in bytes, of the frames that are read and written in place.
const (
	EthLen  = 14 // destination, source, EtherType (RFC 894)
	IP6Len  = 40 // IPv6 header (RFC 8200, section 3)
	ARPSize = EthLen + arpLen
	NASize  = EthLen + IP6Len + ndLen + llaLen

	arpLen = 28 // ARP for Ethernet and IPv4 (RFC 826)
	ndLen  = 24 // ICMPv6 header, flags and target of an NS or NA (RFC 4861, sections 4.3 and 4.4)
	llaLen = 8  // link-layer address option (RFC 4861, section 4.6.1)

	// FrameSize is the room for one frame: an answer fits into the buffer of
	// every question, and a question longer than this is nobody's.
	FrameSize = 2048
)

// EtherTypes (RFC 9542, appendix B).
const (
	EtherARP  = 0x0806
	EtherIPv4 = 0x0800
	EtherIPv6 = 0x86dd
)

// HW is an Ethernet address as a value: comparable, a map key, no pointer.
type HW [6]byte

// Destinations that are for many.
var (
	Broadcast = HW{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	AllNodes  = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x01}) // ff02::1 (RFC 4291, section 2.7.1)
)

// String is h as six pairs of hex digits with colons between them.
func (h HW) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", h[0], h[1], h[2], h[3], h[4], h[5])
}

// Station reports whether h can be the address of one station: neither zero nor
// a group address.
func (h HW) Station() bool { return h != HW{} && h[0]&1 == 0 }

// Group reports whether frames to h are for many: broadcast or multicast.
func (h HW) Group() bool { return h[0]&1 == 1 }

// Multicast is the Ethernet address of an IPv6 multicast group (RFC 2464,
// section 7).
func Multicast(ip [16]byte) HW { return HW{0x33, 0x33, ip[12], ip[13], ip[14], ip[15]} }

// SolicitedNode is the group on which neighbors ask for ip (RFC 4291, section
// 2.7.1).
func SolicitedNode(ip netip.Addr) netip.Addr {
	b := ip.As16()
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 11: 0x01, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
}

// LinkLocal is the IPv6 address that belongs to mac (RFC 4291, appendix A).
func LinkLocal(mac HW) netip.Addr {
	return netip.AddrFrom16([16]byte{
		0: 0xfe, 1: 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5],
	})
}

// Ethernet is the header of a frame (RFC 894), with room behind it for what arpd sends.
func Ethernet(dst, src HW, etherType uint16) []byte {
	f := make([]byte, 0, NASize)
	f = append(f, dst[:]...)
	f = append(f, src[:]...)
	return binary.BigEndian.AppendUint16(f, etherType)
}

// NDFrame puts the headers of Ethernet and IPv6 before an ICMPv6 message, whose
// checksum is in it. The hop limit is 255 (RFC 4861, section 4).
func NDFrame(dst, src HW, from, to netip.Addr, icmp []byte) []byte {
	f := Ethernet(dst, src, EtherIPv6)
	f = binary.BigEndian.AppendUint32(f, 6<<28)
	f = binary.BigEndian.AppendUint16(f, uint16(len(icmp)))
	f = append(f, ICMPv6, 255)
	f = append(f, from.AsSlice()...)
	f = append(f, to.AsSlice()...)
	return append(f, icmp...)
}

// Fault is what is wrong with a frame that was read.
type Fault uint8

// Faults of frames.
const (
	Sound     Fault = iota // nothing
	Malformed              // too short, wrong lengths or types, invalid options
	WrongSum               // the ICMPv6 checksum is wrong
)

// String is the fault in words.
func (f Fault) String() string { return [...]string{"sound", "malformed", "wrong checksum"}[f] }
