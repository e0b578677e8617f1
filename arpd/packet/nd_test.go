package packet_test

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

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/arpd/packettest"
)

func TestParseND(t *testing.T) {
	var (
		group    = packet.SolicitedNode(vip6)
		groupHW  = packet.Multicast(group.As16())
		allHW    = packet.Multicast(packet.AllNodes.As16())
		none     = netip.IPv6Unspecified()
		question = packettest.MulticastSolicit(t, vip6)
		unicast  = packettest.Solicit(t, nodeHW, peerHW, peer6, vip6, vip6, packet.HW{})
	)
	for _, tc := range []struct {
		name  string
		frame []byte
		want  packet.Fault
	}{
		{"solicitation", question, packet.Sound},
		{"solicitation without option", unicast, packet.Sound},
		{"duplicate address detection", packettest.Solicit(t, groupHW, peerHW, none, group, vip6, packet.HW{}), packet.Sound},
		{"advertisement", packettest.Advertise(t, nodeHW, peerHW, peer6, vip6, true), packet.Sound},
		{"advertisement to all", packettest.Advertise(t, allHW, peerHW, packet.AllNodes, vip6, false), packet.Sound},
		{"hop limit 254", packettest.With(question, 21, 254), packet.Malformed},
		{"hop limit 64", packettest.With(question, 21, 64), packet.Malformed},
		{"code 1", packettest.Rechecked(question, 55, 1), packet.Malformed},
		{"target is a group", packettest.Rechecked(question, 62, 0xff), packet.Malformed},
		{"source is a group", packettest.Rechecked(question, 22, 0xff), packet.Malformed},
		{"DAD to all nodes", packettest.Solicit(t, allHW, peerHW, none, packet.AllNodes, vip6, packet.HW{}), packet.Malformed},
		{"DAD to the address itself", packettest.Solicit(t, nodeHW, peerHW, none, vip6, vip6, packet.HW{}), packet.Malformed},
		{"DAD with a link-layer address", packettest.Solicit(t, groupHW, peerHW, none, group, vip6, peerHW), packet.Malformed},
		{"solicited advertisement to all", packettest.Advertise(t, allHW, peerHW, packet.AllNodes, vip6, true), packet.Malformed},
		{"option of length 0", packettest.Rechecked(question, 79, 0), packet.Malformed},
		{"option longer than the message", packettest.Rechecked(question, 79, 2), packet.Malformed},
		{"router advertisement", packettest.Rechecked(question, 54, 134), packet.Malformed},
		{"redirect", packettest.Rechecked(question, 54, 137), packet.Malformed},
		{"echo request", packettest.Rechecked(question, 54, 128), packet.Malformed},
		{"UDP", packettest.With(question, 20, 17), packet.Malformed},
		{"hop-by-hop options first", packettest.With(question, 20, 0), packet.Malformed},
		{"version 4", packettest.With(question, 14, 0x40), packet.Malformed},
		{"another EtherType", packettest.With(question, 12, 0x08, 0x06), packet.Malformed},
		{"payload longer than the frame", packettest.With(question, 18, 0, 200), packet.Malformed},
		{"payload shorter than a solicitation", packettest.With(question, 18, 0, 23), packet.Malformed},
		{"half an option", packettest.Rechecked(append(packettest.With(unicast, 18, 0, 28), 1, 1, 2, 0), 58, 0), packet.Malformed},
		{"headers only", question[:packet.EthLen+packet.IP6Len], packet.Malformed},
		{"source changed on the way", packettest.With(question, 37, question[37]^1), packet.WrongSum},
		{"wrong checksum", packettest.With(question, 56, question[56]^1), packet.WrongSum},
		{"one byte short", unicast[:len(unicast)-1], packet.Malformed},
		{"empty", nil, packet.Malformed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, fault := packet.ParseND(tc.frame); fault != tc.want {
				t.Errorf("%s, want %s", fault, tc.want)
			}
		})
	}
}

