package arpd

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/claims"
)

// rechecking starts a node that has had its addresses for long and asks for them every half minute,
// and lets what came before pass.
func rechecking(t *testing.T, own ...netip.Addr) (n *node, arp, nd *fakeSocket) {
	t.Helper()
	n, arp, nd = gaining(t, own...)
	time.Sleep(claims.Rechecking().Young + 10*time.Second)
	arp.take()
	nd.take()
	drained(n)
	return n, arp, nd
}

// gaining starts a node that has just got its addresses.
func gaining(t *testing.T, own ...netip.Addr) (n *node, arp, nd *fakeSocket) {
	t.Helper()
	n, _ = startWith(t, Config{Recheck: 30 * time.Second, Refresh: -1}, newFake(t, testNIC))
	synctest.Wait() // until it has seen that there is no address yet
	n.Watch([]netip.Addr{other4, other6})
	n.Set(own)
	synctest.Wait()
	return n, n.sys.socket(2, packet.EtherARP), n.sys.socket(2, packet.EtherIPv6)
}

// TestRecheckAsks: for each own address at once when it is gained, every 10 s while it is new, and
// then now and then; for those of others not at all.
func TestRecheckAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		_, arp, nd := gaining(t, vip4, vip6)
		time.Sleep(25 * time.Second)
		frames := questionsIn(append(arp.take(), nd.take()...))
		time.Sleep(claims.Rechecking().Young)
		arp.take()
		nd.take()
		time.Sleep(time.Minute)
		frames = append(frames, append(arp.take(), nd.take()...)...)
		ns := fmt.Sprintf(" 2001:db8::100 of ff02::1:ff00:100 from %s at %s", packet.LinkLocal(testNIC.MAC), testNIC.MAC)
		want := []string{
			"0s 198.18.0.100 of everybody from 0.0.0.0", "0.25s 198.18.0.100 of everybody from 0.0.0.0",
			"0.5s 198.18.0.100 of everybody from 0.0.0.0", "10.5s 198.18.0.100 of everybody from 0.0.0.0", "20.5s 198.18.0.100 of everybody from 0.0.0.0",
			"0.001s" + ns, "0.251s" + ns, "0.501s" + ns, "10.51s" + ns, "20.51s" + ns,
			"630.5s 198.18.0.100 of everybody from 0.0.0.0", "660.5s 198.18.0.100 of everybody from 0.0.0.0", "630.51s" + ns, "660.51s" + ns,
		}
		if diff := cmp.Diff(want, secondsOf(frames, begin)); diff != "" {
			t.Errorf("questions (-want +got):\n%s", diff)
		}
	})
}

// questionsIn leaves out announcements.
func questionsIn(frames []sentFrame) []sentFrame {
	return slices.DeleteFunc(frames, func(f sentFrame) bool {
		return asksFor(f.frame) == "no question for everybody" || isAnnouncement(f.frame)
	})
}

// isAnnouncement reports whether the sender of a frame is its target.
func isAnnouncement(frame []byte) bool {
	m, d := packet.ParseARP(frame)
	return d == packet.Sound && m.SPA == m.TPA
}

// TestRecheckStaysOnTheNetwork: of a routed address a router says that it has it, so nobody is
// asked.
func TestRecheckStaysOnTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		routed := netip.MustParseAddr("198.51.100.1")
		_, arp, _ := rechecking(t, vip4, routed)
		time.Sleep(2 * time.Minute)
		asked := map[string]bool{}
		for _, f := range arp.take() {
			asked[asksFor(f.frame)] = true
		}
		if diff := cmp.Diff(map[string]bool{"198.18.0.100 of everybody from 0.0.0.0": true}, asked); diff != "" {
			t.Errorf("questions (-want +got):\n%s", diff)
		}
	})
}

// asksFor reads a question for an address.
func asksFor(frame []byte) string {
	if m, d := packet.ParseARP(frame); d == packet.Sound && m.Op == packet.OpRequest && m.Dst == packet.Broadcast {
		return fmt.Sprintf("%s of everybody from %s", netip.AddrFrom4(m.TPA), netip.AddrFrom4(m.SPA))
	}
	m, d := packet.ParseND(frame)
	if d != packet.Sound || m.Kind != packet.NS || m.Dst != packet.Multicast(m.To) || m.Asker {
		return "no question for everybody"
	}
	return fmt.Sprintf("%s of %s from %s at %s", netip.AddrFrom16(m.Target), netip.AddrFrom16(m.To), netip.AddrFrom16(m.From), m.LLA)
}

// repliesTo are the answers of a station's kernel to the questions for both
// addresses.
func repliesTo(t *testing.T, mac packet.HW) (arp, nd []byte) {
	t.Helper()
	arp = arpFrame(t, testNIC.MAC, mac, packet.OpReply, mac, vip4, testNIC.MAC, netip.IPv4Unspecified())
	return arp, advertise(t, testNIC.MAC, mac, packet.LinkLocal(testNIC.MAC), vip6, true)
}

// TestRecheckFindsStrangers: a station that only answers is found and defended
// against, and a node of the cluster whose kernel answers is no news.
func TestRecheckFindsStrangers(t *testing.T) {
	for name, tc := range map[string]struct {
		mac  packet.HW
		want int // conflicts
	}{
		"a stranger": {strangerHW, 2},
		"a member":   {peerHW, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, arp, nd := rechecking(t, vip4, vip6)
				n.SetPeers(Peers{MACs: map[string]string{peerHW.String(): "peer"}})
				arpReply, ndReply := repliesTo(t, tc.mac)
				for range 3 {
					if !arp.deliver(t, arpReply) || !nd.deliver(t, ndReply) {
						t.Fatal("the filter holds the answers back")
					}
					time.Sleep(time.Second)
				}
				var got []string
				for _, c := range n.Conflicts() {
					got = append(got, fmt.Sprintf("%s %s %s", c.IP, c.Kind, c.MAC))
				}
				if len(got) != tc.want {
					t.Errorf("conflicts %q, want %d", got, tc.want)
				}
				if heard := n.Heard(); len(heard) != tc.want {
					t.Errorf("heard %v, want %d", heard, tc.want)
				}
				if sum := n.counter(t, "conflicts_total", ""); sum != float64(3*tc.want) {
					t.Errorf("%v frames counted as conflicts, want %d", sum, 3*tc.want)
				}
			})
		})
	}
}

// TestRecheckNever: a negative time means that nobody is asked.
func TestRecheckNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := startWith(t, Config{Recheck: -1, Refresh: -1}, newFake(t, testNIC))
		n.Set([]netip.Addr{vip4})
		time.Sleep(time.Hour)
		if got := n.counter(t, "probes_sent_total", ""); got != 0 {
			t.Errorf("%v questions", got)
		}
	})
}

// secondsOf are the times of frames from begin on, with what they ask for.
func secondsOf(frames []sentFrame, begin time.Time) (out []string) {
	for _, f := range frames {
		out = append(out, fmt.Sprintf("%gs %s", f.at.Sub(begin).Seconds(), asksFor(f.frame)))
	}
	return out
}
