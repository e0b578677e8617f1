package nft

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"

	"github.com/starling-lb/starling/flows"
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
	privileged(t)
	s := &site{t: t, family: f, vip: netip.MustParseAddr("198.18.0.99"), client: newHost(t)}
	backend := netip.MustParseAddr("198.18.1.50")
	if !f.is4 {
		s.vip, backend = netip.MustParseAddr("2001:db8::99"), netip.MustParseAddr("2001:db8:1::50")
	}
	lan, pods, pod := newHost(t).bridge(), newHost(t).bridge(), newHost(t)
	s.client.plug(lan, "eth0", 1, "198.18.0.0/24", "2001:db8::/64")
	pod.plug(pods, "eth0", 0x50, "2001:db8:1::/64")
	pod.must("add address", pod.nl.AddrAdd(pod.link("eth0"), &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(198, 18, 1, 50), Mask: net.CIDRMask(24, 32)}}))
	for n := byte(11); n < 14; n++ {
		h := newHost(t)
		h.plug(lan, "eth0", n, "198.18.0.0/24", "2001:db8::/64")
		h.plug(pods, "pod0", n, "198.18.1.0/24", "2001:db8:1::/64")
		h.proxy(f, s.vip, backend)
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
	pod.must("listen", pod.do(func() (err error) { l, err = net.Listen("tcp", at.String()); return err }))
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
	s.client.must("move", s.client.nl.NeighSet(&netlink.Neigh{
		LinkIndex: s.client.link("eth0").Attrs().Index, IP: s.vip.AsSlice(), HardwareAddr: s.nodes[node].mac(), State: netlink.NUD_PERMANENT,
	}))
}

// dial begins connections.
func (s *site) dial(n int) {
	s.t.Helper()
	for range n {
		var c net.Conn
		s.client.must("dial", s.client.do(func() (err error) {
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

// families4And6 runs a test for each.
func families4And6(t *testing.T, run func(*testing.T, family)) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) { run(t, f) })
	}
}

// TestMoveWithout: without rules all connections end when their address moves, so the others show
// something.
func TestMoveWithout(t *testing.T) {
	families4And6(t, func(t *testing.T, f family) {
		s := newSite(t, f)
		s.at(0)
		s.dial(held)
		if n := s.alive(); n != held {
			t.Fatalf("%d of %d connections work before the move", n, held)
		}
		s.at(1)
		if n := s.alive(); n != 0 {
			t.Errorf("%d of %d connections survive without rules", n, held)
		}
	})
}

// TestMoveAndReturn: connections survive the move of their address, those begun on the second node
// its return as well, and the backend hears of the end of each.
func TestMoveAndReturn(t *testing.T) {
	families4And6(t, func(t *testing.T, f family) {
		s := newSite(t, f)
		s.at(0)
		s.dial(held)
		second := s.nodes[1].passes(s.pass(0, 0))
		s.at(1)
		if n := s.alive(); n != held {
			t.Errorf("%d of %d connections survive the move", n, held)
		}
		if n, err := second.Flows(); n != held || err != nil {
			t.Errorf("the second node passes %d flows, %v", n, err)
		}
		s.dial(held)
		if n := s.alive(); n != 2*held {
			t.Errorf("%d of %d connections work on the second node", n, 2*held)
		}
		if n, _ := second.Flows(); n != held {
			t.Errorf("the second node passes %d flows, with those that it began", n)
		}
		s.nodes[0].passes(s.pass(1, 1)) // the second node goes on for a moment: late acknowledgments reach it
		s.at(0)
		if n := s.alive(); n != 2*held {
			t.Errorf("%d of %d connections survive the return", n, 2*held)
		}
		s.hangUp()
		for late := time.Now().Add(patience); s.open.Load() > 0; {
			if time.Now().After(late) {
				t.Fatalf("%d connections are open at the backend after all were closed", s.open.Load())
			}
		}
	})
}

// TestMoves: the third node passes to the second what it does not know, and that one to the first.
func TestMoves(t *testing.T) {
	families4And6(t, func(t *testing.T, f family) {
		s := newSite(t, f)
		for node, passes := range [][]flows.Pass{nil, {s.pass(0, 0)}, {s.pass(1, 0, 1)}} {
			s.nodes[node].passes(passes...)
			s.at(node)
			s.dial(held)
		}
		if n := s.alive(); n != 3*held {
			t.Errorf("%d of %d connections survive two moves", n, 3*held)
		}
	})
}

// TestBulk: large transfers, of which the kernel joins packets, go the same way.
func TestBulk(t *testing.T) {
	families4And6(t, func(t *testing.T, f family) {
		s := newSite(t, f)
		s.at(0)
		s.dial(1)
		k := s.nodes[1].passes(s.pass(0, 0))
		s.at(1)
		c, sent := s.clients[0], bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
		s.client.must("deadline", c.SetDeadline(time.Now().Add(patience)))
		go func() { _, _ = c.Write(sent) }()
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d bytes are not what came back: %v", len(sent), err)
		}
		if n, err := k.Flows(); n != 1 || err != nil {
			t.Errorf("%d flows are passed, %v", n, err)
		}
	})
}

