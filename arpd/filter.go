package arpd

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// accept is how much of a passing frame the kernel copies: all of it.
const accept = 0xffff

// guard lets pass what this interface itself received and may answer. A frame
// of a VLAN, macvlan or bond above the interface is shown to sockets of the
// parent too: its interface index differs. A tagged frame of a VLAN that nobody
// configured, and a frame for another station that a promiscuous interface
// sees, have a packet type above PACKET_MULTICAST (2).
func guard(index int) []bpf.Instruction {
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
func within(off uint32, in []span) []bpf.Instruction {
	out := []bpf.Instruction{bpf.LoadAbsolute{Off: off, Size: 4}}
	for i, s := range in {
		skip := uint8(2*(len(in)-i) - 1)
		out = append(out,
			bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: s.lo, SkipFalse: skip}, // below it: in no later range either
			bpf.JumpIf{Cond: bpf.JumpLessOrEqual, Val: s.hi, SkipTrue: skip},
		)
	}
	return append(out, bpf.Jump{Skip: 1}, bpf.RetConstant{Val: accept})
}

// arpProgram passes ARP for IPv4 over Ethernet whose target is an own or tried address
// or the presence address, whose sender is an own, watched or tried address, or that is a
// reply to this station: its kernel asks seldom, so those are few.
func arpProgram(t *table) []bpf.Instruction {
	out := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 16, Size: 4}, // protocol type and address lengths
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherIPv4<<16 | 6<<8 | 4, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}
	if t.presence != 0 {
		out = append(out, within(38, []span{{t.presence, t.presence | wordMask}})...)
	}
	out = append(out, within(38, t.asked4.spans)...)
	out = append(out, within(28, t.spoken4.spans)...)
	out = append(out,
		bpf.LoadAbsolute{Off: 20, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arpReply, SkipTrue: 1},
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

// ndProgram passes neighbour solicitations for own addresses and advertisements
// for own, watched and tried ones or to this station. Extension headers are not followed: nobody may
// fragment such messages (RFC 6980), and no host sends them with options.
func ndProgram(t *table) []bpf.Instruction {
	reject := bpf.RetConstant{Val: 0}
	ns := append(within(74, t.asked6.spans), reject)
	na := append(within(74, t.spoken6.spans), toStation()...)
	out := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 20, Size: 2}, // next header and hop limit
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: icmpv6<<8 | 255, SkipTrue: 1},
		reject,
		bpf.LoadAbsolute{Off: 54, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeNS, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeNA, SkipTrue: 1},
		reject,
		bpf.Jump{Skip: uint32(len(ns))},
	}
	return append(append(out, ns...), na...)
}

// assemble puts the guard of an interface before a program.
func assemble(index int, program []bpf.Instruction) ([]bpf.RawInstruction, error) {
	raw, err := bpf.Assemble(append(guard(index), program...))
	if err != nil {
		return nil, fmt.Errorf("assemble filter of interface %d: %w", index, err)
	}
	return raw, nil
}