// TestParseNDFields holds what is read of a message that is sound.
func TestParseNDFields(t *testing.T) {
	group := packet.SolicitedNode(vip6)
	asked, err := packet.Question6(peerHW, nodeHW, vip6)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		frame []byte
		want  packet.ND
	}{
		"solicitation": {packettest.MulticastSolicit(t, vip6), packet.ND{
			Dst: packet.Multicast(group.As16()), Src: peerHW, From: peer6.As16(), To: group.As16(),
			Kind: packet.NS, Target: vip6.As16(), LLA: peerHW,
		}},
		"a speaker's": {asked, packet.ND{
			Dst: nodeHW, Src: peerHW, From: packet.LinkLocal(peerHW).As16(), To: vip6.As16(),
			Kind: packet.NS, Target: vip6.As16(), LLA: peerHW, Asker: true,
		}},
		"advertisement": {packettest.Advertise(t, nodeHW, peerHW, peer6, vip6, true), packet.ND{
			Dst: nodeHW, Src: peerHW, From: vip6.As16(), To: peer6.As16(),
			Kind: packet.NA, Flags: packet.Solicited | 0x20, Target: vip6.As16(), LLA: peerHW,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got, fault := packet.ParseND(tc.frame)
			if diff := cmp.Diff(tc.want, got); diff != "" || fault != packet.Sound {
				t.Errorf("%s, message (-want +got):\n%s", fault, diff)
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
		if sum := packet.Checksum(from, to, b); sum != 0 {
			t.Fatalf("%d bytes: the right checksum gives %#x", len(b), sum)
		}
		want := binary.BigEndian.Uint16(b[2:])
		b[2], b[3] = 0, 0
		if sum := packet.Checksum(from, to, b); sum != want {
			t.Fatalf("%d bytes: checksum %#x, want %#x", len(b), sum, want)
		}
	}
}

// FuzzND holds the in-place parser against mdlayher/ndp. The library reads the
// message only and knows neither addresses nor checksum; so what ours takes, it
// must read alike, except that it also looks into options that are no concern of
// ours; what ours refuses for the message alone, it must refuse too.
func FuzzND(f *testing.F) {
	group := packet.SolicitedNode(vip6)
	groupHW := packet.Multicast(group.As16())
	f.Add(packettest.MulticastSolicit(f, vip6))
	f.Add(packettest.Solicit(f, nodeHW, peerHW, peer6, vip6, vip6, packet.HW{}))
	f.Add(packettest.Solicit(f, groupHW, peerHW, netip.IPv6Unspecified(), group, vip6, packet.HW{}))
	f.Add(packettest.Advertise(f, packet.Multicast(packet.AllNodes.As16()), peerHW, packet.AllNodes, vip6, false))
	f.Add(packettest.ND(f, nodeHW, peerHW, peer6, vip6, &ndp.NeighborSolicitation{
		TargetAddress: vip6, Options: []ndp.Option{ndp.NewMTU(1500), ndp.NewNonce()},
	}))
	f.Add(packettest.MulticastSolicit(f, vip6)[:70])
	f.Fuzz(func(t *testing.T, frame []byte) {
		// A random checksum is never right: repair it, or nothing behind it is tried.
		if size := ndSize(frame); size >= 4 {
			frame = append([]byte(nil), frame...)
			icmp := frame[packet.EthLen+packet.IP6Len:][:size]
			icmp[2], icmp[3] = 0, 0
			binary.BigEndian.PutUint16(icmp[2:], packet.Checksum([16]byte(frame[22:38]), [16]byte(frame[38:54]), icmp))
		}
		m, d := packet.ParseND(frame)
		lib, err := libND(frame)
		switch {
		case d == packet.WrongSum:
			t.Fatal("a repaired checksum is wrong")
		case d == packet.Sound:
			agree(t, &m, frame, lib, err)
		case err == nil && !excused(frame, lib):
			t.Fatalf("refused (%s), the library reads %+v", d, lib)
		}
		if d != packet.Sound || m.Kind != packet.NS || netip.AddrFrom16(m.Target).Is4In6() {
			return
		}
		answer := make([]byte, packet.FrameSize)
		answer = answer[:m.Answer(answer, nodeHW, nodeHW)]
		if again, d := packet.ParseND(answer); d != packet.Sound || again.LLA != nodeHW {
			t.Fatalf("answer %x: %s", answer, d)
		}
		na, err := ndp.ParseMessage(answer[packet.EthLen+packet.IP6Len:])
		if err != nil {
			t.Fatalf("the library cannot read our answer: %v", err)
		}
		want := &ndp.NeighborAdvertisement{
			Solicited: m.From != [16]byte{}, Override: true, TargetAddress: netip.AddrFrom16(m.Target),
			Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: nodeHW[:]}},
		}
		if diff := cmp.Diff(ndp.Message(want), na, compare); diff != "" {
			t.Fatalf("answer (-want +got):\n%s", diff)
		}
	})
}

