package arpd

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/claims"
)

var testNIC = nic("eth0", 2, "198.18.0.1/24", "2001:db8::1/64")

// arpSent writes frames as "seconds operation sender -> destination".
func arpSent(since time.Time, frames []sentFrame) []string {
	var out []string
	for _, f := range frames {
		m, d := packet.ParseARP(f.frame)
		if d != packet.Sound {
			out = append(out, "unreadable")
			continue
		}
		form := "request"
		if m.Op == packet.OpReply {
			form = "reply"
		}
		out = append(out, fmt.Sprintf("%g %s %s -> %s", f.at.Sub(since).Seconds(), form, netip.AddrFrom4(m.SPA), m.Dst))
	}
	return out
}

func ndSent(since time.Time, frames []sentFrame) []string {
	var out []string
	for _, f := range frames {
		m, d := packet.ParseND(f.frame)
		if d != packet.Sound || m.Kind != packet.NA {
			out = append(out, "unreadable")
			continue
		}
		out = append(out, fmt.Sprintf("%g %s %#x -> %s", f.at.Sub(since).Seconds(), netip.AddrFrom16(m.Target), m.Flags, m.Dst))
	}
	return out
}

func TestGainIsAnnouncedAndRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := start(t, newFake(t, testNIC))
		synctest.Wait()
		begin := time.Now()
		n.Set([]netip.Addr{vip6, vip4})
		time.Sleep(70 * time.Second)
		arp := []string{
			"0 request 198.18.0.100 -> ff:ff:ff:ff:ff:ff", "0 reply 198.18.0.100 -> ff:ff:ff:ff:ff:ff",
			"0.2 request 198.18.0.100 -> ff:ff:ff:ff:ff:ff", "0.2 reply 198.18.0.100 -> ff:ff:ff:ff:ff:ff",
			"1.2 request 198.18.0.100 -> ff:ff:ff:ff:ff:ff", "1.2 reply 198.18.0.100 -> ff:ff:ff:ff:ff:ff",
			"3.2 request 198.18.0.100 -> ff:ff:ff:ff:ff:ff", "3.2 reply 198.18.0.100 -> ff:ff:ff:ff:ff:ff",
			"7.2 request 198.18.0.100 -> ff:ff:ff:ff:ff:ff", "7.2 reply 198.18.0.100 -> ff:ff:ff:ff:ff:ff",
			"67.2 request 198.18.0.100 -> ff:ff:ff:ff:ff:ff",
		}
		if diff := cmp.Diff(arp, arpSent(begin, n.sys.socket(2, packet.EtherARP).take())); diff != "" {
			t.Errorf("ARP (-want +got):\n%s", diff)
		}
		nd := []string{
			"0 2001:db8::100 0x20 -> 33:33:00:00:00:01", "0.2 2001:db8::100 0x20 -> 33:33:00:00:00:01",
			"1.2 2001:db8::100 0x20 -> 33:33:00:00:00:01", "3.2 2001:db8::100 0x20 -> 33:33:00:00:00:01",
			"7.2 2001:db8::100 0x20 -> 33:33:00:00:00:01", "67.2 2001:db8::100 0x20 -> 33:33:00:00:00:01",
		}
		if diff := cmp.Diff(nd, ndSent(begin, n.sys.socket(2, packet.EtherIPv6).take())); diff != "" {
			t.Errorf("NDP (-want +got):\n%s", diff)
		}
		if got := n.counter(t, "gratuitous_sent_total", ""); got != 17 {
			t.Errorf("%v announcements counted", got)
		}
	})
}

func TestQuestionsAreAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := start(t, newFake(t, testNIC))
		synctest.Wait()
		n.Set([]netip.Addr{vip4, vip6})
		n.Watch([]netip.Addr{other4, other6})
		synctest.Wait()
		arp, nd := n.sys.socket(2, packet.EtherARP), n.sys.socket(2, packet.EtherIPv6)
		arp.take()
		nd.take()
		begin := time.Now()
		for _, q := range [][]byte{
			request(t, peer4, vip4), request(t, peer4, other4), request(t, peer4, netip.MustParseAddr("198.18.0.50")), request(t, peer4, vip4),
		} {
			arp.deliver(t, q)
		}
		for _, q := range [][]byte{
			multicastSolicit(t, vip6), multicastSolicit(t, other6), with(multicastSolicit(t, vip6), 60, 1),
		} {
			nd.deliver(t, q)
		}
		synctest.Wait()
		want := []string{"0 reply 198.18.0.100 -> " + peerHW.String(), "0 reply 198.18.0.100 -> " + peerHW.String()}
		if diff := cmp.Diff(want, arpSent(begin, arp.take())); diff != "" {
			t.Errorf("ARP answers (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"0 2001:db8::100 0x60 -> " + peerHW.String()}, ndSent(begin, nd.take())); diff != "" {
			t.Errorf("NDP answers (-want +got):\n%s", diff)
		}
		for name, want := range map[string]float64{"requests_received_total": 3, "responses_sent_total": 3} {
			if got := n.counter(t, name, ""); got != want {
				t.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		if got := n.counter(t, "dropped_total", "bad_checksum"); got != 1 {
			t.Errorf("%v bad checksums counted", got)
		}
	})
}

func TestWithdrawnFallsSilentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := start(t, newFake(t, testNIC))
		n.Set([]netip.Addr{vip4, vip6})
		time.Sleep(10 * time.Second)
		arp, nd := n.sys.socket(2, packet.EtherARP), n.sys.socket(2, packet.EtherIPv6)
		n.Set([]netip.Addr{yielded4})
		arp.take()
		nd.take()
		if arp.deliver(t, request(t, peer4, vip4)) || nd.deliver(t, multicastSolicit(t, vip6)) {
			t.Error("the filter still lets questions pass")
		}
		arp.in <- request(t, peer4, vip4) // as if it had passed the filter just before
		nd.in <- multicastSolicit(t, vip6)
		time.Sleep(2 * time.Minute)
		for _, line := range arpSent(time.Now(), arp.take()) {
			if !strings.Contains(line, yielded4.String()) {
				t.Error(line)
			}
		}
		if got := nd.take(); len(got) > 0 {
			t.Errorf("%d IPv6 frames", len(got))
		}
		if got := n.counter(t, "dropped_total", "not_owned"); got != 2 {
			t.Errorf("%v drops counted", got)
		}
	})
}

func TestSetIsNormalized(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := start(t, newFake(t, testNIC))
		synctest.Wait()
		n.Set([]netip.Addr{
			netip.MustParseAddr("::ffff:198.18.0.100"), vip4, vip6.WithZone("eth0"),
			{},
			netip.IPv4Unspecified(),
			netip.MustParseAddr("224.0.0.1"), netip.MustParseAddr("ff02::1"), netip.MustParseAddr("127.0.0.1"),
		})
		n.mu.Lock()
		defer n.mu.Unlock()
		got := slices.SortedFunc(maps.Keys(n.roles), netip.Addr.Compare)
		if diff := cmp.Diff([]netip.Addr{vip4, vip6}, got, compare); diff != "" {
			t.Errorf("addresses (-want +got):\n%s", diff)
		}
	})
}

func TestAnnouncedAgain(t *testing.T) {
	gone := but(testNIC, func(l *netif.Link) { l.Flags = unix.IFF_BROADCAST })
	for name, tc := range map[string]struct {
		do   func(*node)
		want bool
	}{
		"nothing happened":                      {func(n *node) { n.sys.change(netif.Change{Index: 2}, testNIC) }, false},
		"down for a moment, unseen by any list": {func(n *node) { n.sys.change(netif.Change{Index: 2, Down: true}, testNIC) }, true},
		"another interface was down":            {func(n *node) { n.sys.change(netif.Change{Index: 9, Down: true}, testNIC) }, false},
		"socket said so": {func(n *node) {
			n.sys.socket(2, packet.EtherARP).fail <- fmt.Errorf("read packet socket: %w", unix.ENETDOWN)
		}, true},
		"down and up": {func(n *node) {
			n.sys.change(netif.Change{Index: 2, Down: true}, gone)
			time.Sleep(time.Second)
			n.sys.change(netif.Change{Index: 2}, testNIC)
		}, true},
		"another MAC": {func(n *node) {
			n.sys.change(netif.Change{Index: 2}, but(testNIC, func(l *netif.Link) { l.MAC = strangerHW }))
		}, true},
		"another address in the same network": {func(n *node) {
			n.sys.change(netif.Change{Index: 2}, nic("eth0", 2, "198.18.0.7/24", "2001:db8::1/64"))
		}, false},
		"another network": {func(n *node) {
			n.sys.change(netif.Change{Index: 2}, nic("eth0", 2, "198.18.0.1/16", "2001:db8::1/64"))
		}, true},
		"a second interface":     {func(n *node) { n.sys.change(netif.Change{Index: 3}, testNIC, nic("eth1", 3, "198.18.1.1/24")) }, true},
		"the subscription broke": {func(n *node) { n.sys.broken <- errors.New("broken") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, _ := start(t, newFake(t, testNIC))
				n.Set([]netip.Addr{vip4})
				time.Sleep(10 * time.Second)
				n.sys.socket(2, packet.EtherARP).take()
				tc.do(n)
				time.Sleep(time.Second)
				got := n.sys.socket(2, packet.EtherARP).take()
				if (len(got) > 0) != tc.want {
					t.Fatalf("announcements: %v", arpSent(time.Now(), got))
				}
				n.mu.Lock()
				mac := n.ifaces[2].link.MAC
				n.mu.Unlock()
				for _, f := range got {
					if packet.HW(f.frame[6:12]) != mac {
						t.Errorf("announced from %s, the interface has %s", packet.HW(f.frame[6:12]), mac)
					}
				}
			})
		})
	}
}

