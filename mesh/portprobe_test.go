package mesh

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"
)

func (n *node) listens(name string) bool {
	for _, m := range n.Members() {
		if m.Name == name {
			return m.Listens
		}
	}
	return false
}

// TestPortProbe: all others find alike whether a member that died has ended.
func TestPortProbe(t *testing.T) {
	for _, tt := range []struct {
		name    string
		happens func(w *world, n1 *node)
		want    bool
	}{
		{"stopped", func(w *world, n1 *node) { w.net.freeze(n1.at.Addr(), 3*time.Second) }, true},
		{"cut off", func(w *world, _ *node) { w.kill("n1") }, false},
		{"killed", func(w *world, n1 *node) {
			w.net.mu.Lock()
			port := w.net.ports[n1.at]
			w.net.mu.Unlock()
			if err := port.Shutdown(); err != nil {
				t.Error(err)
			}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				nodes := w.cluster(4)
				time.Sleep(time.Second)
				tt.happens(w, nodes[0])
				w.within(2*time.Second, "death seen by all", func() bool { return allSee(nodes[1:], "n1", Dead) })
				time.Sleep(50 * time.Millisecond) // Before the wire, asked at the same time, would be silent.
				for _, n := range nodes[1:] {
					if got := n.listens("n1"); got != tt.want {
						t.Errorf("%s: the port of n1 is open: %v, want %v", n.cfg.Name, got, tt.want)
					}
					if c := n.logs.count("gossip port of a dead member is open"); (c == 1) != tt.want {
						t.Errorf("%s logged it %d times", n.cfg.Name, c)
					}
				}
				if !tt.want {
					return
				}
				w.within(10*time.Second, "return", func() bool { return allSee(nodes[1:], "n1", Alive) })
				for _, n := range nodes[1:] {
					if n.listens("n1") {
						t.Errorf("%s: n1 is alive and counts as dead with an open port", n.cfg.Name)
					}
				}
			})
		})
	}
}

func TestListens(t *testing.T) {
	died := time.Unix(1000, 0)
	for _, tt := range []struct {
		name  string
		now   func(*table) // After the death.
		which time.Time    // Death that the answer is about.
		want  bool
	}{
		{"dead", func(*table) {}, died, true},
		{"said goodbye meanwhile", func(tab *table) { tab.goodbye("n2", died.Add(time.Second)) }, died, false},
		{"back meanwhile", func(tab *table) { tab.alive("n2", addrNo(2), nil, died.Add(time.Second)) }, died, false},
		{"died again meanwhile", func(tab *table) {
			tab.alive("n2", addrNo(2), nil, died.Add(time.Second))
			tab.gone("n2", died.Add(2*time.Second))
		}, died, false},
		{"forgotten meanwhile", func(tab *table) { tab.expire(died.Add(keepGone)) }, died, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tab := newTable("n1", addrNo(1), nil, died)
			tab.alive("n2", addrNo(2), nil, died.Add(-time.Minute))
			tab.gone("n2", died)
			tt.now(tab)
			if got := tab.listens("n2", tt.which); got != tt.want {
				t.Errorf("of interest: %v, want %v", got, tt.want)
			}
			for _, m := range tab.list() {
				if m.Listens != (tt.want && m.Name == "n2") {
					t.Errorf("%s %s: port open: %v", m.Name, m.State, m.Listens)
				}
			}
		})
	}
	tab := newTable("n1", addrNo(1), nil, died)
	tab.alive("n2", addrNo(2), nil, died.Add(-time.Minute))
	tab.gone("n2", died)
	tab.listens("n2", died)
	tab.goodbye("n2", died.Add(time.Second))
	if m := tab.list()[1]; m.State != Left || m.Listens {
		t.Errorf("a late goodbye leaves %s with an open port: %v", m.State, m.Listens)
	}
}

// hole is a network in which nobody answers.
type hole struct{ dials, most, now atomic.Int32 }

