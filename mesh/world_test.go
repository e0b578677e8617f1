package mesh

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// world is some members in a bubble of virtual time.
type world struct {
	t     *testing.T
	net   *memnet
	nodes map[string]*node
	tune  func(*Config)

	mu    sync.Mutex // Guards seeds.
	seeds []netip.AddrPort
}

func (w *world) seed(all ...netip.AddrPort) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seeds = all
}

func (w *world) listed() []Seed {
	w.mu.Lock()
	defer w.mu.Unlock()
	return seedsAt(w.seeds...)
}

type node struct {
	*Mesh
	at   netip.AddrPort
	logs *lines
	end  context.CancelFunc
	done chan error
}

// inWorld runs a test in a bubble, and ends all members after it. Not under the race detector,
// whose own memory is damaged by many timers in a bubble (golang/go#78156: now and then it crashes,
// with Go 1.26); "make unit" runs these tests once more without it, and real members on sockets
// with it.
func inWorld(t *testing.T, f func(*world)) {
	if raceDetector {
		t.Skip("crashes the race detector: golang/go#78156")
	}
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: newMemnet(), nodes: map[string]*node{}, tune: func(*Config) {}}
		defer w.end()
		f(w)
	})
}

func (w *world) end() {
	w.net.heal()
	for _, n := range w.nodes {
		n.end() // All at once: one after the other takes a large mesh long.
	}
	for name := range w.nodes {
		w.stop(name)
	}
	time.Sleep(30 * time.Second) // Lets memberlist's timers and streams run out.
}

func addrNo(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 7927)
}

// addrNos are the addresses of the members first to last.
func addrNos(first, last int) (out []netip.AddrPort) {
	for i := first; i <= last; i++ {
		out = append(out, addrNo(i))
	}
	return out
}

// make builds a member without running it.
func (w *world) make(name string, at netip.AddrPort) *node {
	w.t.Helper()
	n := &node{at: at, logs: &lines{}, done: make(chan error, 1)}
	c := Config{
		Name: name, Bind: at, Label: "cluster",
		Seeds: w.listed,
		Log:   zerolog.New(n.logs).Level(zerolog.InfoLevel),
	}
	w.tune(&c)
	c.listen = w.net.listen
	m, err := New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	n.Mesh = m
	return n
}

// start runs a member; its address is given by its number.
func (w *world) start(name string, i int) *node {
	w.t.Helper()
	n := w.make(name, addrNo(i))
	w.run(n)
	return n
}

func (w *world) run(n *node) {
	ctx, end := context.WithCancel(context.Background())
	n.end = end
	w.nodes[n.cfg.Name] = n
	go func() { n.done <- n.Run(ctx) }()
}

// cluster starts members n1 to nk that know each other's addresses, and waits
// until all see all.
func (w *world) cluster(k int) []*node {
	w.t.Helper()
	w.seed(addrNos(1, k)...)
	var out []*node
	for i := range k {
		out = append(out, w.start(fmt.Sprintf("n%d", i+1), i+1))
	}
	w.within(30*time.Second, "all see all", func() bool {
		for _, n := range out {
			if !n.Settled() || n.table.count(Alive) != k {
				return false
			}
		}
		return true
	})
	return out
}

// stop ends a member with a goodbye, which takes at most a second.
func (w *world) stop(name string) {
	w.t.Helper()
	n := w.nodes[name]
	delete(w.nodes, name)
	begin := time.Now()
	n.end()
	if err := <-n.done; err != nil {
		w.t.Errorf("Run of %s: %v", name, err)
	}
	if took := time.Since(begin); took > 1500*time.Millisecond {
		w.t.Errorf("Run of %s took %v to end", name, took)
	}
}

// kill takes the network from a member: nothing of it is heard again.
func (w *world) kill(name string) {
	n := w.nodes[name]
	w.net.mu.Lock()
	defer w.net.mu.Unlock()
	for at := range w.net.ports {
		w.net.cuts[[2]netip.Addr{n.at.Addr(), at.Addr()}] = true
		w.net.cuts[[2]netip.Addr{at.Addr(), n.at.Addr()}] = true
	}
}

// within waits for a condition and returns how long it took.
func (w *world) within(limit time.Duration, what string, ok func() bool) time.Duration {
	w.t.Helper()
	begin := time.Now()
	for !ok() {
		if time.Since(begin) > limit {
			for _, n := range w.nodes {
				w.t.Logf("%s settled=%v members=%v problems=%q\n%s", n.cfg.Name, n.Settled(), n.view(), n.problems(), n.logs)
			}
			w.t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(begin)
}

// view is the members with their states, "n1 alive n2 dead".
func (n *node) view() string {
	var out []string
	for _, m := range n.Members() {
		out = append(out, m.Name, string(m.State))
	}
	return strings.Join(out, " ")
}

func (n *node) state(name string) State {
	for _, m := range n.Members() {
		if m.Name == name {
			return m.State
		}
	}
	return ""
}

func addrsOf(nodes []*node) (out []netip.Addr) {
	for _, n := range nodes {
		out = append(out, n.at.Addr())
	}
	return out
}

// lines is a log for tests.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) count(s string) int { return strings.Count(l.String(), s) }
