package arpd

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
)

// Stations and addresses of the tests.
var (
	nodeHW     = hw{0x02, 0, 0, 0, 0, 0x01} // this node
	peerHW     = hw{0x02, 0, 0, 0, 0, 0x02}
	strangerHW = hw{0x02, 0, 0, 0, 0, 0x03}

	vip4     = netip.MustParseAddr("198.18.0.100")
	other4   = netip.MustParseAddr("198.18.0.101") // another node's
	yielded4 = netip.MustParseAddr("198.18.0.102") // being handed over
	peer4    = netip.MustParseAddr("198.18.0.2")
	vip6     = netip.MustParseAddr("2001:db8::100")
	other6   = netip.MustParseAddr("2001:db8::101")
	yielded6 = netip.MustParseAddr("2001:db8::102")
	peer6    = netip.MustParseAddr("fe80::2")
)

var compare = cmp.Options{
	cmp.AllowUnexported(verdict{}, claim{}, span{}),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

// nodeView answers for the VIPs above.
func nodeView() *view {
	return &view{mac: nodeHW, table: newTable(map[netip.Addr]role{
		vip4: own, other4: watch, yielded4: own | watch,
		vip6: own, other6: watch, yielded6: own | watch,
	})}
}

// arpFrame builds an ARP frame with the library.
func arpFrame(t testing.TB, dst, src hw, op arp.Operation, sha hw, spa netip.Addr, tha hw, tpa netip.Addr) []byte {
	t.Helper()
	p, err := arp.NewPacket(op, sha[:], spa, tha[:], tpa)
	if err != nil {
		t.Fatalf("build ARP: %v", err)
	}
	b, err := p.MarshalBinary()
	if err != nil {
		t.Fatalf("encode ARP: %v", err)
	}
	return append(ethernet(dst, src, etherARP), b...)
}

// request is a broadcast question of the peer.
func request(t testing.TB, spa, tpa netip.Addr) []byte {
	t.Helper()
	return arpFrame(t, broadcastHW, peerHW, arp.OperationRequest, peerHW, spa, hw{}, tpa)
}

// solicit builds a neighbour solicitation of src; lla zero: without the option.
func solicit(t testing.TB, dst, src hw, from, to, target netip.Addr, lla hw) []byte {
	t.Helper()
	ns := &ndp.NeighborSolicitation{TargetAddress: target}
	if lla != (hw{}) {
		ns.Options = append(ns.Options, &ndp.LinkLayerAddress{Direction: ndp.Source, Addr: lla[:]})
	}
	return ndpFrame(t, dst, src, from, to, ns)
}

func ndpFrame(t testing.TB, dst, src hw, from, to netip.Addr, m ndp.Message) []byte {
	t.Helper()
	b, err := ndp.MarshalMessageChecksum(m, from, to)
	if err != nil {
		t.Fatalf("encode %v: %v", m.Type(), err)
	}
	return ndFrame(dst, src, from, to, b)
}

// multicastSolicit is how the peer asks for target for the first time.
func multicastSolicit(t testing.TB, target netip.Addr) []byte {
	t.Helper()
	group := solicitedNode(target)
	return solicit(t, multicastHW(group.As16()), peerHW, peer6, group, target, peerHW)
}

// advertise is an advertisement of target by mac, to all nodes or to this node.
func advertise(t testing.TB, dst hw, mac hw, to, target netip.Addr, solicited bool) []byte {
	t.Helper()
	return ndpFrame(t, dst, mac, target, to, &ndp.NeighborAdvertisement{
		Solicited: solicited, Override: true, TargetAddress: target,
		Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: mac[:]}},
	})
}

// with returns a copy of a frame with bytes changed.
func with(frame []byte, off int, b ...byte) []byte {
	out := append([]byte(nil), frame...)
	copy(out[off:], b)
	return out
}

