package arpd

import (
	"encoding/binary"
	"net/netip"

	"github.com/starling-lb/starling/arpd/packet"
)

// ICMP (RFC 792) and ICMPv6 (RFC 4443) echo.
const (
	echoReply  = 0
	echoReply6 = 129

	ip4Len  = 20 // without options
	echoLen = 8
	echoTTL = 64
)

// ping4 decides about the IPv4 packet in the first n bytes of b, and writes the
// echo over the question. Packets with options and fragments are not answered.
func (v *view) ping4(b []byte, n int) verdict {
	if n < packet.EthLen+ip4Len+echoLen || b[14] != 0x45 || b[23] != packet.ICMPv4 || binary.BigEndian.Uint16(b[20:])&0x3fff != 0 {
		return verdict{drop: malformed}
	}
	size := int(binary.BigEndian.Uint16(b[16:]))
	if size < ip4Len+echoLen || packet.EthLen+size > n {
		return verdict{drop: malformed}
	}
	head, icmp := b[packet.EthLen:][:ip4Len], b[packet.EthLen+ip4Len:packet.EthLen+size]
	from, to := netip.AddrFrom4([4]byte(head[12:])), netip.AddrFrom4([4]byte(head[16:]))
	if d := v.pinged(b, from); d != kept {
		return verdict{drop: d}
	}
	switch {
	case icmp[0] != packet.Echo4 || icmp[1] != 0:
		return verdict{drop: notRequest}
	case !v.table.role(to).answers(false):
		return verdict{drop: notOwned}
	case packet.InternetSum(head) != 0 || packet.InternetSum(icmp) != 0:
		return verdict{drop: badChecksum}
	}
	v.turn(b)
	copy(head[12:], to.AsSlice())
	copy(head[16:], from.AsSlice())
	head[8] = echoTTL
	clear(head[10:12])
	binary.BigEndian.PutUint16(head[10:], packet.InternetSum(head))
	icmp[0] = echoReply
	clear(icmp[2:4])
	binary.BigEndian.PutUint16(icmp[2:], packet.InternetSum(icmp))
	return verdict{answer: packet.EthLen + size, echo: true}
}

// ping6 does for IPv6 what ping4 does for IPv4.
func (v *view) ping6(b []byte, n int) verdict {
	if n < packet.EthLen+packet.IP6Len+echoLen || b[14]>>4 != 6 || b[20] != packet.ICMPv6 {
		return verdict{drop: malformed}
	}
	size := int(binary.BigEndian.Uint16(b[18:]))
	if size < echoLen || packet.EthLen+packet.IP6Len+size > n {
		return verdict{drop: malformed}
	}
	from, to, icmp := [16]byte(b[22:38]), [16]byte(b[38:54]), b[packet.EthLen+packet.IP6Len:][:size]
	if d := v.pinged(b, netip.AddrFrom16(from)); d != kept {
		return verdict{drop: d}
	}
	switch {
	case icmp[0] != packet.Echo6 || icmp[1] != 0:
		return verdict{drop: notRequest}
	case !v.table.role6(to).answers(false):
		return verdict{drop: notOwned}
	case packet.Checksum(from, to, icmp) != 0:
		return verdict{drop: badChecksum}
	}
	v.turn(b)
	copy(b[22:], to[:])
	copy(b[38:], from[:])
	b[21] = echoTTL
	icmp[0] = echoReply6
	clear(icmp[2:4])
	binary.BigEndian.PutUint16(icmp[2:], packet.Checksum(to, from, icmp))
	return verdict{answer: packet.EthLen + packet.IP6Len + size, echo: true}
}

// pinged checks that one station asks, and asks this one.
func (v *view) pinged(b []byte, from netip.Addr) drop {
	src := packet.HW(b[6:12])
	switch {
	case src == v.mac:
		return ownFrame
	case packet.HW(b[0:6]) != v.mac:
		return notForUs
	case !src.Station() || from.IsUnspecified() || from.IsMulticast() || from.IsLoopback() || v.table.role(from) != 0:
		return badSender
	}
	return kept
}

// turn sends a frame back to where it came from.
func (v *view) turn(b []byte) {
	copy(b[0:6], b[6:12])
	copy(b[6:12], v.mac[:])
}
