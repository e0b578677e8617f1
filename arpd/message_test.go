package arpd

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/arpd/packet"
)

// TestAnnouncementIsUnderstood feeds our announcements to another node's readers.
func TestAnnouncementIsUnderstood(t *testing.T) {
	v := nodeView()
	v.mac = peerHW
	for _, ip := range []netip.Addr{vip4, vip6} {
		frames, err := packet.Announcement(nodeHW, nodeHW, ip, false)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			judge := (*view).arp
			if ip.Is6() {
				judge = (*view).nd
			}
			got, answer := decide(judge, v, f)
			if diff := cmp.Diff(verdict{claim: claim{kind: claimed, ip: ip, mac: nodeHW}}, got, compare); diff != "" || answer != nil {
				t.Errorf("%s (-want +got):\n%s", ip, diff)
			}
		}
	}
}
