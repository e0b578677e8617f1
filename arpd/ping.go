package arpd

import (
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/net/bpf"
)

// ICMP (RFC 792) and ICMPv6 (RFC 4443) echo.
const (
	icmpv4      = 1
	echoRequest = 8
	echoReply   = 0
	echoAsk6    = 128
	echoReply6  = 129

	ip4Len  = 20 // without options
	echoLen = 8
	echoTTL = 64
)

// echoRate is how many echoes a second one interface sends for each family: pings
// are for people who look whether an address is there, not for loads.
const echoRate = 1000

// pingProtocols answer ICMP echo for VIPs. The kernel sees the same packets: it
// takes them for those of somebody else, which is why nobody is answered unless
// it is asked for (Config.AnswerPing).
func pingProtocols() []protocol {
	return []protocol{
		{etherIPv4, (*view).ping4, ping4Program},
		{etherIPv6, (*view).ping6, ping6Program},
	}
}

// ping4 decides about the IPv4 packet in the first n bytes of b, and writes the
// echo over the question. Packets with options and fragments are not answered.
func (v *view) ping4(b []byte, n int) verdict {
	if n < ethLen+ip4Len+echoLen || b[14] != 0x45 || b[23] != icmpv4 || binary.BigEndian.Uint16(b[20:])&0x3fff != 0 {
		return verdict{drop: malformed}
	}
	size := int(binary.BigEndian.Uint16(b[16:]))
	if size < ip4Len+echoLen || ethLen+size > n {
		return verdict{drop: malformed}
	}
	head, icmp := b[ethLen:][:ip4Len], b[ethLen+ip4Len:ethLen+size]
	from, to := netip.AddrFrom4([4]byte(head[12:])), netip.AddrFrom4([4]byte(head[16:]))
	if d := v.pinged(b, from); d != kept {
		return verdict{drop: d}
	}
	switch {
	case icmp[0] != echoRequest || icmp[1] != 0:
		return verdict{drop: notRequest}
	case !v.table.role(to).answers(false):
		return verdict{drop: notOwned}
	case sum(head) != 0 || sum(icmp) != 0:
		return verdict{drop: badChecksum}
	}
	v.turn(b)
	copy(head[12:], to.AsSlice())
	copy(head[16:], from.AsSlice())
	head[8] = echoTTL
	clear(head[10:12])
	binary.BigEndian.PutUint16(head[10:], sum(head))
	icmp[0] = echoReply
	clear(icmp[2:4])
	binary.BigEndian.PutUint16(icmp[2:], sum(icmp))
	return verdict{answer: ethLen + size, echo: true}
}

// ping6 does for IPv6 what ping4 does for IPv4.
func (v *view) ping6(b []byte, n int) verdict {
	if n < ethLen+ip6Len+echoLen || b[14]>>4 != 6 || b[20] != icmpv6 {
		return verdict{drop: malformed}
	}
	size := int(binary.BigEndian.Uint16(b[18:]))
	if size < echoLen || ethLen+ip6Len+size > n {
		return verdict{drop: malformed}
	}
	from, to, icmp := [16]byte(b[22:38]), [16]byte(b[38:54]), b[ethLen+ip6Len:][:size]
	if d := v.pinged(b, netip.AddrFrom16(from)); d != kept {
		return verdict{drop: d}
	}
	switch {
	case icmp[0] != echoAsk6 || icmp[1] != 0:
		return verdict{drop: notRequest}
	case !v.table.role6(to).answers(false):
		return verdict{drop: notOwned}
	case checksum(from, to, icmp) != 0:
		return verdict{drop: badChecksum}
	}
	v.turn(b)
	copy(b[22:], to[:])
	copy(b[38:], from[:])
	b[21] = echoTTL
	icmp[0] = echoReply6
	clear(icmp[2:4])
	binary.BigEndian.PutUint16(icmp[2:], checksum(to, from, icmp))
	return verdict{answer: ethLen + ip6Len + size, echo: true}
}

// pinged checks who asks: one station, that asks this one.
func (v *view) pinged(b []byte, from netip.Addr) drop {
	src := hw(b[6:12])
	switch {
	case src == v.mac:
		return ownFrame
	case hw(b[0:6]) != v.mac:
		return notForUs
	case !src.station() || from.IsUnspecified() || from.IsMulticast() || from.IsLoopback() || v.table.role(from) != 0:
		return badSender
	}
	return kept
}

// turn sends a frame back to where it came from.
func (v *view) turn(b []byte) {
	copy(b[0:6], b[6:12])
	copy(b[6:12], v.mac[:])
}

// sum is the internet checksum (RFC 1071) of b. It is 0 for what carries its right
// checksum.
func sum(b []byte) uint16 {
	of := uint32(0)
	for ; len(b) > 1; b = b[2:] {
		of += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		of += uint32(b[0]) << 8
	}
	for of > 0xffff {
		of = of>>16 + of&0xffff
	}
	return ^uint16(of)
}

// ping4Program passes echo requests for own addresses.
func ping4Program(t *table) []bpf.Instruction {
	out := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 23, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: icmpv4, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: 34, Size: 1}, // with options that is another field, which is rejected later
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: echoRequest, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
	out = append(out, within(30, t.asked4.spans)...)
	return append(out, bpf.RetConstant{Val: 0})
}

// ping6Program does the same for IPv6.
func ping6Program(t *table) []bpf.Instruction {
	out := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 20, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: icmpv6, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: 54, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: echoAsk6, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
	out = append(out, within(50, t.asked6.spans)...)
	return append(out, bpf.RetConstant{Val: 0})
}

// allowance is a budget that fills up with time.
type allowance struct {
	left float64
	at   time.Time
}

// take spends one of rate per second, and reports whether there was one left.
func (a *allowance) take(rate float64, now time.Time) bool {
	a.left = min(rate, a.left+rate*now.Sub(a.at).Seconds())
	a.at = now
	if a.left < 1 {
		return false
	}
	a.left--
	return true
}
