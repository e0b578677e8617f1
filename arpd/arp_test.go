package arpd

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/arp"
)

func TestARP(t *testing.T) {
	replyTo := func(spa, tpa netip.Addr) []byte {
		return arpFrame(t, peerHW, nodeHW, arp.OperationReply, nodeHW, tpa, peerHW, spa)
	}
	answered := verdict{answer: arpSize, request: true}
	claimOf := func(ip netip.Addr, mac hw) verdict { return verdict{claim: claim{ip: ip, mac: mac}} }
	question := request(t, peer4, vip4)
	none := netip.IPv4Unspecified()

	for _, tc := range []struct {
		name   string
		frame  []byte
		want   verdict
		answer []byte
	}{
		{"broadcast request", question, answered, replyTo(peer4, vip4)},
		{"padded to 60 bytes", slices.Concat(question, make([]byte, 18)), answered, replyTo(peer4, vip4)},
		{"padding is not zero", slices.Concat(question, []byte{0xff, 0xff, 0xff}), answered, replyTo(peer4, vip4)},
		{"unicast request", with(question, 0, nodeHW[:]...), answered, replyTo(peer4, vip4)},
		{"request to a group", with(question, 0, 0x01, 0, 0x5e, 0, 0, 1), answered, replyTo(peer4, vip4)},
		{"target hardware address filled in", with(question, 32, 9, 9, 9, 9, 9, 9), answered, replyTo(peer4, vip4)},
		{"probe", request(t, none, vip4), answered, replyTo(none, vip4)},
		{"address being handed over", request(t, peer4, yielded4), answered, replyTo(peer4, yielded4)},
		{"answer goes to the sender in the message", with(question, 6, strangerHW[:]...), answered, replyTo(peer4, vip4)},
		{
			"sender uses a VIP of ours", request(t, vip4, yielded4),
			verdict{answer: arpSize, request: true, claim: claim{ip: vip4, mac: peerHW}},
			replyTo(vip4, yielded4),
		},

		{"announcement of ours", request(t, vip4, vip4), claimOf(vip4, peerHW), nil},
		{"announcement of a watched one", request(t, other4, other4), claimOf(other4, peerHW), nil},
		{"announcement of an address handed over", request(t, yielded4, yielded4), claimOf(yielded4, peerHW), nil},
		{
			"announcement in reply form", arpFrame(t, broadcastHW, peerHW, arp.OperationReply, peerHW, vip4, peerHW, vip4),
			claimOf(vip4, peerHW), nil,
		},
		{
			"another answers for ours", arpFrame(t, nodeHW, peerHW, arp.OperationReply, peerHW, vip4, nodeHW, vip4),
			verdict{claim: claim{ip: vip4, mac: peerHW, asked: true}},
			nil,
		},
		{"watched one asks for a stranger", request(t, other4, peer4), claimOf(other4, peerHW), nil},

		{"request for a watched one", request(t, peer4, other4), verdict{drop: notOwned}, nil},
		{"request for a stranger", request(t, peer4, netip.MustParseAddr("198.18.0.9")), verdict{drop: notOwned}, nil},
		{"announcement of a stranger", request(t, peer4, peer4), verdict{drop: notRequest}, nil},
		{
			"reply about a stranger", arpFrame(t, broadcastHW, peerHW, arp.OperationReply, peerHW, peer4, nodeHW, vip4),
			verdict{drop: notRequest},
			nil,
		},
		{
			"answer of a host", arpFrame(t, nodeHW, peerHW, arp.OperationReply, peerHW, peer4, nodeHW, vip4),
			verdict{claim: claim{ip: peer4, mac: peerHW, host: true}},
			nil,
		},
		{"reverse ARP", with(question, 20, 0, 3), verdict{drop: notRequest}, nil},
		{"operation 0x0101", with(question, 20, 1, 1), verdict{drop: notRequest}, nil},
		{"our own request came back", with(with(question, 6, nodeHW[:]...), 22, nodeHW[:]...), verdict{drop: ownFrame}, nil},
		{"our own address in the message only", with(question, 22, nodeHW[:]...), verdict{drop: ownFrame}, nil},
		{"unicast to another", with(question, 0, strangerHW[:]...), verdict{drop: notForUs}, nil},
		{"sender is a group", with(question, 22, broadcastHW[:]...), verdict{drop: badSender}, nil},
		{"sender is nobody", with(question, 22, 0, 0, 0, 0, 0, 0), verdict{drop: badSender}, nil},
		{"claim by a group", with(request(t, vip4, vip4), 22, 0x01, 0, 0x5e, 0, 0, 1), verdict{drop: badSender}, nil},
		{"empty", nil, verdict{drop: malformed}, nil},
		{"header only", question[:ethLen], verdict{drop: malformed}, nil},
		{"one byte short", question[:arpSize-1], verdict{drop: malformed}, nil},
		{"another EtherType", with(question, 12, 0x08, 0x00), verdict{drop: malformed}, nil},
		{"tag left in the frame", with(question, 12, 0x81, 0x00), verdict{drop: malformed}, nil},
		{"token ring", with(question, 14, 0, 6), verdict{drop: malformed}, nil},
		{"another protocol", with(question, 16, 0x86, 0xdd), verdict{drop: malformed}, nil},
		{"long hardware address", with(question, 18, 8), verdict{drop: malformed}, nil},
		{"long protocol address", with(question, 19, 16), verdict{drop: malformed}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, answer := decide((*view).arp, nodeView(), tc.frame)
			if diff := cmp.Diff(tc.want, got, compare); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.answer, answer); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestARPWithoutAddresses(t *testing.T) {
	v := &view{mac: nodeHW, table: newTable(nil)}
	got, answer := decide((*view).arp, v, request(t, peer4, vip4))
	if diff := cmp.Diff(verdict{drop: notOwned}, got, compare); diff != "" || answer != nil {
		t.Errorf("verdict (-want +got):\n%s answer %x", diff, answer)
	}
}

// FuzzARP holds the in-place parser against the decoder of mdlayher/arp: what it
// takes, the library must read alike; what it refuses, the library must refuse
// too or see as something else than ARP for IPv4 over Ethernet.
func FuzzARP(f *testing.F) {
	question := request(f, peer4, vip4)
	f.Add(question)
	f.Add(slices.Concat(question, make([]byte, 18)))
	f.Add(question[:30])
	f.Add(with(question, 18, 0, 0))
	f.Add(with(question, 18, 255, 255))
	f.Add(request(f, vip4, vip4))
	f.Add(arpFrame(f, nodeHW, peerHW, arp.OperationReply, peerHW, vip4, nodeHW, vip4))
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, d := parseARP(frame)
		var lib arp.Packet
		err := libARP(&lib, frame)
		if d != kept {
			if err == nil && lib.HardwareType == 1 && lib.ProtocolType == etherIPv4 &&
				lib.HardwareAddrLength == 6 && lib.IPLength == 4 {
				t.Fatalf("refused (%s), the library reads %+v", d, lib)
			}
			checkAnswer(t, (*view).arp, frame)
			return
		}
		if err != nil {
			t.Fatalf("taken, the library says: %v", err)
		}
		ours := arp.Packet{
			HardwareType: 1, ProtocolType: etherIPv4, HardwareAddrLength: 6, IPLength: 4, Operation: arp.Operation(m.op),
			SenderHardwareAddr: m.sha[:], SenderIP: netip.AddrFrom4(m.spa),
			TargetHardwareAddr: m.tha[:], TargetIP: netip.AddrFrom4(m.tpa),
		}
		if diff := cmp.Diff(lib, ours, compare); diff != "" {
			t.Fatalf("differs from the library (-library +ours):\n%s", diff)
		}
		answer := checkAnswer(t, (*view).arp, frame)
		if answer == nil {
			return
		}
		var reply arp.Packet
		if err := libARP(&reply, answer); err != nil {
			t.Fatalf("the library cannot read our answer: %v", err)
		}
		want := arp.Packet{
			HardwareType: 1, ProtocolType: etherIPv4, HardwareAddrLength: 6, IPLength: 4, Operation: arp.OperationReply,
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
	if len(frame) < ethLen || frame[12] != etherARP>>8 || frame[13] != etherARP&0xff {
		return errors.New("not ARP")
	}
	return p.UnmarshalBinary(frame[ethLen:])
}

// checkAnswer decides about any frame and checks what must hold for all of them:
// an answer only for an own address, only to one station or to all nodes, and
// from this node; no answer without a request, no claim of nothing.
func checkAnswer(t *testing.T, judge func(*view, []byte, int) verdict, frame []byte) []byte {
	t.Helper()
	v := nodeView()
	got, answer := decide(judge, v, frame[:min(len(frame), frameSize)])
	if (answer != nil) != got.request {
		t.Fatalf("request %v with answer %x", got.request, answer)
	}
	if got.claim.ip.IsValid() && (got.claim.host == (v.table.role(got.claim.ip) != 0) || !got.claim.mac.station() || got.claim.mac == nodeHW) {
		t.Fatalf("claim %v", got.claim)
	}
	if (got.drop != kept) == (got.request || got.claim.ip.IsValid()) {
		t.Fatalf("verdict %+v", got)
	}
	if answer == nil {
		return nil
	}
	dst, src := hw(answer[:6]), hw(answer[6:12])
	if src != nodeHW || dst == nodeHW || !dst.station() && dst != multicastHW(allNodes.As16()) {
		t.Fatalf("answer from %s to %s", src, dst)
	}
	return answer
}

func TestARPAllocatesNothing(t *testing.T) {
	v, b := nodeView(), make([]byte, frameSize)
	for name, frame := range map[string][]byte{
		"answered": request(t, peer4, vip4),
		"foreign":  request(t, peer4, netip.MustParseAddr("198.18.0.9")),
		"claim":    request(t, other4, other4),
	} {
		t.Run(name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, func() { v.arp(b, copy(b, frame)) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
