package probe

import (
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func station() Station {
	return Station{
		MAC: net.HardwareAddr{2, 0, 0, 0, 0, 0x64},
		IP4: netip.MustParseAddr("198.18.0.100"), IP6: netip.MustParseAddr("2001:db8:18::100"),
	}
}

func TestParse(t *testing.T) {
	vip := netip.MustParseAddr("198.18.64.1")
	request := arpRequest(station(), vip)
	reply := answerARP(request, net.HardwareAddr{2, 0, 0, 0, 0, 9}, vip)
	probe := append([]byte{}, request...)
	copy(probe[28:32], []byte{0, 0, 0, 0})
	vip6 := netip.MustParseAddr("2001:db8:18::4:1")
	tests := []struct {
		name  string
		frame []byte
		want  Claim
		ok    bool
	}{
		{"a request claims the sender's own address", request, Claim{IP: station().IP4, MAC: "02:00:00:00:00:64", Kind: "arp-request"}, true},
		{"a reply", reply, Claim{IP: vip, MAC: "02:00:00:00:00:09", Kind: "arp-reply"}, true},
		{"a probe claims nothing", probe, Claim{}, false},
		{"a short request", request[:30], Claim{}, false},
		{"an unknown operation", changed(request, 21, 9), Claim{}, false},
		{"not of Ethernet", changed(request, 18, 8), Claim{}, false},
		{"a solicitation claims nothing", solicitation(station(), vip6), Claim{}, false},
		{"an advertisement", advertisement(vip6, net.HardwareAddr{2, 0, 0, 0, 0, 9}), Claim{IP: vip6, MAC: "02:00:00:00:00:09", Kind: "na"}, true},
		{"an advertisement without option", advertisement(vip6, nil), Claim{IP: vip6, MAC: "02:00:00:00:00:07", Kind: "na"}, true},
		{"an option of length zero", append(advertisement(vip6, nil), 2, 0, 0, 0, 0, 0, 0, 0), Claim{IP: vip6, MAC: "02:00:00:00:00:07", Kind: "na"}, true},
		{"an option longer than the frame", append(advertisement(vip6, nil), 9, 200, 0, 0, 0, 0, 0, 0), Claim{IP: vip6, MAC: "02:00:00:00:00:07", Kind: "na"}, true},
		{"something else", changed(request, 12, 0x86), Claim{}, false},
		{"nothing", nil, Claim{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parse(tt.frame)
			if ok != tt.ok {
				t.Fatalf("claim is %v, want %v", ok, tt.ok)
			}
			if ok {
				if diff := cmp.Diff(tt.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
					t.Error("(-want +got)", diff)
				}
			}
		})
	}
}

func changed(frame []byte, at int, value byte) []byte {
	frame = append([]byte{}, frame...)
	frame[at] = value
	return frame
}

// answerARP turns a request into the reply of that station.
func answerARP(request []byte, mac net.HardwareAddr, ip netip.Addr) []byte {
	reply := changed(request, 21, 2)
	copy(reply[22:], mac)
	own := ip.As4()
	copy(reply[28:], own[:])
	return reply
}

// advertisement is a frame from 02:00:00:00:00:07 about the target, with the MAC as option unless
// nil.
func advertisement(target netip.Addr, mac net.HardwareAddr) []byte {
	frame := append([]byte{0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 7, 0x86, 0xdd}, make([]byte, 64)...)
	ip := frame[14:]
	ip[6], ip[40] = 58, 136
	as16 := target.As16()
	copy(ip[48:], as16[:])
	if mac != nil {
		frame = append(append(frame, 2, 1), mac...)
	}
	return frame
}

// TestSolicitation holds the frame against RFC 4861, 4.3 and RFC 2464, 7; the checksum must add up
// to zero.
func TestSolicitation(t *testing.T) {
	s, target := station(), netip.MustParseAddr("2001:db8:18::4:1")
	frame := solicitation(s, target)
	if len(frame) != 14+40+32 {
		t.Fatalf("frame has %d bytes", len(frame))
	}
	if diff := cmp.Diff([]byte{0x33, 0x33, 0xff, 4, 0, 1}, frame[:6]); diff != "" {
		t.Error("target of the frame (-want +got)", diff)
	}
	if got := netip.AddrFrom16([16]byte(frame[38:54])); got != netip.MustParseAddr("ff02::1:ff04:1") {
		t.Errorf("group is %s", got)
	}
	if frame[21] != 255 {
		t.Errorf("hop limit is %d", frame[21])
	}
	if got := checksum(frame[22:38], frame[38:54], frame[54:]); got != 0 {
		t.Errorf("checksum is off by %#x", got)
	}
}
