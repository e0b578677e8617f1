package packet_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/arpd/packettest"
)

// Stations and addresses of the tests.
var (
	nodeHW   = packettest.NodeHW
	peerHW   = packettest.PeerHW
	vip4     = packettest.VIP4
	other4   = packettest.Other4
	yielded4 = packettest.Yielded4
	peer4    = packettest.Peer4
	vip6     = packettest.VIP6
	other6   = packettest.Other6
	yielded6 = packettest.Yielded6
	peer6    = packettest.Peer6
)

var compare = cmp.Comparer(func(a, b netip.Addr) bool { return a == b })

func TestHardwareAddress(t *testing.T) {
	for name, tc := range map[string]struct {
		mac            packet.HW
		station, group bool
		text           string
	}{
		"zero":      {packet.HW{}, false, false, "00:00:00:00:00:00"},
		"station":   {nodeHW, true, false, "02:00:00:00:00:01"},
		"broadcast": {packet.Broadcast, false, true, "ff:ff:ff:ff:ff:ff"},
		"multicast": {packet.HW{0x33, 0x33, 0, 0, 0, 1}, false, true, "33:33:00:00:00:01"},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.mac.Station() != tc.station || tc.mac.Group() != tc.group || tc.mac.String() != tc.text {
				t.Errorf("station %v group %v text %s", tc.mac.Station(), tc.mac.Group(), tc.mac)
			}
		})
	}
}

func TestSolicitedNode(t *testing.T) {
	for ip, want := range map[string]struct {
		group string
		mac   packet.HW
	}{
		"2001:db8::1:2:3":            {"ff02::1:ff02:3", packet.HW{0x33, 0x33, 0xff, 0x02, 0, 0x03}},
		"2001:db8::abcd:ef01:2345":   {"ff02::1:ff01:2345", packet.HW{0x33, 0x33, 0xff, 0x01, 0x23, 0x45}},
		"fe80::200:ff:fe00:1":        {"ff02::1:ff00:1", packet.HW{0x33, 0x33, 0xff, 0, 0, 1}},
		"2001:db8:ffff:ffff::ff:0:0": {"ff02::1:ff00:0", packet.HW{0x33, 0x33, 0xff, 0, 0, 0}},
	} {
		got := packet.SolicitedNode(netip.MustParseAddr(ip))
		if got.String() != want.group || packet.Multicast(got.As16()) != want.mac {
			t.Errorf("%s: group %s at %s, want %s at %s", ip, got, packet.Multicast(got.As16()), want.group, want.mac)
		}
	}
}
