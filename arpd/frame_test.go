package arpd

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/arpd/packettest"
)

// Stations and addresses of the tests, and what builds their frames.
var (
	nodeHW     = packettest.NodeHW
	peerHW     = packettest.PeerHW
	strangerHW = packettest.StrangerHW
	vip4       = packettest.VIP4
	other4     = packettest.Other4
	yielded4   = packettest.Yielded4
	peer4      = packettest.Peer4
	vip6       = packettest.VIP6
	other6     = packettest.Other6
	yielded6   = packettest.Yielded6
	peer6      = packettest.Peer6

	arpFrame         = packettest.ARP
	request          = packettest.Request
	solicit          = packettest.Solicit
	ndpFrame         = packettest.ND
	multicastSolicit = packettest.MulticastSolicit
	advertise        = packettest.Advertise
	with             = packettest.With
	rechecked        = packettest.Rechecked
)

var compare = cmp.Options{
	cmp.AllowUnexported(verdict{}, claim{}),
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

// decide lets decider look at frame in a buffer as a reader has it, and returns
// the verdict and the answer.
func decide(decider func(*view, []byte, int) verdict, v *view, frame []byte) (verdict, []byte) {
	b := make([]byte, packet.FrameSize)
	n := copy(b, frame)
	out := decider(v, b, n)
	if out.answer == 0 {
		return out, nil
	}
	return out, b[:out.answer]
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
		decider func(*view, []byte, int) verdict
		frame   []byte
		whole   int
	}{
		"ARP request": {(*view).arp, request(t, peer4, vip4), packet.ARPSize},
		"ARP claim":   {(*view).arp, request(t, vip4, vip4), packet.ARPSize},
		"NS":          {(*view).nd, multicastSolicit(t, vip6), packet.NASize},
		"NA":          {(*view).nd, advertise(t, nodeHW, peerHW, peer6, vip6, true), packet.NASize},
	} {
		t.Run(name, func(t *testing.T) {
			for n := range len(tc.frame) + 1 {
				got, answer := decide(tc.decider, nodeView(), tc.frame[:n:n])
				if n < tc.whole && (got.drop != malformed || answer != nil) || n == tc.whole && got.drop != kept {
					t.Errorf("%d bytes: %+v", n, got)
				}
			}
		})
	}
}
