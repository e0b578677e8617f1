package arpd

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/ndp"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv6"
)

func TestND(t *testing.T) {
	reply := func(dst hw, to, target netip.Addr, solicited bool) []byte {
		return ndpFrame(t, dst, nodeHW, target, to, &ndp.NeighborAdvertisement{
			Solicited: solicited, Override: true, TargetAddress: target,
			Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: nodeHW[:]}},
		})
	}
	var (
		answered = verdict{answer: naSize, request: true}
		normal   = reply(peerHW, peer6, vip6, true)
		group    = solicitedNode(vip6)
		groupHW  = multicastHW(group.As16())
		allHW    = multicastHW(allNodes.As16())
		none     = netip.IPv6Unspecified()

		question = multicastSolicit(t, vip6)
		unicast  = solicit(t, nodeHW, peerHW, peer6, vip6, vip6, hw{})
		dad      = solicit(t, groupHW, peerHW, none, group, vip6, hw{})
		gratis   = advertise(t, allHW, peerHW, allNodes, vip6, false)
		nonce    = ndpFrame(t, groupHW, peerHW, none, group, &ndp.NeighborSolicitation{
			TargetAddress: vip6, Options: []ndp.Option{ndp.NewNonce()},
		})
		noOption = ndpFrame(t, allHW, peerHW, vip6, allNodes, &ndp.NeighborAdvertisement{Override: true, TargetAddress: vip6})
	)
	claimOf := func(ip netip.Addr, mac hw) verdict { return verdict{claim: claim{ip: ip, mac: mac}} }
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
		{"duplicate address detection", dad, answered, reply(allHW, allNodes, vip6, false)},
		{"the same with a nonce", nonce, answered, reply(allHW, allNodes, vip6, false)},
		{"address being handed over", multicastSolicit(t, yielded6), answered, reply(peerHW, peer6, yielded6, true)},
		{"option differs from the frame's source", solicit(t, groupHW, strangerHW, peer6, group, vip6, peerHW), answered, normal},
		{"reserved bits are set", rechecked(unicast, 58, 0xff, 0xff, 0xff, 0xff), answered, normal},
		{"traffic class and flow label", with(question, 14, 0x6e, 0x01, 0x02, 0x03), answered, normal},

		{"announcement of ours", gratis, claimOf(vip6, peerHW), nil},
		{"announcement of a watched one", advertise(t, allHW, peerHW, allNodes, other6, false), claimOf(other6, peerHW), nil},
		{"announcement of an address handed over", advertise(t, allHW, peerHW, allNodes, yielded6, false), claimOf(yielded6, peerHW), nil},
		{"another answers for ours", advertise(t, nodeHW, peerHW, peer6, vip6, true), verdict{claim: claim{ip: vip6, mac: peerHW, asked: true}}, nil},
		{"announcement without option", noOption, claimOf(vip6, peerHW), nil},
		{"option differs from the source of the announcement", with(gratis, 6, strangerHW[:]...), claimOf(vip6, peerHW), nil},

		{"solicitation for a watched one", multicastSolicit(t, other6), verdict{drop: notOwned}, nil},
		{"solicitation for a stranger", multicastSolicit(t, netip.MustParseAddr("2001:db8::9")), verdict{drop: notOwned}, nil},
		{"announcement of a stranger", advertise(t, allHW, peerHW, allNodes, peer6, false), verdict{drop: notRequest}, nil},
		{"answer of a host", advertise(t, nodeHW, peerHW, peer6, peer6, true), verdict{claim: claim{ip: peer6, mac: peerHW, host: true}}, nil},
		{"our own solicitation came back", solicit(t, groupHW, nodeHW, peer6, group, vip6, nodeHW), verdict{drop: ownFrame}, nil},
		{"our own DAD came back", with(dad, 6, nodeHW[:]...), verdict{drop: ownFrame}, nil},
		{"our own address in the option only", solicit(t, groupHW, peerHW, peer6, group, vip6, nodeHW), verdict{drop: ownFrame}, nil},
		{"unicast to another", with(unicast, 0, strangerHW[:]...), verdict{drop: notForUs}, nil},
		{"option is a group", solicit(t, groupHW, peerHW, peer6, group, vip6, broadcastHW), verdict{drop: badSender}, nil},
		{"source is nobody", with(unicast, 6, 0, 0, 0, 0, 0, 0), verdict{drop: badSender}, nil},

		{"wrong checksum", with(question, 56, question[56]^1), verdict{drop: badChecksum}, nil},
		{"source changed on the way", with(question, 37, question[37]^1), verdict{drop: badChecksum}, nil},
		{"hop limit 254", with(question, 21, 254), bad, nil},
		{"hop limit 64", with(question, 21, 64), bad, nil},
		{"code 1", rechecked(question, 55, 1), bad, nil},
		{"target is a group", rechecked(question, 62, 0xff), bad, nil},
		{"source is a group", rechecked(question, 22, 0xff), bad, nil},
		{"DAD to all nodes", solicit(t, allHW, peerHW, none, allNodes, vip6, hw{}), bad, nil},
		{"DAD to the address itself", solicit(t, nodeHW, peerHW, none, vip6, vip6, hw{}), bad, nil},
		{"DAD with a link-layer address", solicit(t, groupHW, peerHW, none, group, vip6, peerHW), bad, nil},
		{"solicited advertisement to all", advertise(t, allHW, peerHW, allNodes, vip6, true), bad, nil},
		{"option of length 0", rechecked(question, 79, 0), bad, nil},
		{"option longer than the message", rechecked(question, 79, 2), bad, nil},
		{"router advertisement", rechecked(question, 54, 134), bad, nil},
		{"redirect", rechecked(question, 54, 137), bad, nil},
		{"echo request", rechecked(question, 54, 128), bad, nil},
		{"UDP", with(question, 20, 17), bad, nil},
		{"hop-by-hop options first", with(question, 20, 0), bad, nil},
		{"version 4", with(question, 14, 0x40), bad, nil},
		{"another EtherType", with(question, 12, 0x08, 0x06), bad, nil},
		{"payload longer than the frame", with(question, 18, 0, 200), bad, nil},
		{"payload shorter than a solicitation", with(question, 18, 0, 23), bad, nil},
		{"half an option", rechecked(append(with(unicast, 18, 0, 28), 1, 1, 2, 0), 58, 0), bad, nil},
		{"empty", nil, bad, nil},
		{"headers only", question[:ethLen+ip6Len], bad, nil},
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

