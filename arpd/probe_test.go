package arpd

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/claims"
)

// TestProbing runs the whole responder: who has an address is found out by the
// frames that a station of that kind sends.
func TestProbing(t *testing.T) {
	for _, tc := range []struct {
		name   string
		ip     netip.Addr
		answer func(t *testing.T) []byte
		mac    string
	}{
		{"nobody has it", vip4, nil, ""},
		{"a host answers", vip4, func(t *testing.T) []byte {
			return arpFrame(t, testNIC.MAC, strangerHW, packet.OpReply, strangerHW, vip4, testNIC.MAC, netip.IPv4Unspecified())
		}, strangerHW.String()},
		{"a host announces it", vip4, func(t *testing.T) []byte { return announced(t, strangerHW, vip4) }, strangerHW.String()},
		{"a host tries it out, too", vip4, func(t *testing.T) []byte { return probing(t, strangerHW) }, strangerHW.String()},
		{"nobody has it, IPv6", vip6, nil, ""},
		{"a host answers, IPv6", vip6, func(t *testing.T) []byte { return announced(t, strangerHW, vip6) }, strangerHW.String()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, _ := start(t, newFake(t, testNIC))
				synctest.Wait()
				n.Probe([]netip.Addr{tc.ip})
				synctest.Wait()
				s := n.sys.socket(testNIC.Index, packet.EtherARP)
				if tc.ip.Is6() {
					s = n.sys.socket(testNIC.Index, packet.EtherIPv6)
				}
				if tc.answer != nil && !s.deliver(t, tc.answer(t)) {
					t.Fatal("the filter holds the answer back")
				}
				synctest.Wait()
				if got := n.State().Probed[tc.ip]; got.Known != (tc.answer != nil) {
					t.Errorf("at once: %+v", got)
				}
				time.Sleep(claims.Shortened().Longest())
				synctest.Wait()
				if got := n.State().Probed[tc.ip]; !got.Known || got.MAC != tc.mac {
					t.Errorf("after %v: %+v", claims.Shortened().Longest(), got)
				}
				sent, tries := s.take(), claims.Shortened().Tries
				if got := n.counter(t, "probes_sent_total", ""); len(sent) != tries || got != float64(tries) {
					t.Errorf("%d probes sent, %v counted", len(sent), got)
				}
			})
		})
	}
}

// probing is the probe of a station for vip4.
func probing(t *testing.T, mac packet.HW) []byte {
	return arpFrame(t, packet.Broadcast, mac, packet.OpRequest, mac, netip.IPv4Unspecified(), packet.HW{}, vip4)
}

// TestProbesThatMeet: the probe of another host is no claim when it is one of this
// cluster, who may pick for the pool as well, nor once the address is known.
func TestProbesThatMeet(t *testing.T) {
	question := func(t *testing.T) []byte { return request(t, peer4, vip4) }
	for _, tc := range []struct {
		name  string
		after time.Duration
		frame func(t *testing.T) []byte
		mac   string
	}{
		{"a stranger's", 0, func(t *testing.T) []byte { return probing(t, strangerHW) }, strangerHW.String()},
		{"a stranger's, at the last moment", claims.Shortened().Longest() / 2, func(t *testing.T) []byte { return probing(t, strangerHW) }, strangerHW.String()},
		{"a stranger's, later", time.Second, func(t *testing.T) []byte { return probing(t, strangerHW) }, ""},
		{"a member's", 0, func(t *testing.T) []byte { return probing(t, peerHW) }, ""},
		{"of a speaker that only the wire knows", 0, func(t *testing.T) []byte { return probing(t, packet.HW{2, 9, 9}) }, ""},
		{"a mere question", 0, question, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, _ := start(t, newFake(t, testNIC))
				n.SetPeers(Peers{MACs: map[string]string{peerHW.String(): "peer"}, Speakers: []string{packet.HW{2, 9, 9}.String()}})
				synctest.Wait()
				n.Probe([]netip.Addr{vip4})
				time.Sleep(tc.after)
				arp := n.sys.socket(testNIC.Index, packet.EtherARP)
				if !arp.deliver(t, tc.frame(t)) {
					t.Fatal("the filter holds it back")
				}
				time.Sleep(time.Second)
				if got := n.State().Probed[vip4]; !got.Known || got.MAC != tc.mac {
					t.Errorf("%+v", got)
				}
				n.Set([]netip.Addr{vip4})
				n.Probe(nil)
				arp.deliver(t, tc.frame(t))
				time.Sleep(time.Second)
				if len(n.Conflicts())+len(n.Heard()) != 0 {
					t.Errorf("a probe for an own address counts: %v %v", n.Conflicts(), n.Heard())
				}
			})
		})
	}
}

// TestProbeOfOwned: what is owned or watched is not probed, and a stranger that
// was seen at an address is remembered when the address is given up.
func TestProbeOfOwned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, arp, _ := owning(t)
		n.Probe([]netip.Addr{vip4, other4})
		arp.take()
		time.Sleep(time.Second)
		for _, f := range arp.take() {
			if m, _ := packet.ParseARP(f.frame); m.SPA == [4]byte{} && m.TPA == vip4.As4() {
				t.Error("an own address was probed")
			}
		}
		arp.deliver(t, announced(t, strangerHW, vip4))
		time.Sleep(time.Second)
		n.Set(nil)
		n.Probe(nil)
		if got := n.State().Probed[vip4]; !got.Known || got.MAC != strangerHW.String() {
			t.Errorf("the stranger is forgotten: %+v", got)
		}
		if !arp.deliver(t, announced(t, strangerHW, vip4)) {
			t.Error("nobody listens for the stranger any more")
		}
	})
}

// TestProbeOfThisNode: the kernel does not answer its own node, so its addresses
// are known without asking.
func TestProbeOfThisNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := testNIC
		l.Own = []netip.Addr{vip4}
		n, _ := start(t, newFake(t, l))
		synctest.Wait()
		n.Probe([]netip.Addr{vip4})
		if got := n.State().Probed[vip4]; !got.Known || got.MAC != l.MAC.String() {
			t.Errorf("%+v", got)
		}
	})
}
