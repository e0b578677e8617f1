package nft

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/starling-lb/starling/flows"
	"github.com/starling-lb/starling/lantest"
)

const (
	port = 80
	held = 100
)

// site is a client, three nodes and a backend behind them.
type site struct {
	t       *testing.T
	family  family
	vip     netip.Addr
	client  *host
	nodes   []*host
	addrs   []netip.Addr // of the nodes
	open    atomic.Int64 // connections at the backend
	clients []net.Conn
}

func newSite(t *testing.T, f family) *site {
	t.Helper()
	return newSiteOf(t, f, (*host).nftables)
}

func newSiteOf(t *testing.T, f family, proxy proxy) *site {
	t.Helper()
	lantest.Privileged(t)
	s := &site{t: t, family: f, vip: netip.MustParseAddr("198.18.0.99"), client: newHost(t)}
	backend := netip.MustParseAddr("198.18.1.50")
	if !f.is4 {
		s.vip, backend = netip.MustParseAddr("2001:db8::99"), netip.MustParseAddr("2001:db8:1::50")
	}
	lan, pods, pod := newHost(t).Bridge(), newHost(t).Bridge(), newHost(t)
	s.client.plug(lan, "eth0", 1, "198.18.0.0/24", "2001:db8::/64")
	pod.plug(pods, "eth0", 0x50, "2001:db8:1::/64")
	pod.Must("add address", pod.NL.AddrAdd(pod.Link("eth0"), &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(198, 18, 1, 50), Mask: net.CIDRMask(24, 32)}}))
	for n := byte(11); n < 14; n++ {
		h := newHost(t)
		h.plug(lan, "eth0", n, "198.18.0.0/24", "2001:db8::/64")
		h.plug(pods, "pod0", n, "198.18.1.0/24", "2001:db8:1::/64")
		proxy(h, f, s.vip, backend)
		at := s.vip.AsSlice()
		at[len(at)-1] = n
		addr, _ := netip.AddrFromSlice(at)
		s.nodes, s.addrs = append(s.nodes, h), append(s.addrs, addr)
	}
	s.serve(pod, netip.AddrPortFrom(backend, port))
	t.Cleanup(func() { s.hangUp() })
	return s
}

// serve runs the backend, which sends back what it gets.
func (s *site) serve(pod *host, at netip.AddrPort) {
	s.t.Helper()
	var l net.Listener
	pod.Must("listen", pod.Inside(func() (err error) { l, err = net.Listen("tcp", at.String()); return err }))
	s.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.open.Add(1)
			go func() {
				defer s.open.Add(-1)
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
}

// at sends the client's frames for the VIP to a node.
func (s *site) at(node int) {
	s.t.Helper()
	s.client.Must("move", s.client.NL.NeighSet(&netlink.Neigh{
		LinkIndex: s.client.Link("eth0").Attrs().Index, IP: s.vip.AsSlice(), HardwareAddr: s.nodes[node].mac(), State: netlink.NUD_PERMANENT,
	}))
}

// dial begins connections.
func (s *site) dial(n int) {
	s.t.Helper()
	for range n {
		var c net.Conn
		s.client.Must("dial", s.client.Inside(func() (err error) {
			for late := time.Now().Add(patience); ; { // a new port of a bridge forwards some time later
				c, err = net.DialTimeout("tcp", netip.AddrPortFrom(s.vip, port).String(), time.Second)
				if err == nil || time.Now().After(late) {
					return err
				}
			}
		}))
		s.clients = append(s.clients, c)
	}
}

// alive counts the connections that still work.
func (s *site) alive() (n int) {
	s.t.Helper()
	results := make(chan error)
	for _, c := range s.clients {
		go func() { results <- exchange(c) }()
	}
	for range s.clients {
		if <-results == nil {
			n++
		}
	}
	return n
}

func exchange(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

func (s *site) hangUp() {
	for _, c := range s.clients {
		c.Close()
	}
	s.clients = nil
}

// pass is to another node, but not what comes from some.
func (s *site) pass(to int, not ...int) flows.Pass {
	p := flows.Pass{VIP: s.vip, To: s.addrs[to]}
	for _, n := range not {
		p.MACs = append(p.MACs, s.nodes[n].mac().String())
	}
	slices.Sort(p.MACs)
	return p
}
