package arpd

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// patrolling starts a node that asks for its own addresses, and lets the
// announcements of their gain pass.
func patrolling(t *testing.T, own ...netip.Addr) (n *node, arp, nd *fakeSocket) {
	t.Helper()
	n, _ = startWith(t, Config{Patrol: 30 * time.Second, Refresh: -1}, newFake(t, testNIC))
	synctest.Wait() // until it has seen that there is no address yet
	n.Set(own)
	n.Watch([]netip.Addr{other4, other6})
	time.Sleep(10 * time.Second)
	arp, nd = n.sys.socket(2, etherARP), n.sys.socket(2, etherIPv6)
	arp.take()
	nd.take()
	drained(n)
	return n, arp, nd
}

// TestPatrolAsks: each own address in turn, those of others not at all.
func TestPatrolAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		_, arp, nd := patrolling(t, vip4, vip6)
		time.Sleep(2*time.Minute + 10*time.Second)
		var got []string
		for _, f := range append(arp.take(), nd.take()...) {
			got = append(got, fmt.Sprintf("%gs %s", f.at.Sub(begin).Seconds(), asksFor(f.frame)))
		}
		ns := fmt.Sprintf(" 2001:db8::100 of ff02::1:ff00:100 from %s at %s", linkLocal(testNIC.mac), testNIC.mac)
		want := []string{
			"30s 198.18.0.100 of everybody from 0.0.0.0", "60s 198.18.0.100 of everybody from 0.0.0.0",
			"90s 198.18.0.100 of everybody from 0.0.0.0", "120s 198.18.0.100 of everybody from 0.0.0.0",
			"45s" + ns, "75s" + ns, "105s" + ns, "135s" + ns,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("questions (-want +got):\n%s", diff)
		}
	})
}

// TestPatrolStaysOnTheNetwork: of a routed address a router says that it has it, so nobody is asked.
func TestPatrolStaysOnTheNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		routed := netip.MustParseAddr("198.51.100.1")
		_, arp, _ := patrolling(t, vip4, routed)
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
	if m, d := parseARP(frame); d == kept && m.op == arpRequest && m.dst == broadcastHW {
		return fmt.Sprintf("%s of everybody from %s", netip.AddrFrom4(m.tpa), netip.AddrFrom4(m.spa))
	}
	m, d := parseND(frame)
	if d != kept || m.kind != typeNS || m.dst != multicastHW(m.to) || m.asker {
		return "no question for everybody"
	}
	return fmt.Sprintf("%s of %s from %s at %s", netip.AddrFrom16(m.target), netip.AddrFrom16(m.to), netip.AddrFrom16(m.from), m.lla)
}

// TestPatrolPace: many addresses are each asked for, and no faster than the pace.
func TestPatrolPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		own := make([]netip.Addr, 10_000)
		for i := range own {
			own[i] = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 14: byte(64 + i/256), 15: byte(i)})
		}
		_, _, nd := patrolling(t, own...)
		time.Sleep(20*time.Second + patrolLeast/2) // between two questions
		nd.take()
		round := time.Duration(len(own)) * patrolLeast
		time.Sleep(round)
		asked := map[string]int{}
		frames := nd.take()
		for _, f := range frames {
			asked[asksFor(f.frame)]++
		}
		if len(asked) != len(own) || len(frames) > len(own)+1 {
			t.Errorf("%d addresses in %d questions in %s, want each of %d once", len(asked), len(frames), round, len(own))
		}
	})
}

// repliesTo are the answers of a station's kernel to the questions for both
// addresses.
func repliesTo(t *testing.T, mac hw) (arp, nd []byte) {
	t.Helper()
	arp = arpFrame(t, testNIC.mac, mac, arpReply, mac, vip4, testNIC.mac, netip.IPv4Unspecified())
	return arp, advertise(t, testNIC.mac, mac, linkLocal(testNIC.mac), vip6, true)
}

// TestPatrolFindsStrangers: a station that only answers is found and defended
// against, and a node of the cluster whose kernel answers is no news.
func TestPatrolFindsStrangers(t *testing.T) {
	for name, tc := range map[string]struct {
		mac  hw
		want int // conflicts
	}{
		"a stranger": {strangerHW, 2},
		"a member":   {peerHW, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, arp, nd := patrolling(t, vip4, vip6)
				n.Meet(Company{Peers: []string{peerHW.String()}})
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

// TestPatrolNever: a negative time means that nobody is asked.
func TestPatrolNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := startWith(t, Config{Patrol: -1, Refresh: -1}, newFake(t, testNIC))
		n.Set([]netip.Addr{vip4})
		time.Sleep(time.Hour)
		if got := n.counter(t, "probes_sent_total", ""); got != 0 {
			t.Errorf("%v questions", got)
		}
	})
}
