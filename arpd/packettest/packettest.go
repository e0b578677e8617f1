// Package packettest builds frames for tests of packages packet and arpd, by mdlayher/arp and
// mdlayher/ndp rather than by the code that is tested.
package packettest

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
	"golang.org/x/net/bpf"

	"github.com/starling-lb/starling/arpd/packet"
)

// Stations and addresses of the tests.
var (
	NodeHW     = packet.HW{0x02, 0, 0, 0, 0, 0x01} // this node
	PeerHW     = packet.HW{0x02, 0, 0, 0, 0, 0x02}
	StrangerHW = packet.HW{0x02, 0, 0, 0, 0, 0x03}

	VIP4     = netip.MustParseAddr("198.18.0.100") // this node's
	Other4   = netip.MustParseAddr("198.18.0.101") // another node's
	Yielded4 = netip.MustParseAddr("198.18.0.102") // being handed over
	Peer4    = netip.MustParseAddr("198.18.0.2")
	VIP6     = netip.MustParseAddr("2001:db8::100")
	Other6   = netip.MustParseAddr("2001:db8::101")
	Yielded6 = netip.MustParseAddr("2001:db8::102")
	Peer6    = netip.MustParseAddr("fe80::2")
)

// ARP builds an ARP frame with the library.
func ARP(t testing.TB, dst, src packet.HW, op arp.Operation, sha packet.HW, spa netip.Addr, tha packet.HW, tpa netip.Addr) []byte {
	t.Helper()
	p, err := arp.NewPacket(op, sha[:], spa, tha[:], tpa)
	if err != nil {
		t.Fatalf("build ARP: %v", err)
	}
	b, err := p.MarshalBinary()
	if err != nil {
		t.Fatalf("encode ARP: %v", err)
	}
	return append(packet.Ethernet(dst, src, packet.EtherARP), b...)
}

// Request is a broadcast question of the peer.
func Request(t testing.TB, spa, tpa netip.Addr) []byte {
	t.Helper()
	return ARP(t, packet.Broadcast, PeerHW, arp.OperationRequest, PeerHW, spa, packet.HW{}, tpa)
}

// Solicit builds a neighbor solicitation of src; lla zero: without the option.
func Solicit(t testing.TB, dst, src packet.HW, from, to, target netip.Addr, lla packet.HW) []byte {
	t.Helper()
	ns := &ndp.NeighborSolicitation{TargetAddress: target}
	if lla != (packet.HW{}) {
		ns.Options = append(ns.Options, &ndp.LinkLayerAddress{Direction: ndp.Source, Addr: lla[:]})
	}
	return ND(t, dst, src, from, to, ns)
}

// ND builds a frame of neighbor discovery with the library.
func ND(t testing.TB, dst, src packet.HW, from, to netip.Addr, m ndp.Message) []byte {
	t.Helper()
	b, err := ndp.MarshalMessageChecksum(m, from, to)
	if err != nil {
		t.Fatalf("encode %v: %v", m.Type(), err)
	}
	return packet.NDFrame(dst, src, from, to, b)
}

// MulticastSolicit is how the peer asks for target for the first time.
func MulticastSolicit(t testing.TB, target netip.Addr) []byte {
	t.Helper()
	group := packet.SolicitedNode(target)
	return Solicit(t, packet.Multicast(group.As16()), PeerHW, Peer6, group, target, PeerHW)
}

// Advertise is an advertisement of target by mac, to all nodes or to this node.
func Advertise(t testing.TB, dst packet.HW, mac packet.HW, to, target netip.Addr, solicited bool) []byte {
	t.Helper()
	return ND(t, dst, mac, target, to, &ndp.NeighborAdvertisement{
		Solicited: solicited, Override: true, TargetAddress: target,
		Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: mac[:]}},
	})
}

// With returns a copy of a frame with bytes changed.
func With(frame []byte, off int, b ...byte) []byte {
	out := append([]byte(nil), frame...)
	copy(out[off:], b)
	return out
}

// Rechecked returns a copy of an ICMPv6 frame with changed bytes and a checksum
// that is right again.
func Rechecked(frame []byte, off int, b ...byte) []byte {
	out := With(frame, off, b...)
	icmp := out[packet.EthLen+packet.IP6Len:]
	icmp[2], icmp[3] = 0, 0
	binary.BigEndian.PutUint16(icmp[2:], packet.Checksum([16]byte(out[22:38]), [16]byte(out[38:54]), icmp))
	return out
}

// Unhex is the bytes of hex digits; blanks are for the reader.
func Unhex(t testing.TB, lines ...string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Join(lines, ""), " ", ""))
	if err != nil {
		t.Fatalf("hex: %v", err)
	}
	return b
}

// Passes reports whether a frame passes a program. It runs without the guard, which only the kernel
// can run.
func Passes(t testing.TB, program []bpf.Instruction, frame []byte) bool {
	t.Helper()
	return Load(t, program)(frame)
}

// Load is what a program says of frames.
func Load(t testing.TB, program []bpf.Instruction) func([]byte) bool {
	t.Helper()
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatalf("load program: %v", err)
	}
	return func(frame []byte) bool {
		n, err := vm.Run(frame)
		if err != nil {
			t.Fatalf("run program: %v", err)
		}
		return n > 0
	}
}
