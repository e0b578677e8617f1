package arpd

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/claims"
)

// owning starts a node that owns vip4 and vip6 and whose gain announcements are
// over.
func owning(t *testing.T) (*node, *fakeSocket, *fakeSocket) {
	t.Helper()
	n, _ := start(t, newFake(t, testNIC))
	n.Set([]netip.Addr{vip4, vip6})
	n.Watch([]netip.Addr{other4, other6})
	time.Sleep(10 * time.Second)
	arp, nd := n.sys.socket(2, packet.EtherARP), n.sys.socket(2, packet.EtherIPv6)
	arp.take()
	nd.take()
	drained(n)
	return n, arp, nd
}

// announced is what another station sends for ip.
func announced(t *testing.T, mac packet.HW, ip netip.Addr) []byte {
	t.Helper()
	frames, err := packet.Announcement(mac, mac, ip, true)
	if err != nil {
		t.Fatal(err)
	}
	return frames[0]
}

func TestStrangerIsDefendedAgainst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, arp, nd := owning(t)
		begin := time.Now()
		arp.deliver(t, announced(t, strangerHW, vip4))
		nd.deliver(t, announced(t, strangerHW, vip6))
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{"0.2 request 198.18.0.100 -> ff:ff:ff:ff:ff:ff"}, arpSent(begin, arp.take())); diff != "" {
			t.Errorf("ARP defense (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"0.2 2001:db8::100 0x20 -> 33:33:00:00:00:01"}, ndSent(begin, nd.take())); diff != "" {
			t.Errorf("NDP defense (-want +got):\n%s", diff)
		}
		want := State{
			Interfaces: n.Interfaces(),
			Conflicts: []Conflict{
				{IP: vip4, MAC: strangerHW.String(), Kind: "stranger", Since: begin, Last: begin},
				{IP: vip6, MAC: strangerHW.String(), Kind: "stranger", Since: begin, Last: begin},
			},
			Yields: map[netip.Addr]string{},
			Heard:  map[netip.Addr]string{vip4: strangerHW.String(), vip6: strangerHW.String()},
			Probed: map[netip.Addr]claims.Probed{},
			Routes: n.State().Routes,
		}
		if diff := cmp.Diff(want, n.State(), compare, cmp.AllowUnexported(netif.Routes{}, netif.Link{}, netif.Network{})); diff != "" {
			t.Errorf("state (-want +got):\n%s", diff)
		}
		if got := n.counter(t, "conflicts_total", "stranger"); got != 2 {
			t.Errorf("%v conflicts counted", got)
		}
		select {
		case <-n.Changed():
		default:
			t.Error("no change signaled")
		}
	})
}

// TestStubbornStranger: somebody who insists is answered once and then only by
// the refresh, so that two who insist do not flood the link.
func TestStubbornStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, arp, _ := owning(t)
		for range 50 {
			arp.deliver(t, announced(t, strangerHW, vip4))
			time.Sleep(time.Second)
		}
		if got := arp.take(); len(got) != 1 {
			t.Errorf("%d defenses in 50 seconds: %v", len(got), arpSent(time.Now(), got))
		}
		if got := n.counter(t, "conflicts_total", ""); got != 50 {
			t.Errorf("%v frames counted", got)
		}
		time.Sleep(claims.Times().Memory + forgetEvery)
		if got := n.Conflicts(); len(got) != 0 {
			t.Errorf("conflicts after the stranger is gone: %v", got)
		}
	})
}

// TestTakeOverIsNoConflict: the successor announces before this node learns
// that it is no longer the owner.
func TestTakeOverIsNoConflict(t *testing.T) {
	for name, give := range map[string]func(*node){
		"given up":    func(n *node) { n.Set([]netip.Addr{vip6}) },
		"handed over": func(n *node) { n.Watch([]netip.Addr{vip4}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, arp, _ := owning(t)
				arp.deliver(t, announced(t, peerHW, vip4))
				time.Sleep(claims.Times().Grace / 2)
				give(n)
				time.Sleep(time.Minute)
				if got := arp.take(); len(got) != 0 {
					t.Errorf("announced: %v", arpSent(time.Now(), got))
				}
				if len(n.Conflicts()) != 0 || n.counter(t, "conflicts_total", "") != 0 {
					t.Errorf("conflicts %v", n.Conflicts())
				}
			})
		})
	}
}