// TestChecksum compares with the library's sum for messages of every length.
func TestChecksum(t *testing.T) {
	from, to := peer6.As16(), vip6.As16()
	for size := range 100 {
		m := icmp.Message{Type: ipv6.ICMPTypeNeighborSolicitation, Body: &icmp.RawBody{Data: make([]byte, size)}}
		for i := range size {
			m.Body.(*icmp.RawBody).Data[i] = byte(0x9e * i)
		}
		b, err := m.Marshal(icmp.IPv6PseudoHeader(peer6.AsSlice(), vip6.AsSlice()))
		if err != nil {
			t.Fatal(err)
		}
		if sum := checksum(from, to, b); sum != 0 {
			t.Fatalf("%d bytes: the right checksum gives %#x", len(b), sum)
		}
		want := binary.BigEndian.Uint16(b[2:])
		b[2], b[3] = 0, 0
		if sum := checksum(from, to, b); sum != want {
			t.Fatalf("%d bytes: checksum %#x, want %#x", len(b), sum, want)
		}
	}
}

// FuzzND holds the in-place parser against mdlayher/ndp. The library reads the
// message only and knows neither addresses nor checksum; so what ours takes, it
// must read alike, except that it also looks into options that are no concern of
// ours; what ours refuses for the message alone, it must refuse too.
func FuzzND(f *testing.F) {
	group := solicitedNode(vip6)
	groupHW := multicastHW(group.As16())
	f.Add(multicastSolicit(f, vip6))
	f.Add(solicit(f, nodeHW, peerHW, peer6, vip6, vip6, hw{}))
	f.Add(solicit(f, groupHW, peerHW, netip.IPv6Unspecified(), group, vip6, hw{}))
	f.Add(advertise(f, multicastHW(allNodes.As16()), peerHW, allNodes, vip6, false))
	f.Add(ndpFrame(f, nodeHW, peerHW, peer6, vip6, &ndp.NeighborSolicitation{
		TargetAddress: vip6, Options: []ndp.Option{ndp.NewMTU(1500), ndp.NewNonce()},
	}))
	f.Add(multicastSolicit(f, vip6)[:70])
	f.Fuzz(func(t *testing.T, frame []byte) {
		// A random checksum is never right: repair it, or nothing behind it is tried.
		if size := ndSize(frame); size >= 4 {
			frame = append([]byte(nil), frame...)
			icmp := frame[ethLen+ip6Len:][:size]
			icmp[2], icmp[3] = 0, 0
			binary.BigEndian.PutUint16(icmp[2:], checksum([16]byte(frame[22:38]), [16]byte(frame[38:54]), icmp))
		}
		m, d := parseND(frame)
		lib, err := libND(frame)
		switch {
		case d == badChecksum:
			t.Fatal("a repaired checksum is wrong")
		case d == kept:
			agree(t, &m, frame, lib, err)
		case err == nil && !excused(frame, lib):
			t.Fatalf("refused (%s), the library reads %+v", d, lib)
		}
		answer := checkAnswer(t, (*view).nd, frame)
		if answer == nil {
			return
		}
		na, err := ndp.ParseMessage(answer[ethLen+ip6Len:])
		if err != nil {
			t.Fatalf("the library cannot read our answer: %v", err)
		}
		want := &ndp.NeighborAdvertisement{
			Solicited: m.from != [16]byte{}, Override: true, TargetAddress: netip.AddrFrom16(m.target),
			Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: nodeHW[:]}},
		}
		if diff := cmp.Diff(ndp.Message(want), na, compare); diff != "" {
			t.Fatalf("answer (-want +got):\n%s", diff)
		}
	})
}

