package arpd

import (
	"golang.org/x/net/bpf"

	"github.com/starling-lb/starling/arpd/packet"
)

// arpProgram passes ARP whose target is an own or tried address or the presence address, whose
// sender is an own, watched or tried address, or that is a reply to this station.
func arpProgram(t *table) []bpf.Instruction {
	if t.presence == 0 {
		return packet.FilterARP(t.spoken4.spans, t.asked4.spans)
	}
	presence := []packet.Span{{Lo: t.presence, Hi: t.presence | wordMask}}
	return packet.FilterARP(t.spoken4.spans, presence, t.asked4.spans)
}

// ndProgram passes neighbor solicitations for own addresses, and advertisements of own, watched
// and tried ones or to this station.
func ndProgram(t *table) []bpf.Instruction {
	return packet.FilterND(t.spoken6.spans, t.asked6.spans)
}

// ping4Program passes echo requests for own addresses.
func ping4Program(t *table) []bpf.Instruction { return packet.FilterEcho4(t.asked4.spans) }

// ping6Program does the same for IPv6.
func ping6Program(t *table) []bpf.Instruction { return packet.FilterEcho6(t.asked6.spans) }
