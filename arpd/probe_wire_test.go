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
	p.peer.address("eth0", taken4.String()+"/24", taken6.String()+"/64")
	p.speaker.Probe([]netip.Addr{vip4, vip6, taken4, taken6})
	p.speaker.await("all to be known", func() bool {
		known := 0
		for _, trial := range p.speaker.State().Trials {
			if trial.Known {
				known++
			}
		}
		return known == 4
	})
	for ip, trial := range p.speaker.State().Trials {
		want := ""
		if ip == taken4 || ip == taken6 {
			want = p.wire.mac.String()
		}
		if trial.MAC != want {
			t.Errorf("%s is at %q, want %q", ip, trial.MAC, want)
		}
	}
	list, err := p.peer.nl.NeighList(p.peer.link("eth0").Attrs().Index, 0)
	p.must("list neighbours", err)
	for _, n := range list {
		if ip, _ := netip.AddrFromSlice(n.IP); ip == vip4 || ip == vip6 {
			t.Errorf("the peer learned %+v", n)
		}
	}
}
