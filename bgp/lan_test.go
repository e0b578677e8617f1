package bgp

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/lantest"
	"github.com/starling-lb/starling/routes"
)

// wait is how long a wire test waits for what must happen.
const wait = 20 * time.Second

// host is one with a speaker, or a router.
type host struct{ *lantest.Host }

func newHost(t testing.TB) *host {
	t.Helper()
	return &host{lantest.New(t)}
}

// spawn starts a program in the namespace. It ends with the test.
func (h *host) spawn(name string, args ...string) {
	h.T.Helper()
	cmd := exec.Command(name, args...)
	h.Must("start "+name, h.Inside(cmd.Start))
	h.T.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// network is a switch with hosts.
type network struct {
	*host
	router *host // 192.0.2.1 and 2001:db8::1
}

const (
	routerIPv4 = "192.0.2.1"
	routerIPv6 = "2001:db8::1"
)

// newNetwork is a switch with a router at it.
func newNetwork(t testing.TB) *network {
	t.Helper()
	lantest.Privileged(t)
	n := &network{host: newHost(t), router: newHost(t)}
	n.Bridge()
	n.plug(n.router, 1)
	n.router.Sysctl("net/ipv4/ip_forward", "1")
	n.router.Sysctl("net/ipv6/conf/all/forwarding", "1")
	return n
}

// node is a host with a number at the switch: 192.0.2.10+i and 2001:db8::10+i.
func (n *network) node(i byte) *host {
	n.T.Helper()
	h := newHost(n.T)
	n.plug(h, 10+i)
	return h
}

func (n *network) plug(h *host, last byte) {
	n.T.Helper()
	h.Plug(n.Host, "eth0", fmt.Sprintf("p%d", last), fmt.Sprintf("192.0.2.%d/24", last), fmt.Sprintf("2001:db8::%d/64", last))
}

// behind is a host at 198.51.100.1, one hop away from the switch by way of the router.
func (n *network) behind() *host {
	n.T.Helper()
	far := newHost(n.T)
	n.router.Bridge().Address("br0", "198.51.100.2/24")
	far.Plug(n.router.Host, "eth0", "p1", "198.51.100.1/24")
	far.way("192.0.2.0/24", "198.51.100.2")
	return far
}

// way is a route of the host.
func (h *host) way(to, by string) {
	h.T.Helper()
	h.Must("add route", h.NL.RouteAdd(&netlink.Route{Dst: lantest.Net(to), Gw: net.ParseIP(by)}))
}

// unplug takes the cable of a node away.
func (n *network) unplug(i byte) {
	n.T.Helper()
	n.Down(fmt.Sprintf("p%d", 10+i))
}

// pull removes the port of a node, whose number another one may then have.
func (n *network) pull(i byte) {
	n.T.Helper()
	n.Must("remove port", n.NL.LinkDel(n.host.Link(fmt.Sprintf("p%d", 10+i))))
}

// speakerIn is a speaker that runs in a host.
type speakerIn struct {
	*Speaker
	t    testing.TB
	stop func()
}

// speak runs a speaker in the host until the test ends, or stop is called.
func (h *host) speak() *speakerIn {
	h.T.Helper()
	log := zerolog.Nop()
	if os.Getenv("STARLING_TEST_LOG") != "" {
		log = zerolog.New(zerolog.NewTestWriter(h.T))
	}
	s := New(Config{Log: log})
	s.bfd.inside = h.Inside
	s.dial = func(ctx context.Context, r routes.Router) (c net.Conn, err error) {
		return c, h.Inside(func() error {
			c, err = dial(ctx, r)
			return err
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var over bool
	out := &speakerIn{Speaker: s, t: h.T}
	out.stop = func() {
		cancel()
		if over {
			return
		}
		over = true
		select {
		case err := <-done:
			if err != nil {
				h.T.Errorf("Run: %v", err)
			}
		case <-time.After(wait):
			h.T.Error("Run does not end")
		}
	}
	h.T.Cleanup(out.stop)
	return out
}

// await waits until the session with the router tor fits.
func (s *speakerIn) await(what string, fits func(routes.Session) bool) routes.Session {
	s.t.Helper()
	late := time.After(wait)
	for {
		all := s.Sessions()
		for _, r := range all {
			if r.Router == "tor" && fits(r) {
				return r
			}
		}
		select {
		case <-s.Changed():
		case <-late:
			s.t.Fatalf("no session %s in %v: %+v", what, wait, all)
		}
	}
}

func (s *speakerIn) established() routes.Session {
	s.t.Helper()
	return s.await("established", func(r routes.Session) bool { return r.State == routes.Established })
}

func (s *speakerIn) caused(c routes.Cause) routes.Session {
	s.t.Helper()
	return s.await("with the cause "+string(c), func(r routes.Session) bool { return r.Cause == c })
}

// routesTo are the next hops of a prefix in the host's kernel, sorted.
func (h *host) routesTo(prefix string) []string {
	h.T.Helper()
	p := netip.MustParsePrefix(prefix)
	family := netlink.FAMILY_V4
	if p.Addr().Is6() {
		family = netlink.FAMILY_V6
	}
	list, err := h.NL.RouteListFiltered(family, &netlink.Route{Dst: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}, netlink.RT_FILTER_DST)
	h.Must("list routes", err)
	var hops []string
	for _, r := range list {
		if r.Gw != nil {
			hops = append(hops, r.Gw.String())
		}
		for _, m := range r.MultiPath {
			hops = append(hops, m.Gw.String())
		}
	}
	return sorted(hops)
}

// awaitRoutes waits until the kernel of the host has these next hops for the prefix.
func (h *host) awaitRoutes(prefix string, want ...string) {
	h.T.Helper()
	changed, end := make(chan netlink.RouteUpdate, 64), make(chan struct{})
	defer close(end)
	h.Must("subscribe to routes", netlink.RouteSubscribeAt(h.NS, changed, end))
	late, look := time.After(wait), time.NewTicker(200*time.Millisecond) // a lost notice costs no more
	defer look.Stop()
	for {
		got := h.routesTo(prefix)
		if equal(got, sorted(want)) {
			return
		}
		select {
		case <-changed:
		case <-look.C:
		case <-late:
			h.T.Fatalf("routes to %s in %v: %v, want %v", prefix, wait, got, want)
		}
	}
}

// watchGone watches from now on which of some prefixes the kernel of the host loses. What it
// returns ends that and names them.
func (h *host) watchGone(prefixes ...string) (lost func() []string) {
	h.T.Helper()
	changed, end := make(chan netlink.RouteUpdate, 64), make(chan struct{})
	h.Must("subscribe to routes", netlink.RouteSubscribeAt(h.NS, changed, end))
	var gone []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		for u := range changed {
			if u.Type == unix.RTM_DELROUTE && u.Dst != nil && slices.Contains(prefixes, u.Dst.String()) {
				gone = append(gone, u.Dst.String())
			}
		}
	}()
	return func() []string {
		close(end)
		<-done
		return gone
	}
}
