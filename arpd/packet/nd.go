package packet

import (
	"encoding/binary"
	"net/netip"
)

// ICMPv6 (RFC 4443), and its types and flags of neighbor discovery (RFC 4861, sections 4.3, 4.4
// and 4.6.1).
const (
	ICMPv6    = 58   // next header
	NS        = 135  // neighbor solicitation
	NA        = 136  // neighbor advertisement
	Solicited = 0x40 // flag of an NA: it answers
	override  = 0x20

	optSourceLLA = 1
	optTargetLLA = 2
)

// ND is a neighbor solicitation or advertisement (RFC 4861, sections 4.3 and 4.4), read in place.
type ND struct {
	Dst, Src HW // of the Ethernet header
	From, To [16]byte
	Kind     byte // NS or NA
	Flags    byte // of an NA
	Target   [16]byte
	Asker    bool // an NS with a target link-layer address: a speaker's question
	LLA      HW   // link-layer address option: the source's of an NS, the target's of an NA; zero: absent
}

// ParseND reads b, a whole Ethernet frame, and validates it as RFC 4861,
// sections 7.1.1 and 7.1.2, demand. The kernel verifies nothing for a packet
// socket, so the checksum is verified here.
func ParseND(b []byte) (m ND, f Fault) {
	if len(b) < EthLen+IP6Len+ndLen ||
		binary.BigEndian.Uint16(b[12:]) != EtherIPv6 || b[14]>>4 != 6 ||
		b[20] != ICMPv6 || b[21] != 255 {
		return m, Malformed
	}
	size := int(binary.BigEndian.Uint16(b[18:]))
	if size < ndLen || EthLen+IP6Len+size > len(b) {
		return m, Malformed
	}
	m.Dst, m.Src = HW(b[0:6]), HW(b[6:12])
	m.From, m.To = [16]byte(b[22:38]), [16]byte(b[38:54])
	icmp := b[EthLen+IP6Len:][:size]
	m.Kind, m.Flags, m.Target = icmp[0], icmp[4], [16]byte(icmp[8:24])
	if icmp[1] != 0 || m.Target[0] == 0xff || !m.options(icmp[ndLen:]) || !m.consistent() {
		return m, Malformed
	}
	if Checksum(m.From, m.To, icmp) != 0 {
		return m, WrongSum
	}
	return m, Sound
}

// options finds the link-layer address that matters for the kind of message and
// reports whether all options are well formed.
func (m *ND) options(b []byte) bool {
	want := byte(optSourceLLA)
	if m.Kind == NA {
		want = optTargetLLA
	}
	for len(b) > 0 {
		if len(b) < llaLen || b[1] == 0 || int(b[1])*8 > len(b) {
			return false
		}
		m.Asker = m.Asker || m.Kind == NS && b[0] == optTargetLLA
		if b[0] == want {
			if b[1] != 1 {
				return false
			}
			if m.LLA == (HW{}) {
				m.LLA = HW(b[2:8])
			}
		}
		b = b[int(b[1])*8:]
	}
	return true
}

// consistent checks what depends on more than one field: a host without an
// address asks the solicited-node group and gives no link-layer address, and an
// advertisement to many answers nobody.
func (m *ND) consistent() bool {
	switch m.Kind {
	case NS:
		if m.From != ([16]byte{}) {
			return m.From[0] != 0xff
		}
		return m.LLA == (HW{}) && m.To == SolicitedNode(netip.AddrFrom16(m.Target)).As16()
	case NA:
		return m.From[0] != 0xff && (m.To[0] != 0xff || m.Flags&Solicited == 0)
	}
	return false
}

// Sender is the hardware address that the message is about: that of the option,
// and where there is none, the frame's source.
func (m *ND) Sender() HW {
	if m.LLA != (HW{}) {
		return m.LLA
	}
	return m.Src
}

// Answer writes the advertisement that answers m (RFC 4861, section 7.2.4) into b, which has room
// for NASize bytes, and returns that length: src says that the target is at mac, which need not be
// its own. Its source is the target itself, as the kernel does it; nobody needs another address of
// ours.
func (m *ND) Answer(b []byte, src, mac HW) int {
	dst, to, flags := m.Sender(), m.From, byte(Solicited|override)
	if m.From == ([16]byte{}) {
		to, flags = AllNodes.As16(), override
		dst = Multicast(to)
	}
	b = b[:NASize]
	copy(b[0:], dst[:])
	copy(b[6:], src[:])
	binary.BigEndian.PutUint16(b[12:], EtherIPv6)
	binary.BigEndian.PutUint32(b[14:], 6<<28)
	binary.BigEndian.PutUint16(b[18:], ndLen+llaLen)
	b[20], b[21] = ICMPv6, 255
	copy(b[22:], m.Target[:])
	copy(b[38:], to[:])
	icmp := b[EthLen+IP6Len:]
	clear(icmp[:8])
	icmp[0], icmp[4] = NA, flags
	copy(icmp[8:], m.Target[:])
	icmp[24], icmp[25] = optTargetLLA, 1
	copy(icmp[26:], mac[:])
	binary.BigEndian.PutUint16(icmp[2:], Checksum(m.Target, to, icmp))
	return NASize
}

// Checksum is the ICMPv6 checksum of msg between two addresses (RFC 4443,
// section 2.3). It is 0 for a message that carries its right checksum.
func Checksum(from, to [16]byte, msg []byte) uint16 {
	sum := uint32(len(msg)) + ICMPv6
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