// ndSize is the payload length of the IPv6 packet in frame, 0 if there is none.
func ndSize(frame []byte) int {
	if len(frame) < ethLen+ip6Len {
		return 0
	}
	size := int(binary.BigEndian.Uint16(frame[18:]))
	if ethLen+ip6Len+size > len(frame) {
		return 0
	}
	return size
}

// libND reads the message of a frame with the library.
func libND(frame []byte) (ndp.Message, error) {
	size := ndSize(frame)
	if size == 0 || frame[12] != 0x86 || frame[13] != 0xdd || frame[14]>>4 != 6 || frame[20] != icmpv6 || frame[21] != 255 {
		return nil, errors.New("not neighbour discovery")
	}
	m, err := ndp.ParseMessage(frame[ethLen+ip6Len:][:size])
	switch m.(type) {
	case *ndp.NeighborSolicitation, *ndp.NeighborAdvertisement:
		return m, err
	}
	return nil, errors.Join(err, errors.New("not a neighbour's message"))
}

// agree checks that the library read the same as ours. If it stumbled over an
// option, the message without options must still be the same.
func agree(t *testing.T, m *ndMessage, frame []byte, lib ndp.Message, err error) {
	t.Helper()
	if netip.AddrFrom16(m.target).Is4In6() {
		return // the library refuses these; in our table they are never found
	}
	withOptions := err == nil
	if !withOptions {
		if lib, err = ndp.ParseMessage(frame[ethLen+ip6Len:][:ndLen]); err != nil {
			t.Fatalf("taken, the library says of the fixed part: %v", err)
		}
	}
	var target netip.Addr
	var options []ndp.Option
	kind, want := byte(typeNS), ndp.Source
	switch lib := lib.(type) {
	case *ndp.NeighborSolicitation:
		target, options = lib.TargetAddress, lib.Options
	case *ndp.NeighborAdvertisement:
		target, options, kind, want = lib.TargetAddress, lib.Options, typeNA, ndp.Target
		if lib.Solicited != (m.flags&naSolicited != 0) {
			t.Fatalf("flags %#x, the library reads %+v", m.flags, lib)
		}
	}
	var lla hw
	for _, o := range options {
		if o, ok := o.(*ndp.LinkLayerAddress); ok && o.Direction == want && lla == (hw{}) {
			lla = hw(o.Addr)
		}
	}
	if m.kind != kind || netip.AddrFrom16(m.target) != target || withOptions && m.lla != lla {
		t.Fatalf("ours %+v, the library %+v", m, lib)
	}
}

// excused tells why ours may refuse what the library takes: rules about code,
// addresses and lengths that need more than the message, or that the library
// leaves to its user.
func excused(frame []byte, lib ndp.Message) bool {
	icmp := frame[ethLen+ip6Len:][:ndSize(frame)]
	from, to := netip.AddrFrom16([16]byte(frame[22:38])), netip.AddrFrom16([16]byte(frame[38:54]))
	if icmp[1] != 0 || from.IsMulticast() {
		return true
	}
	switch m := lib.(type) {
	case *ndp.NeighborSolicitation:
		sourceLLA := false
		for _, o := range m.Options {
			lla, ok := o.(*ndp.LinkLayerAddress)
			sourceLLA = sourceLLA || ok && lla.Direction == ndp.Source && !isZero(lla.Addr)
		}
		return m.TargetAddress.IsMulticast() ||
			from.IsUnspecified() && (sourceLLA || to != solicitedNode(m.TargetAddress))
	case *ndp.NeighborAdvertisement:
		return m.TargetAddress.IsMulticast() || m.Solicited && to.IsMulticast()
	}
	return false
}

func isZero(mac net.HardwareAddr) bool { return hw(mac) == hw{} }

func TestNDAllocatesNothing(t *testing.T) {
	v, b := nodeView(), make([]byte, frameSize)
	for name, frame := range map[string][]byte{
		"answered": multicastSolicit(t, vip6),
		"foreign":  multicastSolicit(t, netip.MustParseAddr("2001:db8::9")),
		"claim":    advertise(t, multicastHW(allNodes.As16()), peerHW, allNodes, other6, false),
	} {
		t.Run(name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, func() { v.nd(b, copy(b, frame)) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}
