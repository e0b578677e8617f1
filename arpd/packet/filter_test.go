package packet_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/mdlayher/arp"
	"golang.org/x/net/bpf"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/arpd/packettest"
)

// spansOf are the ranges of single addresses.
func spansOf(ips ...netip.Addr) []packet.Span {
	var keys []uint32
	for _, ip := range ips {
		b := ip.AsSlice()
		keys = append(keys, binary.BigEndian.Uint32(b[len(b)-4:]))
	}
	return packet.Spans(keys, packet.MaxSpans)
}

func TestFilterARP(t *testing.T) {
	spoken := spansOf(vip4, other4, yielded4)
	full, empty := packet.FilterARP(spoken, spansOf(vip4), spansOf(yielded4)), packet.FilterARP(nil, nil)
	foreign := netip.MustParseAddr("198.18.0.9")
	question := packettest.Request(t, peer4, vip4)
	for name, tc := range map[string]struct {
		frame []byte
		want  bool
	}{
		"request for ours":          {question, true},
		"probe for ours":            {packettest.Request(t, netip.IPv4Unspecified(), vip4), true},
		"request for one in hand":   {packettest.Request(t, peer4, yielded4), true},
		"request for a watched one": {packettest.Request(t, peer4, other4), false},
		"request for a stranger":    {packettest.Request(t, peer4, foreign), false},
		"stranger's announcement":   {packettest.Request(t, foreign, foreign), false},
		"watched one's":             {packettest.Request(t, other4, other4), true},
		"our own address claimed":   {packettest.Request(t, vip4, foreign), true},
		"reply for a watched one":   {packettest.ARP(t, packet.Broadcast, peerHW, arp.OperationReply, peerHW, other4, nodeHW, peer4), true},
		"a stranger's to all":       {packettest.ARP(t, packet.Broadcast, peerHW, arp.OperationReply, peerHW, foreign, nodeHW, peer4), false},
		"short":                     {question[:41], false},
		"another protocol":          {packettest.With(question, 16, 0x86, 0xdd), false},
		"long addresses":            {packettest.With(question, 18, 8), false},
		"empty":                     {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := packettest.Passes(t, full, tc.frame); got != tc.want {
				t.Errorf("passes: %v", got)
			}
			if packettest.Passes(t, empty, tc.frame) {
				t.Error("passes although there is no address")
			}
		})
	}
	for _, from := range []netip.Addr{foreign, vip4, other4} {
		answer := packettest.ARP(t, nodeHW, peerHW, arp.OperationReply, peerHW, from, nodeHW, peer4)
		for name, program := range map[string][]bpf.Instruction{"with addresses": full, "without": empty} {
			if !packettest.Passes(t, program, answer) {
				t.Errorf("%s: an answer of %s to this station does not pass", name, from)
			}
		}
	}
}

func TestFilterND(t *testing.T) {
	full, empty := packet.FilterND(spansOf(vip6, other6, yielded6), spansOf(vip6, yielded6)), packet.FilterND(nil, nil)
	foreign := netip.MustParseAddr("2001:db8::9")
	question := packettest.MulticastSolicit(t, vip6)
	for name, tc := range map[string]struct {
		frame []byte
		want  bool
	}{
		"solicitation for ours":          {question, true},
		"solicitation for one in hand":   {packettest.MulticastSolicit(t, yielded6), true},
		"solicitation for a watched one": {packettest.MulticastSolicit(t, other6), false},
		"solicitation for a stranger":    {packettest.MulticastSolicit(t, foreign), false},
		"advertisement of ours":          {packettest.Advertise(t, packet.Multicast(packet.AllNodes.As16()), peerHW, packet.AllNodes, vip6, false), true},
		"advertisement of a watched one": {packettest.Advertise(t, packet.Multicast(packet.AllNodes.As16()), peerHW, packet.AllNodes, other6, false), true},
		"advertisement of a stranger":    {packettest.Advertise(t, packet.Multicast(packet.AllNodes.As16()), peerHW, packet.AllNodes, foreign, false), false},
		"hop limit 64":                   {packettest.With(question, 21, 64), false},
		"UDP":                            {packettest.With(question, 20, 17), false},
		"echo request":                   {packettest.With(question, 54, 128), false},
		"router advertisement":           {packettest.With(question, 54, 134), false},
		"short":                          {question[:77], false},
		"empty":                          {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := packettest.Passes(t, full, tc.frame); got != tc.want {
				t.Errorf("passes: %v", got)
			}
			if packettest.Passes(t, empty, tc.frame) {
				t.Error("passes although there is no address")
			}
		})
	}
	for _, from := range []netip.Addr{foreign, vip6, other6} {
		answer := packettest.Advertise(t, nodeHW, peerHW, peer6, from, true)
		for name, program := range map[string][]bpf.Instruction{"with addresses": full, "without": empty} {
			if !packettest.Passes(t, program, answer) {
				t.Errorf("%s: an answer of %s to this station does not pass", name, from)
			}
		}
	}
}