func (h *hole) DialAddressTimeout(_ memberlist.Address, limit time.Duration) (net.Conn, error) {
	h.dials.Add(1)
	if n := h.now.Add(1); n > h.most.Load() {
		h.most.Store(n)
	}
	time.Sleep(limit)
	h.now.Add(-1)
	return nil, errors.New("no answer")
}

// TestPortProbeIsBounded: half of a large mesh may vanish at once.
func TestPortProbeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const members = 500
		m, err := New(Config{Name: "n0", Bind: addrNo(0)})
		if err != nil {
			t.Fatal(err)
		}
		for i := range members {
			delegate{m}.NotifyJoin(testNode(i+1, Meta{}))
		}
		ctx, stop := context.WithCancel(t.Context())
		via, done := &hole{}, make(chan struct{})
		go func() {
			defer close(done)
			(&portProber{mesh: m, via: via}).run(ctx)
		}()
		begin := time.Now()
		for i := range members {
			delegate{m}.NotifyLeave(testNode(i+1, Meta{}))
		}
		if took := time.Since(begin); took > 0 {
			t.Errorf("the library waited %v", took)
		}
		time.Sleep(10 * portProbeTime)
		if n := via.dials.Load(); n != portProbesAtOnce {
			t.Errorf("%d gossip ports were probed, want %d", n, portProbesAtOnce)
		}
		if n := via.most.Load(); n > portProbesAtOnce {
			t.Errorf("%d at once, want at most %d", n, portProbesAtOnce)
		}
		first := via.dials.Load()
		delegate{m}.NotifyLeave(testNode(1, Meta{}))
		delegate{m}.NotifyJoin(testNode(1, Meta{}))
		delegate{m}.NotifyLeave(testNode(1, Meta{}))
		time.Sleep(10 * portProbeTime)
		if n := via.dials.Load() - first; n != 1 {
			t.Errorf("%d probes for one more death that was told twice", n)
		}
		stop()
		<-done
	})
}

// TestSocketsPortProbe: what kernels do, and that a running member takes a port probe for nothing.
func TestSocketsPortProbe(t *testing.T) {
	for _, host := range []string{"127.0.0.2", "::1"} {
		t.Run(host, func(t *testing.T) {
			bind := netip.AddrPortFrom(netip.MustParseAddr(host), 0)
			running := runPeer(t, Config{Name: "n2", Bind: bind, Keys: [][]byte{keyOf(1)}})
			running.until("start", running.Settled)
			stopped, err := net.Listen("tcp", bind.String())
			if err != nil {
				t.Fatal(err)
			}
			defer stopped.Close()
			ended := listenTest(t, bind.String())
			if err := ended.Shutdown(); err != nil {
				t.Fatal(err)
			}
			for at, want := range map[string]bool{running.at().String(): true, stopped.Addr().String(): true, ended.at(): false} {
				if got := listening(t, bind, netip.MustParseAddrPort(at)); got != want {
					t.Errorf("port open: %v, want %v", got, want)
				}
			}
			running.until("the connection", func() bool { return running.logs.count("Stream connection from=") == 1 })
			running.stop()
			if words := running.logs.count(`"message":"memberlist"`); words != 1 {
				t.Errorf("a port probe is worth %d lines in a log of level debug, want one", words)
			}
			for _, k := range []kind{kindKey, kindLabel, kindUnlabeled, kindMalformed, kindRefused} {
				if n := rejected(&node{Mesh: running.Mesh}, k); n > 0 {
					t.Errorf("a port probe counts %v times as %s", n, k)
				}
			}
		})
	}
}

// listening reports whether a member of that address which died is found to listen.
func listening(t *testing.T, from, at netip.AddrPort) bool {
	t.Helper()
	m, err := New(Config{Name: "n1", Bind: from, Label: "cluster", Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	died := time.Now()
	m.table.alive("n2", at, nil, died)
	m.table.gone("n2", died)
	k := &portProber{mesh: m, via: listenTest(t, from.String())}
	k.probe(deadMember{"n2", at, died})
	return m.Members()[1].Listens
}
