package arpd

import (
	"encoding/binary"
	"net/netip"
)

// ICMPv6 types and options of neighbour discovery (RFC 4861, section 4).
const (
	icmpv6       = 58
	typeNS       = 135
	typeNA       = 136
	optSourceLLA = 1
	optTargetLLA = 2

	naSolicited = 0x40
	naOverride  = 0x20
)

// ndMessage is a neighbour solicitation or advertisement, read in place.
type ndMessage struct {
	dst, src hw // of the Ethernet header
	from, to [16]byte
	kind     byte // typeNS or typeNA
	flags    byte // of an NA
	target   [16]byte
	asker    bool // an NS with a target link-layer address: a speaker's question
	lla      hw   // link-layer address option: the source's of an NS, the target's of an NA; zero: absent
}

// parseND reads b, a whole Ethernet frame, and validates it as RFC 4861,
// sections 7.1.1 and 7.1.2, demand. The kernel verifies nothing for a packet
// socket, so the checksum is verified here.
func parseND(b []byte) (m ndMessage, d drop) {
	if len(b) < ethLen+ip6Len+ndLen ||
		binary.BigEndian.Uint16(b[12:]) != etherIPv6 || b[14]>>4 != 6 ||
		b[20] != icmpv6 || b[21] != 255 {
		return m, malformed
	}
	size := int(binary.BigEndian.Uint16(b[18:]))
	if size < ndLen || ethLen+ip6Len+size > len(b) {
		return m, malformed
	}
	m.dst, m.src = hw(b[0:6]), hw(b[6:12])
	m.from, m.to = [16]byte(b[22:38]), [16]byte(b[38:54])
	icmp := b[ethLen+ip6Len:][:size]
	m.kind, m.flags, m.target = icmp[0], icmp[4], [16]byte(icmp[8:24])
	if icmp[1] != 0 || m.target[0] == 0xff || !m.options(icmp[ndLen:]) || !m.consistent() {
		return m, malformed
	}
	if checksum(m.from, m.to, icmp) != 0 {
		return m, badChecksum
	}
	return m, kept
}

// options finds the link-layer address that matters for the kind of message and
// reports whether all options are well formed.
func (m *ndMessage) options(b []byte) bool {
	want := byte(optSourceLLA)
	if m.kind == typeNA {
		want = optTargetLLA
	}
	for len(b) > 0 {
		if len(b) < llaLen || b[1] == 0 || int(b[1])*8 > len(b) {
			return false
		}
		m.asker = m.asker || m.kind == typeNS && b[0] == optTargetLLA
		if b[0] == want {
			if b[1] != 1 {
				return false
			}
			if m.lla == (hw{}) {
				m.lla = hw(b[2:8])
			}
		}
		b = b[int(b[1])*8:]
	}
	return true
}

// consistent checks what depends on more than one field: a host without an
// address asks the solicited-node group and gives no link-layer address, and an
// advertisement to many answers nobody.
func (m *ndMessage) consistent() bool {
	switch m.kind {
	case typeNS:
		if m.from != ([16]byte{}) {
			return m.from[0] != 0xff
		}
		return m.lla == (hw{}) && m.to == solicitedNode(netip.AddrFrom16(m.target)).As16()
	case typeNA:
		return m.from[0] != 0xff && (m.to[0] != 0xff || m.flags&naSolicited == 0)
	}
	return false
}

// sender is the hardware address that the message is about: that of the option,
// and where there is none, the frame's source.
func (m *ndMessage) sender() hw {
	if m.lla != (hw{}) {
		return m.lla
	}
	return m.src
}

// nd decides about the neighbour discovery frame in the first n bytes of b and
// writes the answer, if there is one, over it.
//
//	what                        ->
//	NS for ours, multicast      NA to the sender, solicited + override
//	NS for ours, unicast        the same (neighbour unreachability detection)
//	speaker's question          the same, unless it is being handed over
//	NS for ours from :: (DAD)   NA to all nodes, override only
//	NA for a VIP                claim
//	NA to this node             the same, of a host
func (v *view) nd(b []byte, n int) verdict {
	m, d := parseND(b[:n])
	if d == kept {
		d = v.admit(m.dst, m.src, m.sender())
	}
	if d != kept {
		return verdict{drop: d}
	}
	r := v.table.role6(m.target)
	switch {
	case m.kind == typeNS && r.answers(m.asker):
		return verdict{request: true, answer: m.answer(b, v.mac)}
	case m.kind == typeNS:
		return verdict{drop: notOwned}
	case r != 0:
		return verdict{claim: claim{ip: netip.AddrFrom16(m.target), mac: m.sender(), asked: m.flags&naSolicited != 0 && m.dst == v.mac}}
	case m.dst == v.mac:
		return verdict{claim: claim{ip: netip.AddrFrom16(m.target), mac: m.sender(), host: true}}
	}
	return verdict{drop: notRequest}
}

// answer writes the advertisement that answers m into b. Its source is the
// target itself, as the kernel does it; nobody needs another address of ours.
func (m *ndMessage) answer(b []byte, mac hw) int {
	dst, to, flags := m.sender(), m.from, byte(naSolicited|naOverride)
	if m.from == ([16]byte{}) {
		to, flags = allNodes.As16(), naOverride
		dst = multicastHW(to)
	}
	b = b[:naSize]
	copy(b[0:], dst[:])
	copy(b[6:], mac[:])
	binary.BigEndian.PutUint16(b[12:], etherIPv6)
	binary.BigEndian.PutUint32(b[14:], 6<<28)
	binary.BigEndian.PutUint16(b[18:], ndLen+llaLen)
	b[20], b[21] = icmpv6, 255
	copy(b[22:], m.target[:])
	copy(b[38:], to[:])
	icmp := b[ethLen+ip6Len:]
	clear(icmp[:8])
	icmp[0], icmp[4] = typeNA, flags
	copy(icmp[8:], m.target[:])
	icmp[24], icmp[25] = optTargetLLA, 1
	copy(icmp[26:], mac[:])
	binary.BigEndian.PutUint16(icmp[2:], checksum(m.target, to, icmp))
	return naSize
}

// checksum is the ICMPv6 checksum of msg between two addresses (RFC 4443,
// section 2.3). It is 0 for a message that carries its right checksum.
func checksum(from, to [16]byte, msg []byte) uint16 {
	sum := uint32(len(msg)) + icmpv6
	for i := 0; i < 16; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(from[i:])) + uint32(binary.BigEndian.Uint16(to[i:]))
	}
	for ; len(msg) > 1; msg = msg[2:] {
		sum += uint32(binary.BigEndian.Uint16(msg))
	}
	if len(msg) == 1 {
		sum += uint32(msg[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
