package arpd

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lantest"
)

// cards is a node with two interfaces on the network of its peer.
type cards struct {
	*pair
	ports  [2]string // of the switch
	macs   [2]packet.HW
	fences [2][]netip.Addr // addresses that one of the interfaces alone announces, of either family
}

const (
	// failover is how long the other interface may take.
	failover = 50 * time.Millisecond
	rounds   = 5
)

// newCards has eth0 and eth1 announce vip4 and vip6. The kernel reaches the network
// by the first one that was there.
func newCards(t *testing.T) *cards {
	t.Helper()
	p := newPair(t)
	c := &cards{pair: p, ports: [2]string{"p0", ""}}
	c.ports[1] = p.plug(p.node, "eth1", "198.18.0.3/24", "2001:db8::3/64")
	c.macs = [2]packet.HW{p.node.mac("eth0"), p.node.mac("eth1")}
	p.speaker.await("both interfaces", func() bool { return p.speaker.used() == 2 })
	own := []netip.Addr{vip4, vip6}
	var limits []netif.Limit
	for i, name := range []string{"eth0", "eth1"} {
		c.fences[i] = []netip.Addr{netip.AddrFrom4([4]byte{198, 18, 0, byte(201 + i)}), netip.AddrFrom16([16]byte{0: 0x20, 1: 0x01, 2: 0x0d, 3: 0xb8, 15: byte(0xf1 + i)})}
		limits = append(limits, netif.Limit{Interfaces: []string{name}, VIPs: c.fences[i]})
		own = append(own, c.fences[i]...)
	}
	p.speaker.SetLimits(limits)
	p.speaker.Set(own)
	return c
}

// routed are addresses on no network of the node.
var routed = []netip.Addr{netip.MustParseAddr("198.18.9.9"), netip.MustParseAddr("2001:db8:9::9")}

// by tells which interface sent a frame, -1: none.
func (c *cards) by(f []byte) int { return slices.Index(c.macs[:], packet.HW(f[6:12])) }

// answeredBy asks for an address and then for what each interface alone announces,
// and returns the interfaces that answered for the address: readers work in order.
func (c *cards) answeredBy(ip netip.Addr) (by []int) {
	c.T.Helper()
	family := 0
	if ip.Is6() {
		family = 1
	}
	waiting := map[int]bool{}
	c.ask(ip)
	for i, name := range []string{"eth0", "eth1"} {
		if c.node.Link(name).Attrs().OperState == netlink.OperUp {
			waiting[i] = true
			c.ask(c.fences[i][family])
		}
	}
	c.wire.expect("the answers of both interfaces", func(f []byte) bool {
		i := c.by(f)
		if i < 0 || packet.HW(f[:6]) != c.wire.mac {
			return false
		}
		switch {
		case isAnswer(c.macs[i], ip)(f):
			by = append(by, i)
		case isAnswer(c.macs[i], c.fences[i][family])(f):
			delete(waiting, i)
		}
		return len(waiting) == 0
	})
	return by
}

// only fails unless one interface alone answers for both addresses.
func (c *cards) only(want int) {
	c.T.Helper()
	for _, ip := range []netip.Addr{vip4, vip6} {
		if got := c.answeredBy(ip); !slices.Equal(got, []int{want}) {
			c.T.Errorf("%s is answered by %v, want eth%d alone", ip, got, want)
		}
	}
}

// announcedBy waits until an interface has announced both addresses and returns how
// long that took.
func (c *cards) announcedBy(want int, since time.Time) time.Duration {
	c.T.Helper()
	four, six := isARP(packet.OpRequest, c.macs[want], vip4), isND(packet.NA, c.macs[want], vip6)
	seen := [2]bool{}
	c.wire.expect("announcements of both addresses", func(f []byte) bool {
		seen[0], seen[1] = seen[0] || four(f), seen[1] || six(f)
		return seen[0] && seen[1]
	})
	return time.Since(since)
}

// peaceful fails if the node took one of its interfaces for another station.
func (c *cards) peaceful() {
	c.T.Helper()
	if s := c.speaker.State(); len(s.Conflicts) > 0 || len(s.Heard) > 0 {
		c.T.Errorf("conflicts %v, heard %v", s.Conflicts, s.Heard)
	}
}

// TestTwoCards: of two interfaces on one network one answers, whose link is lost in
// any way, and the other one takes over.
func TestTwoCards(t *testing.T) {
	for name, tc := range map[string]struct{ lose, mend func(c *cards) }{
		"carrier": {func(c *cards) { c.Down(c.ports[0]) }, func(c *cards) { c.Up(c.ports[0]) }},
		"down": {func(c *cards) { c.node.Down("eth0") }, func(c *cards) {
			c.node.Up("eth0")
			c.node.Must("IPv6 address", c.node.NL.AddrReplace(c.node.Link("eth0"), &netlink.Addr{IPNet: lantest.Net("2001:db8::1/64")}))
			c.prefer("eth0") // the kernel puts routes that come back behind the others
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCards(t)
			c.announcedBy(0, time.Now())
			c.only(0)
			fastest := patience
			for range rounds {
				lost := time.Now()
				tc.lose(c)
				fastest = min(fastest, c.announcedBy(1, lost))
				c.speaker.await("one interface", func() bool { return c.speaker.used() == 1 })
				c.only(1)
				tc.mend(c)
				c.announcedBy(0, time.Now())
				c.speaker.await("both interfaces", func() bool { return c.speaker.used() == 2 })
				c.only(0)
			}
			if t.Logf("announced after %v", fastest); fastest > failover {
				t.Errorf("the other interface announced after %v at best, more than %v", fastest, failover)
			}
			c.peaceful()
		})
	}
}

