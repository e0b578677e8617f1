package arpd

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
)

func TestProblems(t *testing.T) {
	down := func(l *netif.Link) { l.Flags = unix.IFF_BROADCAST }
	for name, tc := range map[string]struct {
		patterns []string
		links    []netif.Link
		prepare  func(*fakeSystem)
		want     []string
	}{
		"none": {nil, []netif.Link{testNIC}, nil, nil},
		"no NET_RAW": {
			nil,
			[]netif.Link{testNIC},
			func(f *fakeSystem) { f.refuse[2] = unix.EPERM },
			[]string{"missing NET_RAW: open packet socket: operation not permitted"},
		},
		"not there":        {[]string{"eth9"}, []netif.Link{testNIC}, nil, []string{"no interface matches eth9"}},
		"none of two":      {[]string{"eth8", "eth9*", "!eth1"}, []netif.Link{testNIC}, nil, []string{"no interface matches eth8, eth9*"}},
		"asked for, down":  {[]string{"eth0"}, []netif.Link{but(testNIC, down)}, nil, []string{"no usable interface: eth0: down"}},
		"automatic, down":  {nil, []netif.Link{but(testNIC, down), nic("veth1", 3)}, nil, []string{"no usable interface: eth0: down"}},
		"nothing at all":   {nil, nil, nil, []string{"no usable interface"}},
		"only containers":  {nil, []netif.Link{nic("veth1", 3), nic("cni0", 4, "198.18.7.1/24")}, nil, []string{"no usable interface"}},
		"one of two fails": {nil, []netif.Link{testNIC, nic("eth1", 3, "198.18.1.1/24")}, func(f *fakeSystem) { f.refuse[3] = unix.ENOMEM }, nil},
		"the only one fails": {
			nil,
			[]netif.Link{testNIC},
			func(f *fakeSystem) { f.refuse[2] = unix.ENOMEM },
			[]string{"no usable interface: eth0: open packet socket: cannot allocate memory"},
		},
		"netlink fails": {
			nil,
			[]netif.Link{testNIC},
			func(f *fakeSystem) { f.listErr = unix.EMFILE },
			[]string{"cannot list interfaces: too many open files"},
		},
		"groups fail": {nil, []netif.Link{testNIC}, func(f *fakeSystem) {
			f.groups.failing = map[netip.Addr]error{packet.SolicitedNode(vip6): fmt.Errorf("join: %w", unix.ENODEV)}
		}, []string{"IPv6 neighbors cannot ask on eth0: join: no such device"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := newFake(t, tc.links...)
				if tc.prepare != nil {
					tc.prepare(sys)
				}
				n, _ := start(t, sys, tc.patterns...)
				n.Set([]netip.Addr{vip4, vip6})
				time.Sleep(time.Second)
				if diff := cmp.Diff(tc.want, n.words()); diff != "" {
					t.Errorf("problems (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestProblemsBeforeRun(t *testing.T) {
	r, err := newResponder(Config{}, newFake(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"interfaces are not known yet"}, r.words()); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	r.Set([]netip.Addr{vip4})
	r.Watch([]netip.Addr{other4})
	if len(r.Interfaces())+len(r.Conflicts())+len(r.Heard()) != 0 {
		t.Error("knows something before it ran")
	}
}

func TestNewRefuses(t *testing.T) {
	if _, err := New(Config{Interfaces: []string{"eth["}}); err == nil {
		t.Error("takes a bad pattern")
	}
}

// TestOneBadInterface: a failure of one is shown, retried ever more slowly, and
// harms nobody else.
func TestOneBadInterface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := nic("eth1", 3, "198.18.1.1/24")
		sys := newFake(t, testNIC, bad)
		sys.refuse[3] = unix.ENOMEM
		n, _ := start(t, sys)
		time.Sleep(time.Minute)
		got := n.Interfaces()
		want := []netif.Interface{
			{Name: "eth0", Index: 2, MAC: testNIC.MAC.String(), Prefixes: testNIC.Prefixes(), Used: true},
			{Name: "eth1", Index: 3, MAC: bad.MAC.String(), Prefixes: bad.Prefixes(), Reason: "open packet socket: cannot allocate memory"},
		}
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Errorf("interfaces (-want +got):\n%s", diff)
		}
		sys.set(func() {
			if tries := sys.opened - 2; tries < 5 || tries > 12 {
				t.Errorf("%d attempts in a minute", tries)
			}
			delete(sys.refuse, 3)
		})
		n.Set([]netip.Addr{netip.MustParseAddr("198.18.1.100")})
		time.Sleep(time.Minute)
		if i := n.Interfaces()[1]; !i.Used || i.Reason != "" {
			t.Errorf("after the cause is gone: %+v", i)
		}
		if len(n.sys.socket(3, packet.EtherARP).take()) == 0 {
			t.Error("no announcement on the interface that came back")
		}
	})
}

// TestRetryAtOnceWhenTheInterfaceChanges: what failed while a link was being set
// up is not left waiting.
func TestRetryAtOnceWhenTheInterfaceChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := newFake(t, testNIC)
		sys.refuse[2] = unix.ENXIO
		n, _ := start(t, sys)
		time.Sleep(time.Minute)
		sys.set(func() { delete(sys.refuse, 2) })
		sys.change(netif.Change{Index: 2}, but(testNIC, func(l *netif.Link) { l.MAC = strangerHW }))
		time.Sleep(rescanRest)
		synctest.Wait()
		if i := n.Interfaces()[0]; !i.Used {
			t.Errorf("not used: %s", i.Reason)
		}
	})
}

