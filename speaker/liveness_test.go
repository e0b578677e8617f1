package speaker

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/report"
)

var comparePrefix = cmpopts.EquateComparable(netip.Prefix{}, netip.AddrPort{})

// TestUnknownStationsAreBounded: strangers can be as many as they like.
func TestUnknownStationsAreBounded(t *testing.T) {
	w := world{World: report.World{Wire: arpd.State{Heard: map[netip.Addr]string{}}}}
	for i := range 1000 {
		w.Wire.Heard[netip.AddrFrom4([4]byte{198, 18, byte(i / 250), byte(i % 250)})] = netip.AddrFrom4([4]byte{2, 0, byte(i / 250), byte(i % 250)}).String()
	}
	if got := len(w.wanted()); got != maxUnknown {
		t.Errorf("%d probes", got)
	}
	w = world{World: report.World{Names: map[string]string{mac2: "n2"}, Wire: arpd.State{Heard: map[netip.Addr]string{
		netip.MustParseAddr("198.18.64.1"): mac2, netip.MustParseAddr("198.18.64.2"): mac3,
	}}}}
	if diff := cmp.Diff(peers.Wanted{{MAC: mac3}}, w.wanted(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("probes (-want +got):\n%s", diff)
	}
}