// prefer makes the kernel reach the network by an interface, and by the other one only
// if that is not there.
func (c *cards) prefer(name string) {
	c.T.Helper()
	for _, dst := range []string{"198.18.0.0/24", "2001:db8::/64"} {
		for _, nic := range []string{"eth0", "eth1"} {
			r := &netlink.Route{LinkIndex: c.node.Link(nic).Attrs().Index, Dst: lantest.Net(dst), Priority: 1000}
			for _, old := range c.node.routes(dst, r.LinkIndex) {
				c.node.Must("remove a route", c.node.NL.RouteDel(&old))
			}
			if nic == name {
				r.Priority = 500
			}
			c.node.Must("add a route", c.node.NL.RouteAdd(r))
		}
	}
}

// routes are those to a network by an interface.
func (h *host) routes(dst string, index int) (out []netlink.Route) {
	h.T.Helper()
	family := netlink.FAMILY_V4
	if lantest.Net(dst).IP.To4() == nil {
		family = netlink.FAMILY_V6
	}
	all, err := h.NL.RouteListFiltered(family, &netlink.Route{LinkIndex: index, Dst: lantest.Net(dst)}, netlink.RT_FILTER_OIF|netlink.RT_FILTER_DST)
	h.Must("list routes", err)
	return all
}

// TestRouteWithoutLink: the kernel goes on sending by an interface that has no link,
// unless it is told not to.
func TestRouteWithoutLink(t *testing.T) {
	c := newCards(t)
	found := func() (advice []string) {
		for _, f := range c.speaker.State().Conditions {
			if f.Code == health.RouteWithoutLink && strings.Contains(f.Words, "addresses on eth1 ") {
				setting, _, _ := strings.Cut(strings.TrimPrefix(f.Advice, "set "), "=")
				advice = append(advice, setting)
			}
		}
		return advice
	}
	c.Down(c.ports[0])
	c.speaker.await("two findings", func() bool { return len(found()) == 2 })
	for _, setting := range found() {
		c.node.Sysctl(strings.ReplaceAll(setting, ".", "/"), "1")
	}
	c.node.Address("lo", "203.0.113.1/32") // an event
	c.speaker.await("no finding", func() bool { return len(found()) == 0 })
	c.only(1)
}

// TestTwoCardsRouted: an address of no network is answered by one of them, too.
func TestTwoCardsRouted(t *testing.T) {
	c := newCards(t)
	c.speaker.Set(slices.Concat(routed, c.fences[0], c.fences[1]))
	c.wire.expect("an announcement", isND(packet.NA, c.macs[0], routed[1]))
	for _, ip := range routed {
		if got := c.answeredBy(ip); !slices.Equal(got, []int{0}) {
			t.Errorf("%s is answered by %v, want eth0 alone", ip, got)
		}
	}
}

// TestOneWireTwoNetworks: the interfaces have different networks on one wire. They
// hear each other announce, and one is left. A direct address stays where it is.
func TestOneWireTwoNetworks(t *testing.T) {
	c := newCards(t)
	c.node.Must("remove", c.node.NL.AddrDel(c.node.Link("eth1"), &netlink.Addr{IPNet: lantest.Net("198.18.0.3/24")}))
	c.node.Must("remove", c.node.NL.AddrDel(c.node.Link("eth1"), &netlink.Addr{IPNet: lantest.Net("2001:db8::3/64")}))
	c.node.Address("eth1", "198.18.1.3/24", "2001:db8:1::3/64")
	there := netip.MustParseAddr("198.18.1.100")
	c.speaker.await("the other network", func() bool {
		return slices.ContainsFunc(c.speaker.Interfaces(), func(i netif.Interface) bool {
			return i.Name == "eth1" && slices.Equal(i.Prefixes, prefixes("198.18.1.0/24", "2001:db8:1::/64"))
		})
	})
	c.speaker.Set(slices.Concat(routed, []netip.Addr{there}, c.fences[0], c.fences[1]))
	for _, ip := range routed {
		c.until(ip.String()+" to be answered by eth0 alone", func() bool { return slices.Equal(c.answeredBy(ip), []int{0}) })
	}
	if got := c.answeredBy(there); !slices.Equal(got, []int{1}) {
		t.Errorf("%s is answered by %v, want eth1 alone", there, got)
	}
	c.peaceful()
}

// TestTwoCardsRoute: the interface by which the kernel reaches the network is the one
// that announces, as soon as that changes.
func TestTwoCardsRoute(t *testing.T) {
	c := newCards(t)
	c.only(0)
	c.prefer("eth1")
	c.announcedBy(1, time.Now())
	c.only(1)
	c.peaceful()
}
