package packet_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/arpd/packettest"
)

// TestAnnouncement holds the frames as they must stand on the wire, byte by byte.
func TestAnnouncement(t *testing.T) {
	requestForm := packettest.Unhex(t,
		"ffffffffffff 020000000001 0806", // to all
		"0001 0800 06 04 0001",           // Ethernet, IPv4, request
		"020000000001 c6120064",          // sender: this node has 198.18.0.100
		"000000000000 c6120064")          // target: the same address
	replyForm := packettest.Unhex(t,
		"ffffffffffff 020000000001 0806",
		"0001 0800 06 04 0002", // reply
		"020000000001 c6120064",
		"020000000001 c6120064") // target: the sender itself
	unsolicited := packettest.Unhex(t,
		"333300000001 020000000001 86dd",   // to all nodes
		"60000000 0020 3a ff",              // 32 bytes of ICMPv6, hop limit 255
		"20010db8000000000000000000000100", // from the address itself
		"ff020000000000000000000000000001",
		"88 00 f72c 20000000", // advertisement: override
		"20010db8000000000000000000000100",
		"02 01 020000000001") // target link-layer address
	for name, tc := range map[string]struct {
		ip    netip.Addr
		brief bool
		want  [][]byte
	}{
		"IPv4":        {vip4, false, [][]byte{requestForm, replyForm}},
		"IPv4, brief": {vip4, true, [][]byte{requestForm}},
		"IPv6":        {vip6, false, [][]byte{unsolicited}},
		"IPv6, brief": {vip6, true, [][]byte{unsolicited}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := packet.Announcement(nodeHW, nodeHW, tc.ip, tc.brief)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("frames (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnnouncementOfNothing(t *testing.T) {
	if _, err := packet.Announcement(nodeHW, nodeHW, netip.Addr{}, false); err == nil {
		t.Error("no error for no address")
	}
}
