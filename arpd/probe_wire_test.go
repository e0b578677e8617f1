package arpd

import (
	"net/netip"
	"testing"
)

// TestProbeFindsKernels: a peer's kernel has two of the addresses; nobody has the
// other two; and no cache of the peer learns anything from being asked.
func TestProbeFindsKernels(t *testing.T) {
	p := newPair(t)
	taken4, taken6 := netip.MustParseAddr("198.18.0.77"), netip.MustParseAddr("2001:db8::77")
	p.peer.Address("eth0", taken4.String()+"/24", taken6.String()+"/64")
	p.speaker.Probe([]netip.Addr{vip4, vip6, taken4, taken6})
	p.speaker.await("all to be known", func() bool {
		known := 0
		for _, probed := range p.speaker.State().Probed {
			if probed.Known {
				known++
			}
		}
		return known == 4
	})
	for ip, probed := range p.speaker.State().Probed {
		want := ""
		if ip == taken4 || ip == taken6 {
			want = p.wire.mac.String()
		}
		if probed.MAC != want {
			t.Errorf("%s is at %q, want %q", ip, probed.MAC, want)
		}
	}
	list, err := p.peer.NL.NeighList(p.peer.Link("eth0").Attrs().Index, 0)
	p.Must("list neighbors", err)
	for _, n := range list {
		if ip, _ := netip.AddrFromSlice(n.IP); ip == vip4 || ip == vip6 {
			t.Errorf("the peer learned %+v", n)
		}
	}
}
