package packet

import "encoding/binary"

// Operations of ARP (RFC 826). All others (RARP, InARP) are not ours.
const (
	OpRequest = 1
	OpReply   = 2
)

// ARP is an ARP frame for Ethernet and IPv4 (RFC 826), read in place.
type ARP struct {
	Dst, Src HW      // of the Ethernet header
	Op       uint16  // OpRequest, OpReply, or another
	SHA, THA HW      // sender and target hardware address
	SPA, TPA [4]byte // sender and target protocol address
}

// ParseARP reads b, a whole Ethernet frame, and checks that it is ARP for IPv4 over
// Ethernet (RFC 826). Bytes behind the message are the
// padding of short frames and are not looked at.
func ParseARP(b []byte) (m ARP, f Fault) {
	if len(b) < ARPSize ||
		binary.BigEndian.Uint16(b[12:]) != EtherARP ||
		binary.BigEndian.Uint16(b[14:]) != 1 || // hardware type Ethernet
		binary.BigEndian.Uint16(b[16:]) != EtherIPv4 ||
		b[18] != 6 || b[19] != 4 {
		return m, Malformed
	}
	m.Dst, m.Src = HW(b[0:6]), HW(b[6:12])
	m.Op = binary.BigEndian.Uint16(b[20:])
	m.SHA, m.SPA = HW(b[22:28]), [4]byte(b[28:32])
	m.THA, m.TPA = HW(b[32:38]), [4]byte(b[38:42])
	return m, Sound
}

// Answer writes the reply (RFC 826) to the request m, which stands in b, over it: src says that the
// target address is at mac, which need not be its own. It returns the length, ARPSize. Like the
// kernel's, the reply goes to the hardware address in the message, which is the one that the sender
// wants to be known by, not to the frame's source.
func (m *ARP) Answer(b []byte, src, mac HW) int {
	b = b[:ARPSize]
	copy(b[0:], m.SHA[:])
	copy(b[6:], src[:])
	b[20], b[21] = 0, OpReply
	copy(b[22:], mac[:])
	copy(b[28:], m.TPA[:])
	copy(b[32:], m.SHA[:])
	copy(b[38:], m.SPA[:])
	return ARPSize
}