// TestDownIsNotBroken: the error that a socket gives once when its link goes down
// does not cost the socket, which lives on when the link is up again.
func TestDownIsNotBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := start(t, newFake(t, testNIC))
		n.Set([]netip.Addr{vip4})
		time.Sleep(10 * time.Second)
		s := n.sys.socket(2, packet.EtherARP)
		s.fail <- fmt.Errorf("read packet socket: %w", unix.ENETDOWN)
		time.Sleep(time.Second)
		if n.sys.socket(2, packet.EtherARP) != s || s.closed {
			t.Error("the socket was replaced")
		}
		s.take()
		s.deliver(t, request(t, peer4, vip4))
		synctest.Wait()
		if len(s.take()) != 1 {
			t.Error("no answer afterwards")
		}
	})
}

// TestBondFailover: a member of a bond that goes down may have carried its
// frames; a member of a bridge is a pod.
func TestBondFailover(t *testing.T) {
	for kind, want := range map[string]bool{"bond": true, "team": true, "bridge": false} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				master := but(nic("m0", 5, "198.18.0.1/24"), func(l *netif.Link) { l.Kind = kind })
				member := but(nic("eth0", 2), func(l *netif.Link) { l.Master = 5 })
				n, _ := start(t, newFake(t, master, member))
				n.Set([]netip.Addr{vip4})
				time.Sleep(10 * time.Second)
				n.sys.socket(5, packet.EtherARP).take()
				n.sys.change(netif.Change{Index: 2, Down: true}, master, member)
				time.Sleep(time.Second)
				if got := n.sys.socket(5, packet.EtherARP).take(); (len(got) > 0) != want {
					t.Errorf("announcements: %v", arpSent(time.Now(), got))
				}
			})
		})
	}
}

func TestTwoSegments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := start(t, newFake(t, testNIC, nic("eth1", 3, "198.18.1.1/24")))
		there, routed := netip.MustParseAddr("198.18.1.100"), netip.MustParseAddr("198.18.9.100")
		n.Set([]netip.Addr{vip4, there, routed})
		synctest.Wait()
		for index, want := range map[int]string{2: vip4.String(), 3: there.String()} {
			seen := make(map[string]bool)
			for _, f := range n.sys.socket(index, packet.EtherARP).take() {
				m, _ := packet.ParseARP(f.frame)
				seen[netip.AddrFrom4(m.SPA).String()] = true
			}
			if diff := cmp.Diff(map[string]bool{want: true, routed.String(): true}, seen); diff != "" {
				t.Errorf("interface %d (-want +got):\n%s", index, diff)
			}
		}
		if n.sys.socket(2, packet.EtherARP).deliver(t, request(t, peer4, there)) {
			t.Error("a question for the other segment passes the filter")
		}
	})
}

func TestGroupsFollowAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, stop := start(t, newFake(t, testNIC))
		members := func() []string {
			n.sys.mu.Lock()
			defer n.sys.mu.Unlock()
			return n.sys.groups.members(t)
		}
		for _, step := range []struct {
			do   func()
			want []string
		}{
			{func() { n.Set([]netip.Addr{vip4, vip6}) }, []string{"ff02::1:ff00:100"}},
			{func() { n.Watch([]netip.Addr{vip6, other6}) }, []string{"ff02::1:ff00:100"}},
			{func() { n.Set([]netip.Addr{yielded6}) }, []string{"ff02::1:ff00:102"}},
			{func() {
				n.sys.change(netif.Change{Index: 2, Down: true}, but(testNIC, func(l *netif.Link) { l.Flags = 0 }))
			}, []string{}},
			{func() { n.sys.change(netif.Change{Index: 2}, testNIC) }, []string{"ff02::1:ff00:102"}},
			{stop, []string{}},
		} {
			step.do()
			time.Sleep(claims.Times().Limit / 2)
			if diff := cmp.Diff(step.want, members()); diff != "" {
				t.Errorf("groups (-want +got):\n%s", diff)
			}
		}
	})
}

func TestNothingIsWrittenAfterRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, stop := start(t, newFake(t, testNIC))
		n.Set([]netip.Addr{vip4})
		synctest.Wait()
		stop()
		n.Set([]netip.Addr{vip4, other4})
		n.Watch([]netip.Addr{vip6})
		for key, s := range n.sys.sockets {
			if !s.closed {
				t.Errorf("socket %+v is open", key)
			}
		}
		if got := n.counter(t, "dropped_total", "write_failed"); got != 0 {
			t.Errorf("%v writes to closed sockets", got)
		}
	})
}

func TestFullQueueIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := start(t, newFake(t, testNIC))
		synctest.Wait()
		s := n.sys.socket(2, packet.EtherARP)
		s.mu.Lock()
		s.full = true
		s.mu.Unlock()
		n.Set([]netip.Addr{vip4})
		synctest.Wait()
		s.deliver(t, request(t, peer4, vip4))
		synctest.Wait()
		if got := n.counter(t, "dropped_total", "write_failed"); got != 3 { // two announcements, one answer
			t.Errorf("%v failures counted", got)
		}
		if got := n.counter(t, "responses_sent_total", "") + n.counter(t, "gratuitous_sent_total", ""); got != 0 {
			t.Errorf("%v frames counted as sent", got)
		}
	})
}