// ndSize is the payload length of the IPv6 packet in frame, 0 if there is none.
func ndSize(frame []byte) int {
	if len(frame) < packet.EthLen+packet.IP6Len {
		return 0
	}
	size := int(binary.BigEndian.Uint16(frame[18:]))
	if packet.EthLen+packet.IP6Len+size > len(frame) {
		return 0
	}
	return size
}

// libND reads the message of a frame with the library.
func libND(frame []byte) (ndp.Message, error) {
	size := ndSize(frame)
	if size == 0 || frame[12] != 0x86 || frame[13] != 0xdd || frame[14]>>4 != 6 || frame[20] != packet.ICMPv6 || frame[21] != 255 {
		return nil, errors.New("not neighbor discovery")
	}
	m, err := ndp.ParseMessage(frame[packet.EthLen+packet.IP6Len:][:size])
	switch m.(type) {
	case *ndp.NeighborSolicitation, *ndp.NeighborAdvertisement:
		return m, err
	}
	return nil, errors.Join(err, errors.New("not a neighbor's message"))
}

// agree checks that the library read the same as ours. If it stumbled over an
// option, the message without options must still be the same.
func agree(t *testing.T, m *packet.ND, frame []byte, lib ndp.Message, err error) {
	t.Helper()
	if netip.AddrFrom16(m.Target).Is4In6() {
		return // the library refuses these; no VIP is such an address
	}
	withOptions := err == nil
	if !withOptions {
		if lib, err = ndp.ParseMessage(frame[packet.EthLen+packet.IP6Len:][:24]); err != nil {
			t.Fatalf("taken, the library says of the fixed part: %v", err)
		}
	}
	var target netip.Addr
	var options []ndp.Option
	kind, want := byte(packet.NS), ndp.Source
	switch lib := lib.(type) {
	case *ndp.NeighborSolicitation:
		target, options = lib.TargetAddress, lib.Options
	case *ndp.NeighborAdvertisement:
		target, options, kind, want = lib.TargetAddress, lib.Options, packet.NA, ndp.Target
		if lib.Solicited != (m.Flags&packet.Solicited != 0) {
			t.Fatalf("flags %#x, the library reads %+v", m.Flags, lib)
		}
	}
	var lla packet.HW
	for _, o := range options {
		if o, ok := o.(*ndp.LinkLayerAddress); ok && o.Direction == want && lla == (packet.HW{}) {
			lla = packet.HW(o.Addr)
		}
	}
	if m.Kind != kind || netip.AddrFrom16(m.Target) != target || withOptions && m.LLA != lla {
		t.Fatalf("ours %+v, the library %+v", m, lib)
	}
}

// excused tells why ours may refuse what the library takes: rules about code,
// addresses and lengths that need more than the message, or that the library
// leaves to its user.
func excused(frame []byte, lib ndp.Message) bool {
	icmp := frame[packet.EthLen+packet.IP6Len:][:ndSize(frame)]
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
			from.IsUnspecified() && (sourceLLA || to != packet.SolicitedNode(m.TargetAddress))
	case *ndp.NeighborAdvertisement:
		return m.TargetAddress.IsMulticast() || m.Solicited && to.IsMulticast()
	}
	return false
}

func isZero(mac net.HardwareAddr) bool { return packet.HW(mac) == packet.HW{} }
