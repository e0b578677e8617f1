package arpd

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"

	"github.com/starling-lb/starling/arpd/packet"
)

func TestND(t *testing.T) {
	reply := func(dst packet.HW, to, target netip.Addr, solicited bool) []byte {
		return ndpFrame(t, dst, nodeHW, target, to, &ndp.NeighborAdvertisement{
			Solicited: solicited, Override: true, TargetAddress: target,
			Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: nodeHW[:]}},
		})
	}
	var (
		answered = verdict{answer: packet.NASize, request: true}
		normal   = reply(peerHW, peer6, vip6, true)
		group    = packet.SolicitedNode(vip6)
		groupHW  = packet.Multicast(group.As16())
		allHW    = packet.Multicast(packet.AllNodes.As16())
		none     = netip.IPv6Unspecified()

		question = multicastSolicit(t, vip6)
		unicast  = solicit(t, nodeHW, peerHW, peer6, vip6, vip6, packet.HW{})
		dad      = solicit(t, groupHW, peerHW, none, group, vip6, packet.HW{})
		gratis   = advertise(t, allHW, peerHW, packet.AllNodes, vip6, false)
		nonce    = ndpFrame(t, groupHW, peerHW, none, group, &ndp.NeighborSolicitation{
			TargetAddress: vip6, Options: []ndp.Option{ndp.NewNonce()},
		})
		noOption = ndpFrame(t, allHW, peerHW, vip6, packet.AllNodes, &ndp.NeighborAdvertisement{Override: true, TargetAddress: vip6})
	)
	claimOf := func(ip netip.Addr, mac packet.HW) verdict {
		return verdict{claim: claim{kind: claimed, ip: ip, mac: mac}}
	}
	bad := verdict{drop: malformed}

	for _, tc := range []struct {
		name   string
		frame  []byte
		want   verdict
		answer []byte
	}{
		{"multicast solicitation", question, answered, normal},
		{"unicast, with option", solicit(t, nodeHW, peerHW, peer6, vip6, vip6, peerHW), answered, normal},
		{"unicast, without option", unicast, answered, normal},
		{"padding behind the packet", append(unicast, 1, 2, 3), answered, normal},
		{"duplicate address detection", dad, answered, reply(allHW, packet.AllNodes, vip6, false)},
		{"the same with a nonce", nonce, answered, reply(allHW, packet.AllNodes, vip6, false)},
		{"address being handed over", multicastSolicit(t, yielded6), answered, reply(peerHW, peer6, yielded6, true)},
		{"option differs from the frame's source", solicit(t, groupHW, strangerHW, peer6, group, vip6, peerHW), answered, normal},
		{"reserved bits are set", rechecked(unicast, 58, 0xff, 0xff, 0xff, 0xff), answered, normal},
		{"traffic class and flow label", with(question, 14, 0x6e, 0x01, 0x02, 0x03), answered, normal},

		{"announcement of ours", gratis, claimOf(vip6, peerHW), nil},
		{"announcement of a watched one", advertise(t, allHW, peerHW, packet.AllNodes, other6, false), claimOf(other6, peerHW), nil},
		{"announcement of an address handed over", advertise(t, allHW, peerHW, packet.AllNodes, yielded6, false), claimOf(yielded6, peerHW), nil},
		{"another answers for ours", advertise(t, nodeHW, peerHW, peer6, vip6, true), verdict{claim: claim{kind: replied, ip: vip6, mac: peerHW}}, nil},
		{"announcement without option", noOption, claimOf(vip6, peerHW), nil},
		{"a deputy announces it", with(gratis, 6, strangerHW[:]...), verdict{claim: claim{kind: claimed, ip: vip6, mac: peerHW, by: strangerHW}}, nil},

		{"solicitation for a watched one", multicastSolicit(t, other6), verdict{drop: notOwned}, nil},
		{"solicitation for a stranger", multicastSolicit(t, netip.MustParseAddr("2001:db8::9")), verdict{drop: notOwned}, nil},
		{"announcement of a stranger", advertise(t, allHW, peerHW, packet.AllNodes, peer6, false), verdict{drop: notRequest}, nil},
		{"answer of a host", advertise(t, nodeHW, peerHW, peer6, peer6, true), verdict{claim: claim{kind: hostReply, ip: peer6, mac: peerHW}}, nil},
		{"our own solicitation came back", solicit(t, groupHW, nodeHW, peer6, group, vip6, nodeHW), verdict{drop: ownFrame}, nil},
		{"our own DAD came back", with(dad, 6, nodeHW[:]...), verdict{drop: ownFrame}, nil},
		{"our own address in the option only", solicit(t, groupHW, peerHW, peer6, group, vip6, nodeHW), verdict{drop: ownFrame}, nil},
		{"unicast to another", with(unicast, 0, strangerHW[:]...), verdict{drop: notForUs}, nil},
		{"option is a group", solicit(t, groupHW, peerHW, peer6, group, vip6, packet.Broadcast), verdict{drop: badSender}, nil},
		{"source is nobody", with(unicast, 6, 0, 0, 0, 0, 0, 0), verdict{drop: badSender}, nil},

		{"wrong checksum", with(question, 56, question[56]^1), verdict{drop: badChecksum}, nil},
		{"empty", nil, bad, nil},
		{"one byte short", unicast[:len(unicast)-1], bad, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, answer := decide((*view).nd, nodeView(), tc.frame)
			if diff := cmp.Diff(tc.want, got, compare); diff != "" {
				t.Errorf("verdict (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.answer, answer); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNDAllocatesNothing(t *testing.T) {
	v, b := nodeView(), make([]byte, packet.FrameSize)
	for name, frame := range map[string][]byte{
		"answered": multicastSolicit(t, vip6),
		"foreign":  multicastSolicit(t, netip.MustParseAddr("2001:db8::9")),
		"claim":    advertise(t, packet.Multicast(packet.AllNodes.As16()), peerHW, packet.AllNodes, other6, false),
	} {
		t.Run(name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, func() { v.nd(b, copy(b, frame)) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
