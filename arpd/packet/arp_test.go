package packet_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/arp"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/arpd/packettest"
)

func TestParseARP(t *testing.T) {
	question := packettest.Request(t, peer4, vip4)
	whole := packet.ARP{
		Dst: packet.Broadcast, Src: peerHW, Op: packet.OpRequest,
		SHA: peerHW, SPA: peer4.As4(), TPA: vip4.As4(),
	}
	for _, tc := range []struct {
		name  string
		frame []byte
		want  packet.Fault
	}{
		{"request", question, packet.Sound},
		{"padded to 60 bytes", slices.Concat(question, make([]byte, 18)), packet.Sound},
		{"header only", question[:packet.EthLen], packet.Malformed},
		{"another EtherType", packettest.With(question, 12, 0x08, 0x00), packet.Malformed},
		{"tag left in the frame", packettest.With(question, 12, 0x81, 0x00), packet.Malformed},
		{"token ring", packettest.With(question, 14, 0, 6), packet.Malformed},
		{"another protocol", packettest.With(question, 16, 0x86, 0xdd), packet.Malformed},
		{"long hardware address", packettest.With(question, 18, 8), packet.Malformed},
		{"long protocol address", packettest.With(question, 19, 16), packet.Malformed},
		{"one byte short", question[:packet.ARPSize-1], packet.Malformed},
		{"empty", nil, packet.Malformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, fault := packet.ParseARP(tc.frame)
			if fault != tc.want {
				t.Errorf("%s, want %s", fault, tc.want)
			}
			want := packet.ARP{}
			if tc.want == packet.Sound {
				want = whole
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("message (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzARP holds the in-place parser against the decoder of mdlayher/arp: what it
// takes, the library must read alike; what it refuses, the library must refuse
// too or see as something else than ARP for IPv4 over Ethernet.
func FuzzARP(f *testing.F) {
	question := packettest.Request(f, peer4, vip4)
	f.Add(question)
	f.Add(slices.Concat(question, make([]byte, 18)))
	f.Add(question[:30])
	f.Add(packettest.With(question, 18, 0, 0))
	f.Add(packettest.With(question, 18, 255, 255))
	f.Add(packettest.Request(f, vip4, vip4))
	f.Add(packettest.ARP(f, nodeHW, peerHW, arp.OperationReply, peerHW, vip4, nodeHW, vip4))
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, d := packet.ParseARP(frame)
		var lib arp.Packet
		err := libARP(&lib, frame)
		if d != packet.Sound {
			if err == nil && lib.HardwareType == 1 && lib.ProtocolType == packet.EtherIPv4 &&
				lib.HardwareAddrLength == 6 && lib.IPLength == 4 {
				t.Fatalf("refused (%s), the library reads %+v", d, lib)
			}
			return
		}
		if err != nil {
			t.Fatalf("taken, the library says: %v", err)
		}
		ours := arp.Packet{
			HardwareType: 1, ProtocolType: packet.EtherIPv4, HardwareAddrLength: 6, IPLength: 4, Operation: arp.Operation(m.Op),
			SenderHardwareAddr: m.SHA[:], SenderIP: netip.AddrFrom4(m.SPA),
			TargetHardwareAddr: m.THA[:], TargetIP: netip.AddrFrom4(m.TPA),
		}
		if diff := cmp.Diff(lib, ours, compare); diff != "" {
			t.Fatalf("differs from the library (-library +ours):\n%s", diff)
		}
		answer := slices.Clone(frame)
		answer = answer[:m.Answer(answer, nodeHW, nodeHW)]
		if packet.HW(answer[:6]) != m.SHA || packet.HW(answer[6:12]) != nodeHW {
			t.Fatalf("answer from %x to %x", answer[6:12], answer[:6])
		}
		var reply arp.Packet
		if err := libARP(&reply, answer); err != nil {
			t.Fatalf("the library cannot read our answer: %v", err)
		}
		want := arp.Packet{
			HardwareType: 1, ProtocolType: packet.EtherIPv4, HardwareAddrLength: 6, IPLength: 4, Operation: arp.OperationReply,
			SenderHardwareAddr: nodeHW[:], SenderIP: lib.TargetIP,
			TargetHardwareAddr: lib.SenderHardwareAddr, TargetIP: lib.SenderIP,
		}
		if diff := cmp.Diff(want, reply, compare); diff != "" {
			t.Fatalf("answer (-want +got):\n%s", diff)
		}
	})
}

// libARP decodes the ARP message of a frame with the library.
func libARP(p *arp.Packet, frame []byte) error {
	if len(frame) < packet.EthLen || frame[12] != packet.EtherARP>>8 || frame[13] != packet.EtherARP&0xff {
		return errors.New("not ARP")
	}
	return p.UnmarshalBinary(frame[packet.EthLen:])
}