// TestBrokenSocket: a reader that fails is replaced, and after it addresses are
// announced anew.
func TestBrokenSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := start(t, newFake(t, testNIC))
		n.Set([]netip.Addr{vip4})
		time.Sleep(10 * time.Second)
		old := n.sys.socket(2, packet.EtherARP)
		old.fail <- errors.New("read packet socket: out of order")
		synctest.Wait()
		time.Sleep(retryFirst + rescanRest)
		fresh := n.sys.socket(2, packet.EtherARP)
		if fresh == old || !old.closed {
			t.Fatal("the socket was not replaced")
		}
		if !fresh.deliver(t, request(t, peer4, vip4)) {
			t.Error("the new socket has no filter")
		}
		synctest.Wait()
		if len(fresh.take()) < 3 { // two announcements and the answer
			t.Error("no announcement after the failure")
		}
	})
}

// TestInterfaceReplaced: an interface is removed and another takes its name and
// index before any list is made. Sockets of the old one would be deaf forever.
func TestInterfaceReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := start(t, newFake(t, testNIC))
		n.Set([]netip.Addr{vip4})
		time.Sleep(10 * time.Second)
		old := n.sys.socket(2, packet.EtherARP)
		n.sys.change(netif.Change{Index: 2, Down: true, Gone: true}, testNIC)
		synctest.Wait() // at once: a removal is no failure that is retried later
		fresh := n.sys.socket(2, packet.EtherARP)
		if fresh == old {
			t.Fatal("the socket was not replaced")
		}
		time.Sleep(rescanRest)
		if !old.closed {
			t.Error("the old socket is open")
		}
		if len(fresh.take()) == 0 || !fresh.deliver(t, request(t, peer4, vip4)) {
			t.Error("the new socket does not speak")
		}
	})
}

func TestInterfaceAddedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := start(t, newFake(t))
		n.Set([]netip.Addr{vip4})
		time.Sleep(10 * time.Second)
		drained(n)
		n.sys.change(netif.Change{Index: 2}, testNIC)
		begin := time.Now()
		<-n.Changed()
		synctest.Wait()
		if d := time.Since(begin); d > rescanRest {
			t.Errorf("took %v", d)
		}
		if len(n.words()) != 0 || !n.Interfaces()[0].Used {
			t.Errorf("problems %v, interfaces %+v", n.words(), n.Interfaces())
		}
		if got := n.sys.socket(2, packet.EtherARP).take(); len(got) == 0 {
			t.Error("nothing announced")
		}
	})
}

// TestBurstOfEvents: a hundred events in a moment are a few lists, and without
// any event the list is still made from time to time.
func TestBurstOfEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := start(t, newFake(t, testNIC))
		time.Sleep(time.Second)
		lists := func() (count int) { n.sys.set(func() { count = n.sys.lists }); return count }
		before := lists()
		for range 100 {
			n.sys.events <- netif.Change{Index: 9}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		if got := lists() - before; got < 2 || got > 8 {
			t.Errorf("%d lists for a burst of 100 ms", got)
		}
		before = lists()
		time.Sleep(5 * time.Minute)
		if got := lists() - before; got < 9 || got > 11 {
			t.Errorf("%d lists in five quiet minutes", got)
		}
	})
}

// TestSubscriptionIsRenewed: events are followed again after netlink broke.
func TestSubscriptionIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := start(t, newFake(t, testNIC))
		for range 3 {
			n.sys.broken <- errors.New("no buffer space available")
			time.Sleep(time.Second)
		}
		n.sys.change(netif.Change{Index: 2, Down: true}, but(testNIC, func(l *netif.Link) { l.Flags = 0 }))
		time.Sleep(rescanRest)
		synctest.Wait()
		if i := n.Interfaces()[0]; i.Used || i.Reason != "down" {
			t.Errorf("the event was not followed: %+v", i)
		}
	})
}

// TestNetlinkFailsInPassing: a list that fails once is no problem, and what was
// known stays.
func TestNetlinkFailsInPassing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := start(t, newFake(t, testNIC))
		time.Sleep(time.Second)
		n.sys.set(func() { n.sys.listErr = errors.New("dump interrupted") })
		n.sys.events <- netif.Change{Index: 2}
		time.Sleep(retryFirst)
		if len(n.words()) != 0 || len(n.Interfaces()) != 1 {
			t.Errorf("problems %v, interfaces %+v", n.words(), n.Interfaces())
		}
		time.Sleep(10 * time.Second)
		if diff := cmp.Diff([]string{"cannot list interfaces: dump interrupted"}, n.words()); diff != "" {
			t.Errorf("problems (-want +got):\n%s", diff)
		}
		n.sys.set(func() { n.sys.listErr = nil })
		time.Sleep(rescanEvery)
		if len(n.words()) != 0 {
			t.Errorf("problems %v", n.words())
		}
	})
}

func TestInterfacesIsACopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _ := start(t, newFake(t, testNIC))
		synctest.Wait()
		n.Interfaces()[0].Prefixes[0] = netip.Prefix{}
		if got := n.Interfaces()[0].Prefixes; got[0] != testNIC.Prefixes()[0] {
			t.Errorf("prefixes %v", got)
		}
	})
}

// drained empties the change signal.
func drained(n *node) {
	synctest.Wait()
	select {
	case <-n.Changed():
	default:
	}
}

// words are those of the conditions that keep the node from answering.
func (r *Responder) words() (words []string) {
	for _, c := range r.State().Conditions {
		if c.Code.Rule().Unready {
			words = append(words, c.Words)
		}
	}
	return words
}
