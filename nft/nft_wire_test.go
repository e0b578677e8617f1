package nft

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/starling-lb/starling/flows"
	"github.com/starling-lb/starling/lantest"
)

// families4And6 runs a test for each.
func families4And6(t *testing.T, run func(*testing.T, family)) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) { run(t, f) })
	}
}

// TestMoveWithout: without rules all connections end when their address moves, so the others show
// something.
func TestMoveWithout(t *testing.T) {
	proxies(t, func(t *testing.T, f family, p proxy) {
		s := newSiteOf(t, f, p)
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
	proxies(t, func(t *testing.T, f family, p proxy) {
		s := newSiteOf(t, f, p)
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

// TestManyFlows: connections for which the metric has no room survive as well.
func TestManyFlows(t *testing.T) {
	families4And6(t, func(t *testing.T, f family) {
		s := newSite(t, f)
		s.at(0)
		s.dial(held)
		k := s.nodes[1].passes(s.pass(0, 0))
		c, err := nftables.New(nftables.WithNetNSFd(int(s.nodes[1].NS)))
		s.client.Must("nftables", err)
		var full []nftables.SetElement
		for i := range maxFlows {
			word := func(n int) []byte { return []byte{byte(n >> 8), byte(n), 0, 0} }
			full = append(full, nftables.SetElement{Key: slices.Concat(s.addrs[2].AsSlice(), word(i), s.vip.AsSlice(), word(port))})
		}
		for part := range slices.Chunk(full, 5*chunk) {
			s.client.Must("fill", errors.Join(add(c, f.table().flows, part), c.Flush()))
		}
		if n, err := k.Flows(); n != maxFlows || err != nil {
			t.Fatalf("%d flows, %v", n, err)
		}
		s.at(1)
		if n := s.alive(); n != held {
			t.Errorf("%d of %d connections survive", n, held)
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
		s.client.Must("deadline", c.SetDeadline(time.Now().Add(patience)))
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
					s.client.Must("pass", err)
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
	c, err := nftables.New(nftables.WithNetNSFd(int(h.NS)))
	h.Must("nftables", err)
	t := s.family.table()
	rules, err := c.GetRules(t.Table, &nftables.Chain{Table: t.Table, Name: "pass"})
	h.Must("rules", err)
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
	lantest.Privileged(t)
	h := newHost(t)
	all := many(2 * 500)
	for _, want := range [][]flows.Pass{all, all[:3], all, all[998:], nil} {
		h.passes(want...)
		got, err := h.kernel().Passed()
		h.Must("read", err)
		if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); len(want)+len(got) > 0 && diff != "" {
			t.Errorf("passed (-want +got):\n%s", diff)
		}
	}
	c, err := nftables.New(nftables.WithNetNSFd(int(h.NS)))
	h.Must("nftables", err)
	if tables, err := c.ListTables(); len(tables) > 0 || err != nil {
		t.Errorf("%d tables are left, %v", len(tables), err)
	}
	if n, err := h.kernel().Flows(); n != 0 || err != nil {
		t.Errorf("%d flows, %v, without tables", n, err)
	}
}

// TestEndsByItself: what no speaker writes again is passed no more.
func TestEndsByItself(t *testing.T) {
	lantest.Privileged(t)
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
	lantest.Privileged(b)
	for _, n := range []int{1, 500} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			h := newHost(b)
			k, all := h.kernel(), many(n)
			for b.Loop() {
				h.Must("pass", k.Pass(all))
			}
		})
	}
}