// TestRewrite: packets see the rules of before or those of after, and nothing in between.
func TestRewrite(t *testing.T) {
	families4And6(t, func(t *testing.T, f family) {
		s := newSite(t, f)
		s.at(0)
		s.dial(held)
		k := s.nodes[1].passes(s.pass(0, 0))
		s.at(1)
		other := flows.Pass{VIP: s.vip.Next(), To: s.addrs[0]}
		for i := range 10 {
			done := make(chan error)
			go func() { done <- k.Pass([]flows.Pass{s.pass(0, 0), other}[:1+i%2]) }()
			for written := false; !written; {
				if n := s.alive(); n != held {
					t.Fatalf("%d of %d connections survive when rules are written", n, held)
				}
				select {
				case err := <-done:
					s.client.must("pass", err)
					written = true
				default:
				}
			}
		}
	})
}

// TestToAndFro: two nodes that pass to each other what they do not know send a packet back once,
// and answer it.
func TestToAndFro(t *testing.T) {
	families4And6(t, func(t *testing.T, f family) {
		s := newSite(t, f)
		s.at(2)
		s.dial(1)
		s.nodes[0].passes(s.pass(1, 1))
		s.nodes[1].passes(s.pass(0, 0))
		s.at(0)
		if n := s.alive(); n != 0 {
			t.Error("a connection that neither node knows works")
		}
		if err := exchange(s.clients[0]); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the client was not told that its connection is over")
		}
		if a, b := s.passed(0), s.passed(1); a == 0 || b > 0 {
			t.Errorf("the first node passed %d packets, and the second one %d", a, b)
		}
	})
}

// passed is the number of packets that a node has passed.
func (s *site) passed(node int) (packets uint64) {
	s.t.Helper()
	h := s.nodes[node]
	c, err := nftables.New(nftables.WithNetNSFd(int(h.ns)))
	h.must("nftables", err)
	t := s.family.table()
	rules, err := c.GetRules(t.Table, &nftables.Chain{Table: t.Table, Name: "pass"})
	h.must("rules", err)
	for _, r := range rules {
		for _, e := range r.Exprs {
			if counter, ok := e.(*expr.Counter); ok {
				packets += counter.Packets
			}
		}
	}
	return packets
}

// many are passes of both families, sorted.
func many(n int) []flows.Pass {
	var all []flows.Pass
	for i := range n {
		p := flows.Pass{VIP: netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), To: netip.MustParseAddr("198.18.0.1")}
		for mac := range 8 {
			p.MACs = append(p.MACs, fmt.Sprintf("02:00:00:00:00:%02x", mac))
		}
		if i%2 == 1 {
			p.VIP, p.To = netip.AddrFrom16([16]byte{0: 0x20, 1: 1, 2: 0xd, 3: 0xb8, 14: byte(i >> 8), 15: byte(i)}), netip.MustParseAddr("2001:db8:1::1")
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b flows.Pass) int { return a.VIP.Compare(b.VIP) })
	return all
}

// TestRestart: what a process leaves is found by the next one, whole sets replace each other, and
// nothing is left at the end.
func TestRestart(t *testing.T) {
	privileged(t)
	h := newHost(t)
	all := many(2 * 500)
	for _, want := range [][]flows.Pass{all, all[:3], all, all[998:], nil} {
		h.passes(want...)
		got, err := h.kernel().Passed()
		h.must("read", err)
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); len(want)+len(got) > 0 && diff != "" {
			t.Errorf("passed (-want +got):\n%s", diff)
		}
	}
	c, err := nftables.New(nftables.WithNetNSFd(int(h.ns)))
	h.must("nftables", err)
	if tables, err := c.ListTables(); len(tables) > 0 || err != nil {
		t.Errorf("%d tables are left, %v", len(tables), err)
	}
	if n, err := h.kernel().Flows(); n != 0 || err != nil {
		t.Errorf("%d flows, %v, without tables", n, err)
	}
}

// TestEndsByItself: what no speaker writes again is passed no more.
func TestEndsByItself(t *testing.T) {
	privileged(t)
	k := newHost(t).kernel()
	k.keep = 200 * time.Millisecond
	if err := k.Pass(many(2)); err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(patience); ; {
		switch left, err := k.Passed(); {
		case err != nil:
			t.Fatal(err)
		case len(left) == 0:
			return
		case time.Now().After(late):
			t.Fatalf("still passed: %v", left)
		}
	}
}

// BenchmarkPass is how long an address waits for the rules before it is announced.
func BenchmarkPass(b *testing.B) {
	privileged(b)
	for _, n := range []int{1, 500} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			h := newHost(b)
			k, all := h.kernel(), many(n)
			for b.Loop() {
				h.must("pass", k.Pass(all))
			}
		})
	}
}
