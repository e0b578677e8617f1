package packet

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/net/bpf"
)

// TCP (RFC 9293, section 3.1).
const (
	TCP = 6 // protocol, next header
	SYN = 0x02
	RST = 0x04
	ACK = 0x10

	ip4Len   = 20 // without options
	tcpLen   = 20 // the same
	hopLimit = 64
	window   = 64240 // of a SYN
)

// Segment is a TCP segment without options and data, in its frame.
type Segment struct {
	Dst, Src HW
	From, To netip.AddrPort // of one family
	Seq, Ack uint32
	Flags    byte
}

// Frame is the segment as it is sent.
func (s Segment) Frame() []byte {
	tcp := make([]byte, 0, tcpLen)
	tcp = binary.BigEndian.AppendUint16(tcp, s.From.Port())
	tcp = binary.BigEndian.AppendUint16(tcp, s.To.Port())
	tcp = binary.BigEndian.AppendUint32(tcp, s.Seq)
	tcp = binary.BigEndian.AppendUint32(tcp, s.Ack)
	tcp = append(tcp, tcpLen/4<<4, s.Flags, window>>8, window&0xff, 0, 0, 0, 0)
	from, to := s.From.Addr(), s.To.Addr()
	binary.BigEndian.PutUint16(tcp[16:], InternetSum(pseudo(from, to), tcp))
	if from.Is6() {
		f := Ethernet(s.Dst, s.Src, EtherIPv6)
		f = binary.BigEndian.AppendUint32(f, 6<<28)
		f = append(f, 0, tcpLen, TCP, hopLimit)
		f = append(append(f, from.AsSlice()...), to.AsSlice()...)
		return append(f, tcp...)
	}
	const noFragments = 0x40
	head := []byte{0x45, 0, 0, ip4Len + tcpLen, 0, 0, noFragments, 0, hopLimit, TCP, 0, 0}
	head = append(append(head, from.AsSlice()...), to.AsSlice()...)
	binary.BigEndian.PutUint16(head[10:], InternetSum(head))
	return append(append(Ethernet(s.Dst, s.Src, EtherIPv4), head...), tcp...)
}

// pseudo is the header that the checksum of a segment without data covers as well (RFC 9293,
// section 3.1; RFC 8200, section 8.1).
func pseudo(from, to netip.Addr) []byte {
	b := append(from.AsSlice(), to.AsSlice()...)
	return append(b, 0, TCP, 0, tcpLen)
}

// ParseTCP reads b, a whole Ethernet frame. It does not look at checksums: a frame that never was
// on a cable may have none yet (packet(7), TP_STATUS_CSUMNOTREADY).
func ParseTCP(b []byte) (s Segment, f Fault) {
	if len(b) < EthLen+ip4Len+tcpLen {
		return s, Malformed
	}
	var tcp []byte
	var from, to netip.Addr
	switch binary.BigEndian.Uint16(b[12:]) {
	case EtherIPv4:
		head := int(b[14]&15) * 4
		if b[14]>>4 != 4 || head < ip4Len || b[23] != TCP || binary.BigEndian.Uint16(b[20:])&0x3fff != 0 || len(b) < EthLen+head+tcpLen {
			return s, Malformed
		}
		from, to, tcp = netip.AddrFrom4([4]byte(b[26:])), netip.AddrFrom4([4]byte(b[30:])), b[EthLen+head:]
	case EtherIPv6:
		if len(b) < EthLen+IP6Len+tcpLen || b[14]>>4 != 6 || b[20] != TCP {
			return s, Malformed
		}
		from, to, tcp = netip.AddrFrom16([16]byte(b[22:])), netip.AddrFrom16([16]byte(b[38:])), b[EthLen+IP6Len:]
	default:
		return s, Malformed
	}
	return Segment{
		Dst: HW(b[0:6]), Src: HW(b[6:12]), Flags: tcp[13],
		From: netip.AddrPortFrom(from, binary.BigEndian.Uint16(tcp)), To: netip.AddrPortFrom(to, binary.BigEndian.Uint16(tcp[2:])),
		Seq: binary.BigEndian.Uint32(tcp[4:]), Ack: binary.BigEndian.Uint32(tcp[8:]),
	}, Sound
}

// FilterAccepted4 passes what accepts a connection (SYN and ACK) from a port that is not lower than
// ports.
func FilterAccepted4(ports uint16) []bpf.Instruction {
	const fragment = 0x1fff
	return append([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 23, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: TCP, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: 20, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: fragment, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadMemShift{Off: EthLen}, // the length of the header, which may have options
	}, accepted(
		bpf.LoadIndirect{Off: EthLen + 13, Size: 1},
		bpf.LoadIndirect{Off: EthLen + 2, Size: 2}, ports)...)
}

// FilterAccepted6 does the same for IPv6, without extension headers.
func FilterAccepted6(ports uint16) []bpf.Instruction {
	return append([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 20, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: TCP, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}, accepted(
		bpf.LoadAbsolute{Off: EthLen + IP6Len + 13, Size: 1},
		bpf.LoadAbsolute{Off: EthLen + IP6Len + 2, Size: 2}, ports)...)
}

func accepted(flags, port bpf.Instruction, ports uint16) []bpf.Instruction {
	return []bpf.Instruction{
		flags,
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: SYN | ACK},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: SYN | ACK, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		port,
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: uint32(ports), SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: accept},
	}
}

// InternetSum is the internet checksum (RFC 1071) of parts of even length, of which only the last
// one may be odd. It is 0 for what carries its right checksum.
func InternetSum(parts ...[]byte) uint16 {
	of := uint32(0)
	for _, b := range parts {
		for ; len(b) > 1; b = b[2:] {
			of += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			of += uint32(b[0]) << 8
		}
	}
	for of > 0xffff {
		of = of>>16 + of&0xffff
	}
	return ^uint16(of)
}