// rechecked returns a copy of an ICMPv6 frame with changed bytes and a checksum
// that is right again.
func rechecked(frame []byte, off int, b ...byte) []byte {
	out := with(frame, off, b...)
	icmp := out[ethLen+ip6Len:]
	icmp[2], icmp[3] = 0, 0
	binary.BigEndian.PutUint16(icmp[2:], checksum([16]byte(out[22:38]), [16]byte(out[38:54]), icmp))
	return out
}

// decide lets judge look at frame in a buffer as a reader has it, and returns
// the verdict and the answer.
func decide(judge func(*view, []byte, int) verdict, v *view, frame []byte) (verdict, []byte) {
	b := make([]byte, frameSize)
	n := copy(b, frame)
	out := judge(v, b, n)
	if out.answer == 0 {
		return out, nil
	}
	return out, b[:out.answer]
}

func unhex(t testing.TB, lines ...string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Join(lines, ""), " ", ""))
	if err != nil {
		t.Fatalf("hex: %v", err)
	}
	return b
}

func TestHardwareAddress(t *testing.T) {
	for name, tc := range map[string]struct {
		mac            hw
		station, group bool
		text           string
	}{
		"zero":      {hw{}, false, false, "00:00:00:00:00:00"},
		"station":   {nodeHW, true, false, "02:00:00:00:00:01"},
		"broadcast": {broadcastHW, false, true, "ff:ff:ff:ff:ff:ff"},
		"multicast": {hw{0x33, 0x33, 0, 0, 0, 1}, false, true, "33:33:00:00:00:01"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.mac.station() != tc.station || tc.mac.group() != tc.group || tc.mac.String() != tc.text {
				t.Errorf("station %v group %v text %s", tc.mac.station(), tc.mac.group(), tc.mac)
			}
		})
	}
}

func TestSolicitedNode(t *testing.T) {
	for ip, want := range map[string]struct {
		group string
		mac   hw
	}{
		"2001:db8::1:2:3":            {"ff02::1:ff02:3", hw{0x33, 0x33, 0xff, 0x02, 0, 0x03}},
		"2001:db8::abcd:ef01:2345":   {"ff02::1:ff01:2345", hw{0x33, 0x33, 0xff, 0x01, 0x23, 0x45}},
		"fe80::200:ff:fe00:1":        {"ff02::1:ff00:1", hw{0x33, 0x33, 0xff, 0, 0, 1}},
		"2001:db8:ffff:ffff::ff:0:0": {"ff02::1:ff00:0", hw{0x33, 0x33, 0xff, 0, 0, 0}},
	} {
		got := solicitedNode(netip.MustParseAddr(ip))
		if got.String() != want.group || multicastHW(got.As16()) != want.mac {
			t.Errorf("%s: group %s at %s, want %s at %s", ip, got, multicastHW(got.As16()), want.group, want.mac)
		}
	}
}

func TestDropReasonsAreDistinct(t *testing.T) {
	seen := make(map[string]drop)
	for d := kept + 1; d < drops; d++ {
		if was, ok := seen[d.String()]; ok || d.String() == "" {
			t.Errorf("reason %d is called %q like %d", d, d, was)
		}
		seen[d.String()] = d
	}
}

// TestEveryLength cuts good frames to every length: nothing but the whole
// message may be answered or believed, and nothing may be read beyond the end.
func TestEveryLength(t *testing.T) {
	for name, tc := range map[string]struct {
		judge func(*view, []byte, int) verdict
		frame []byte
		whole int
	}{
		"ARP request": {(*view).arp, request(t, peer4, vip4), arpSize},
		"ARP claim":   {(*view).arp, request(t, vip4, vip4), arpSize},
		"NS":          {(*view).nd, multicastSolicit(t, vip6), naSize},
		"NA":          {(*view).nd, advertise(t, nodeHW, peerHW, peer6, vip6, true), naSize},
	} {
		t.Run(name, func(t *testing.T) {
			for n := range len(tc.frame) + 1 {
				got, answer := decide(tc.judge, nodeView(), tc.frame[:n:n])
				if n < tc.whole && (got.drop != malformed || answer != nil) || n == tc.whole && got.drop != kept {
					t.Errorf("%d bytes: %+v", n, got)
				}
			}
		})
	}
}