// TestHandOver follows an address from owned over handed over to given up: it is
// answered until the end, not announced, and the successor is heard.
func TestHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, arp, _ := owning(t)
		arp.deliver(t, announced(t, strangerHW, vip4)) // long before
		time.Sleep(time.Minute)
		arp.take()
		n.Watch([]netip.Addr{vip4})
		if got, ok := n.Heard()[vip4]; ok {
			t.Errorf("heard %s before the successor spoke", got)
		}
		if len(n.Conflicts()) != 0 {
			t.Errorf("conflicts %v", n.Conflicts())
		}
		arp.deliver(t, request(t, peer4, vip4))
		time.Sleep(2 * time.Minute)
		if got := arp.take(); len(got) != 1 {
			t.Errorf("want the answer and nothing else, got %v", arpSent(time.Now(), got))
		}
		drained(n)
		arp.deliver(t, announced(t, peerHW, vip4))
		<-n.Changed()
		if got := n.Heard()[vip4]; got != peerHW.String() {
			t.Errorf("heard %q", got)
		}
		time.Sleep(time.Minute)
		if got := arp.take(); len(got) != 0 || len(n.Conflicts()) != 0 {
			t.Errorf("defended: %v, conflicts %v", arpSent(time.Now(), got), n.Conflicts())
		}
		n.Watch(nil) // the successor failed: ours again
		time.Sleep(time.Second)
		if got := arp.take(); len(got) < 2 {
			t.Error("not announced after it became ours again")
		}
	})
}

// TestSuccessorFasterThanTheNews: the successor announces and only then this
// node learns that it hands over. It must not wait for the next announcement;
// but what was heard long before is nobody's successor.
func TestSuccessorFasterThanTheNews(t *testing.T) {
	for name, tc := range map[string]struct {
		before time.Duration
		want   string
	}{
		"a moment before": {claims.Times().Fresh / 2, peerHW.String()},
		"long before":     {claims.Times().Fresh * 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, arp, _ := owning(t)
				arp.deliver(t, announced(t, peerHW, vip4))
				time.Sleep(tc.before)
				if got := n.State().Heard[vip4]; got != tc.want {
					t.Errorf("heard %q while it is ours, want %q", got, tc.want)
				}
				n.Watch([]netip.Addr{vip4})
				if got := n.State().Heard[vip4]; got != tc.want {
					t.Errorf("heard %q while it is handed over, want %q", got, tc.want)
				}
				n.Watch(nil)
				n.Set(nil)
				n.Set([]netip.Addr{vip4})
				if got := n.Heard()[vip4]; got != "" {
					t.Errorf("heard %q after it was gained", got)
				}
			})
		})
	}
}

func TestHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, arp, nd := owning(t)
		arp.deliver(t, announced(t, peerHW, other4))
		nd.deliver(t, announced(t, peerHW, other6))
		synctest.Wait()
		want := map[netip.Addr]string{other4: peerHW.String(), other6: peerHW.String()}
		if diff := cmp.Diff(want, n.Heard(), compare); diff != "" {
			t.Errorf("heard (-want +got):\n%s", diff)
		}
		drained(n)
		arp.deliver(t, announced(t, peerHW, other4)) // nothing new
		synctest.Wait()
		select {
		case <-n.Changed():
			t.Error("a change is signaled for the same again")
		default:
		}
		arp.deliver(t, announced(t, strangerHW, other4))
		synctest.Wait()
		if got := n.Heard()[other4]; got != strangerHW.String() {
			t.Errorf("heard %q", got)
		}
		time.Sleep(time.Hour) // a watched address is not forgotten
		n.Watch([]netip.Addr{other6})
		n.Watch([]netip.Addr{other4, other6})
		if diff := cmp.Diff(map[netip.Addr]string{other6: peerHW.String()}, n.Heard(), compare); diff != "" {
			t.Errorf("heard after a new start (-want +got):\n%s", diff)
		}
		if len(n.Conflicts()) != 0 {
			t.Errorf("conflicts about others' addresses: %v", n.Conflicts())
		}
	})
}

// TestOwnInterfacesAreNoStrangers: two interfaces on one segment hear each other.
func TestOwnInterfacesAreNoStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := nic("eth1", 3, "198.18.0.2/24")
		unused := nic("eth2", 4)
		n, _ := start(t, newFake(t, testNIC, second, unused))
		n.Set([]netip.Addr{vip4})
		time.Sleep(10 * time.Second)
		for _, mac := range []packet.HW{second.MAC, unused.MAC} {
			n.sys.socket(2, packet.EtherARP).deliver(t, announced(t, mac, vip4))
		}
		time.Sleep(time.Second)
		if len(n.Conflicts())+len(n.Heard()) != 0 {
			t.Errorf("conflicts %v, heard %v", n.Conflicts(), n.Heard())
		}
	})
}

// TestFloodOfClaimsIsBounded: of a second full of claims about an address of another node so many
// are looked at and no more, and the answer to a question is heard among them.
func TestFloodOfClaimsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := start(t, newFake(t, testNIC))
		n.Watch([]netip.Addr{other4})
		synctest.Wait()
		taken := 0
		for range 4000 { // a second, a quarter of a millisecond each
			for range 10 {
				select {
				case n.claims <- claim{kind: claimed, ip: other4, mac: strangerHW}:
					taken++
				default:
				}
			}
			time.Sleep(time.Second / 4000)
		}
		n.answers <- claim{kind: greeting, ip: peer4, mac: peerHW, says: 1}
		synctest.Wait()
		if len(n.Replies()) == 0 {
			t.Error("the answer is not heard")
		}
		if taken < claimRate || taken > 3*claimRate {
			t.Errorf("%d claims of 40,000 looked at", taken)
		}
	})
}
