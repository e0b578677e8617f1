package packet_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/arpd/packettest"
)

const testPorts = 61000 // see the filters

// accepts is what accepts a connection that this node began.
func accepts(ip netip.Addr) packet.Segment {
	to := netip.MustParseAddr("198.18.0.1")
	if ip.Is6() {
		to = netip.MustParseAddr("2001:db8::1")
	}
	return packet.Segment{
		Dst: nodeHW, Src: peerHW, From: netip.AddrPortFrom(ip, 80), To: netip.AddrPortFrom(to, testPorts+7),
		Seq: 0x01020304, Ack: 0xfffefdfc, Flags: packet.SYN | packet.ACK,
	}
}

// TestSegment: what is built is what is read, by the libraries too, and its checksums are right.
func TestSegment(t *testing.T) {
	for _, ip := range []netip.Addr{vip4, vip6} {
		want := accepts(ip)
		f := want.Frame()
		got, fault := packet.ParseTCP(f)
		if got != want || fault != packet.Sound {
			t.Errorf("%s: %s, got %+v, want %+v", ip, fault, got, want)
		}
		from, to, tcp := ip.AsSlice(), want.To.Addr().AsSlice(), f[len(f)-20:]
		if ip.Is4() {
			h, err := ipv4.ParseHeader(f[packet.EthLen:])
			if err != nil || h.TotalLen != 40 || h.Protocol != packet.TCP || h.TTL != 64 || h.Flags != ipv4.DontFragment || packet.InternetSum(f[packet.EthLen:][:20]) != 0 {
				t.Errorf("header %v, %v", h, err)
			}
		} else if h, err := ipv6.ParseHeader(f[packet.EthLen:]); err != nil || h.PayloadLen != 20 || h.NextHeader != packet.TCP || h.HopLimit != 64 {
			t.Errorf("header %v, %v", h, err)
		}
		if packet.InternetSum(from, to, []byte{0, packet.TCP, 0, 20}, tcp) != 0 {
			t.Errorf("%s: wrong checksum", ip)
		}
	}
}

// withOptions puts four bytes of options into the IPv4 header of a frame.
func withOptions(f []byte) []byte {
	out := append([]byte{}, f[:packet.EthLen+20]...)
	out[packet.EthLen] = 0x46
	return append(append(out, 1, 1, 1, 0), f[packet.EthLen+20:]...)
}

func TestParseTCP(t *testing.T) {
	four, six := accepts(vip4).Frame(), accepts(vip6).Frame()
	for name, tc := range map[string]struct {
		frame []byte
		want  packet.Fault
	}{
		"IPv4":              {four, packet.Sound},
		"with options":      {withOptions(four), packet.Sound},
		"IPv6":              {six, packet.Sound},
		"no checksum yet":   {packettest.With(four, 50, 0, 0), packet.Sound},
		"short":             {four[:53], packet.Malformed},
		"IPv6, short":       {six[:73], packet.Malformed},
		"options, short":    {packettest.With(four, 14, 0x46), packet.Malformed},
		"a short header":    {packettest.With(four, 14, 0x44), packet.Malformed},
		"another version":   {packettest.With(four, 14, 0x65), packet.Malformed},
		"UDP":               {packettest.With(four, 23, 17), packet.Malformed},
		"a fragment":        {packettest.With(four, 21, 1), packet.Malformed},
		"a first fragment":  {packettest.With(four, 20, 0x20), packet.Malformed},
		"IPv6, UDP":         {packettest.With(six, 20, 17), packet.Malformed},
		"IPv6, version 4":   {packettest.With(six, 14, 0x45), packet.Malformed},
		"another EtherType": {packettest.With(four, 12, 8, 6), packet.Malformed},
		"empty":             {nil, packet.Malformed},
	} {
		t.Run(name, func(t *testing.T) {
			got, fault := packet.ParseTCP(tc.frame)
			if fault != tc.want || fault == packet.Sound && (got.Ack != 0xfffefdfc || got.To.Port() != testPorts+7) {
				t.Errorf("%s, want %s: %+v", fault, tc.want, got)
			}
		})
	}
}

func TestFilterAccepted(t *testing.T) {
	four, six := accepts(vip4).Frame(), accepts(vip6).Frame()
	port := func(f []byte, port uint16) []byte {
		return packettest.With(f, len(f)-18, binary.BigEndian.AppendUint16(nil, port)...)
	}
	for name, tc := range map[string]struct {
		frame []byte
		want  bool
	}{
		"IPv4":              {four, true},
		"with options":      {withOptions(four), true},
		"IPv6":              {six, true},
		"the lowest port":   {port(four, testPorts), true},
		"a lower one":       {port(four, testPorts-1), false},
		"IPv6, a lower one": {port(six, testPorts-1), false},
		"SYN":               {packettest.With(four, len(four)-7, packet.SYN), false},
		"ACK":               {packettest.With(four, len(four)-7, packet.ACK), false},
		"RST and ACK":       {packettest.With(six, len(six)-7, packet.RST|packet.ACK), false},
		"with ECN":          {packettest.With(four, len(four)-7, packet.SYN|packet.ACK|0x40), true},
		"UDP":               {packettest.With(four, 23, 17), false},
		"IPv6, UDP":         {packettest.With(six, 20, 17), false},
		"a later fragment":  {packettest.With(four, 21, 1), false},
		"short":             {four[:47], false},
		"empty":             {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			program := packet.FilterAccepted4(testPorts)
			if len(tc.frame) > 0 && tc.frame[12] == 0x86 {
				program = packet.FilterAccepted6(testPorts)
			}
			if got := packettest.Passes(t, program, tc.frame); got != tc.want {
				t.Errorf("passes: %v", got)
			}
		})
	}
}

// FuzzTCP: whatever comes in is read without fault, and the filter passes nothing that cannot be
// read.
func FuzzTCP(f *testing.F) {
	f.Add(accepts(vip4).Frame())
	f.Add(accepts(vip6).Frame())
	f.Add(withOptions(accepts(vip4).Frame()))
	four, six := packet.FilterAccepted4(testPorts), packet.FilterAccepted6(testPorts)
	f.Fuzz(func(t *testing.T, frame []byte) {
		s, fault := packet.ParseTCP(frame)
		if fault != packet.Sound {
			return
		}
		program := four
		if s.From.Addr().Is6() {
			program = six
		}
		want := s.Flags&(packet.SYN|packet.ACK) == packet.SYN|packet.ACK && s.To.Port() >= testPorts
		if got := packettest.Passes(t, program, frame); got != want {
			t.Errorf("passes: %v, want %v: %+v", got, want, s)
		}
	})
}
