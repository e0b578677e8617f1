package packet

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// accept is how much of a passing frame the kernel copies: all of it.
const accept = 0xffff

// Echo requests, as FilterEcho4 and FilterEcho6 know them.
const (
	ICMPv4 = 1   // protocol (RFC 792)
	Echo4  = 8   // type (RFC 792)
	Echo6  = 128 // type (RFC 4443, section 4.1)
)

// Guard lets pass what this interface itself received and may answer. A frame
// of a VLAN, macvlan or bond above the interface is shown to sockets of the
// parent too: its interface index differs. A tagged frame of a VLAN that nobody
// configured, and a frame for another station that a promiscuous interface
// sees, have a packet type above PACKET_MULTICAST (2).
func Guard(index int) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadExtension{Num: bpf.ExtType},
		bpf.JumpIf{Cond: bpf.JumpLessOrEqual, Val: 2, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadExtension{Num: bpf.ExtInterfaceIndex},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(index), SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
}

// within loads 32 bits and accepts the frame if they are in one of the sorted
// ranges; otherwise the program goes on behind it.
func within(off uint32, in []Span) []bpf.Instruction {
	out := []bpf.Instruction{bpf.LoadAbsolute{Off: off, Size: 4}}
	for i, s := range in {
		skip := uint8(2*(len(in)-i) - 1)
		out = append(out,
			bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: s.Lo, SkipFalse: skip}, // below it: in no later range either
			bpf.JumpIf{Cond: bpf.JumpLessOrEqual, Val: s.Hi, SkipTrue: skip},
		)
	}
	return append(out, bpf.Jump{Skip: 1}, bpf.RetConstant{Val: accept})
}

// FilterARP passes ARP for IPv4 over Ethernet (RFC 826) whose target is in one of the lists asked,
// whose sender is in spoken, or that is a reply to this station: its kernel asks seldom, so those
// are few. Each list is sorted and has at most MaxSpans ranges.
func FilterARP(spoken []Span, asked ...[]Span) []bpf.Instruction {
	out := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 16, Size: 4}, // protocol type and address lengths
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: EtherIPv4<<16 | 6<<8 | 4, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
	for _, spans := range asked {
		out = append(out, within(38, spans)...)
	}
	out = append(out, within(28, spoken)...)
	out = append(out,
		bpf.LoadAbsolute{Off: 20, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: OpReply, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	)
	return append(out, toStation()...)
}

// toStation accepts what is addressed to one station and rejects everything else;
// with guard before it the station is this one.
func toStation() []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: 1, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: accept},
	}
}

// FilterND passes neighbor solicitations for addresses in asked, and advertisements of those in
// spoken or to this station (RFC 4861). Extension headers are not followed: nobody may fragment
// such messages (RFC 6980), and no host sends them with options.
func FilterND(spoken, asked []Span) []bpf.Instruction {
	reject := bpf.RetConstant{Val: 0}
	ns := append(within(74, asked), reject)
	na := append(within(74, spoken), toStation()...)
	out := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 20, Size: 2}, // next header and hop limit
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: ICMPv6<<8 | 255, SkipTrue: 1},
		reject,
		bpf.LoadAbsolute{Off: 54, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: NS, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: NA, SkipTrue: 1},
		reject,
		bpf.Jump{Skip: uint32(len(ns))},
	}
	return append(append(out, ns...), na...)
}

// Assemble puts the guard of an interface before a program.
func Assemble(index int, program []bpf.Instruction) ([]bpf.RawInstruction, error) {
	raw, err := bpf.Assemble(append(Guard(index), program...))
	if err != nil {
		return nil, fmt.Errorf("assemble filter of interface %d: %w", index, err)
	}
	return raw, nil
}

// FilterEcho4 passes ICMP echo requests (RFC 792) to addresses in asked.
func FilterEcho4(asked []Span) []bpf.Instruction {
	out := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 23, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: ICMPv4, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: 34, Size: 1}, // with options that is another field, which is rejected later
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: Echo4, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
	out = append(out, within(30, asked)...)
	return append(out, bpf.RetConstant{Val: 0})
}

// FilterEcho6 passes ICMPv6 echo requests (RFC 4443, section 4.1) to addresses in asked.
func FilterEcho6(asked []Span) []bpf.Instruction {
	out := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 20, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: ICMPv6, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: 54, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: Echo6, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
	out = append(out, within(50, asked)...)
	return append(out, bpf.RetConstant{Val: 0})
}
