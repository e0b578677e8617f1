package arpd

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/arp"

	"github.com/starling-lb/starling/arpd/packet"
)

func TestARP(t *testing.T) {
	replyTo := func(spa, tpa netip.Addr) []byte {
		return arpFrame(t, peerHW, nodeHW, arp.OperationReply, nodeHW, tpa, peerHW, spa)
	}
	answered := verdict{answer: packet.ARPSize, request: true}
	claimOf := func(ip netip.Addr, mac packet.HW) verdict {
		return verdict{claim: claim{kind: claimed, ip: ip, mac: mac}}
	}
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
			verdict{answer: packet.ARPSize, request: true, claim: claim{kind: claimed, ip: vip4, mac: peerHW}},
			replyTo(vip4, yielded4),
		},

		{"announcement of ours", request(t, vip4, vip4), claimOf(vip4, peerHW), nil},
		{"announcement of a watched one", request(t, other4, other4), claimOf(other4, peerHW), nil},
		{"announcement of an address handed over", request(t, yielded4, yielded4), claimOf(yielded4, peerHW), nil},
		{
			"a deputy announces it", with(request(t, vip4, vip4), 6, strangerHW[:]...),
			verdict{claim: claim{kind: claimed, ip: vip4, mac: peerHW, by: strangerHW}},
			nil,
		},
		{
			"announcement in reply form", arpFrame(t, packet.Broadcast, peerHW, arp.OperationReply, peerHW, vip4, peerHW, vip4),
			claimOf(vip4, peerHW), nil,
		},
		{
			"another answers for ours", arpFrame(t, nodeHW, peerHW, arp.OperationReply, peerHW, vip4, nodeHW, vip4),
			verdict{claim: claim{kind: replied, ip: vip4, mac: peerHW}},
			nil,
		},
		{"watched one asks for a stranger", request(t, other4, peer4), claimOf(other4, peerHW), nil},

		{"request for a watched one", request(t, peer4, other4), verdict{drop: notOwned}, nil},
		{"request for a stranger", request(t, peer4, netip.MustParseAddr("198.18.0.9")), verdict{drop: notOwned}, nil},
		{"announcement of a stranger", request(t, peer4, peer4), verdict{drop: notRequest}, nil},
		{
			"reply about a stranger", arpFrame(t, packet.Broadcast, peerHW, arp.OperationReply, peerHW, peer4, nodeHW, vip4),
			verdict{drop: notRequest},
			nil,
		},
		{
			"answer of a host", arpFrame(t, nodeHW, peerHW, arp.OperationReply, peerHW, peer4, nodeHW, vip4),
			verdict{claim: claim{kind: hostReply, ip: peer4, mac: peerHW}},
			nil,
		},
		{"reverse ARP", with(question, 20, 0, 3), verdict{drop: notRequest}, nil},
		{"operation 0x0101", with(question, 20, 1, 1), verdict{drop: notRequest}, nil},
		{"our own request came back", with(with(question, 6, nodeHW[:]...), 22, nodeHW[:]...), verdict{drop: ownFrame}, nil},
		{"our own address in the message only", with(question, 22, nodeHW[:]...), verdict{drop: ownFrame}, nil},
		{"unicast to another", with(question, 0, strangerHW[:]...), verdict{drop: notForUs}, nil},
		{"sender is a group", with(question, 22, packet.Broadcast[:]...), verdict{drop: badSender}, nil},
		{"sender is nobody", with(question, 22, 0, 0, 0, 0, 0, 0), verdict{drop: badSender}, nil},
		{"claim by a group", with(request(t, vip4, vip4), 22, 0x01, 0, 0x5e, 0, 0, 1), verdict{drop: badSender}, nil},
		{"empty", nil, verdict{drop: malformed}, nil},
		{"one byte short", question[:packet.ARPSize-1], verdict{drop: malformed}, nil},
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

// FuzzView: whatever comes, the decision is one that checkAnswer allows. Package packet holds what
// is read against the libraries.
func FuzzView(f *testing.F) {
	group := packet.SolicitedNode(vip6)
	for _, frame := range [][]byte{request(f, peer4, vip4), request(f, vip4, vip4), arpFrame(f, nodeHW, peerHW, arp.OperationReply, peerHW, vip4, nodeHW, vip4)} {
		f.Add(false, frame)
	}
	for _, frame := range [][]byte{
		multicastSolicit(f, vip6),
		solicit(f, nodeHW, peerHW, peer6, vip6, vip6, packet.HW{}),
		solicit(f, packet.Multicast(group.As16()), peerHW, netip.IPv6Unspecified(), group, vip6, packet.HW{}),
		advertise(f, packet.Multicast(packet.AllNodes.As16()), peerHW, packet.AllNodes, vip6, false),
	} {
		f.Add(true, frame)
	}
	f.Fuzz(func(t *testing.T, six bool, frame []byte) {
		if !six {
			checkAnswer(t, (*view).arp, frame)
			return
		}
		checkAnswer(t, (*view).nd, frame)
		// Random lengths and checksums are never right: repair them, or nothing behind is tried.
		if size := len(frame) - packet.EthLen - packet.IP6Len; size >= 4 && size <= 0xffff {
			checkAnswer(t, (*view).nd, rechecked(frame, 18, byte(size>>8), byte(size)))
		}
	})
}

// checkAnswer decides about any frame and checks what must hold for all of them:
// an answer only for an own address, only to one station or to all nodes, and
// from this node; no answer without a request, no claim of nothing.
func checkAnswer(t *testing.T, decider func(*view, []byte, int) verdict, frame []byte) []byte {
	t.Helper()
	v := nodeView()
	got, answer := decide(decider, v, frame[:min(len(frame), packet.FrameSize)])
	if (answer != nil) != got.request {
		t.Fatalf("request %v with answer %x", got.request, answer)
	}
	if got.claim.kind != nothing && ((got.claim.kind == hostReply) == (v.table.role(got.claim.ip) != 0) || !got.claim.mac.Station() || got.claim.mac == nodeHW) {
		t.Fatalf("claim %v", got.claim)
	}
	if (got.drop != kept) == (got.request || got.claim.kind != nothing) {
		t.Fatalf("verdict %+v", got)
	}
	if answer == nil {
		return nil
	}
	dst, src := packet.HW(answer[:6]), packet.HW(answer[6:12])
	if src != nodeHW || dst == nodeHW || !dst.Station() && dst != packet.Multicast(packet.AllNodes.As16()) {
		t.Fatalf("answer from %s to %s", src, dst)
	}
	return answer
}

func TestARPAllocatesNothing(t *testing.T) {
	v, b := nodeView(), make([]byte, packet.FrameSize)
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
