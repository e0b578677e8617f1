package arpd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/arpd/packettest"
)

// fakeSystem is a node whose kernel is a few maps: no privilege, virtual time.
type fakeSystem struct {
	t      *testing.T
	events chan netif.Change
	broken chan error // ends Watch

	mu      sync.Mutex
	links   []netif.Link
	listErr error
	refuse  map[int]error // why a packet socket cannot be opened, by interface
	sockets map[fakeKey]*fakeSocket
	opened  int
	groups  fakeGroups
	lists   int

	reaches   map[netip.Prefix]int // for Route, by network
	settings  map[string]netif.Setting
	neighbors map[packet.HW][]netip.Addr
	looks     int
}

type fakeKey struct {
	index    int
	protocol uint16
}

func newFake(t *testing.T, links ...netif.Link) *fakeSystem {
	return &fakeSystem{
		t: t, links: links, events: make(chan netif.Change), broken: make(chan error),
		refuse: make(map[int]error), sockets: make(map[fakeKey]*fakeSocket),
		groups: fakeGroups{joined: make(map[netip.Addr]int)},
	}
}

func (f *fakeSystem) Links() ([]netif.Link, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists++
	return slices.Clone(f.links), f.listErr
}

func (f *fakeSystem) Neighbors(mac packet.HW) ([]netip.Addr, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	return f.neighbors[mac], f.listErr
}

// looked returns how often addresses were looked up.
func (f *fakeSystem) looked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.looks
}

func (f *fakeSystem) Route(to netip.Addr, _ int) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p, index := range f.reaches {
		if p.Contains(to) {
			return index, nil
		}
	}
	return 0, unix.ENETUNREACH
}

func (f *fakeSystem) Settings([]string) (map[string]netif.Setting, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.settings), f.listErr
}

func (f *fakeSystem) Watch(ctx context.Context, seen func(netif.Change)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-f.broken:
			return err
		case c := <-f.events:
			seen(c)
		}
	}
}

func (f *fakeSystem) Packet(index int, protocol uint16) (socket, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opened++
	if err := f.refuse[index]; err != nil {
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	s := &fakeSocket{in: make(chan []byte, 64), fail: make(chan error), stop: make(chan struct{})}
	f.sockets[fakeKey{index, protocol}] = s
	return s, nil
}

// Groups locks every call: sockets are used by the goroutines of several ports.
func (f *fakeSystem) Groups() (memberships, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, err := f.groups.open()
	return &lockedMember{m, &f.mu}, err
}

type lockedMember struct {
	memberships
	mu *sync.Mutex
}

func (m *lockedMember) Join(index int, group netip.Addr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.memberships.Join(index, group)
}

func (m *lockedMember) Leave(index int, group netip.Addr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.memberships.Leave(index, group)
}

func (m *lockedMember) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.memberships.Close()
}

// change replaces the interfaces and sends an event.
func (f *fakeSystem) change(c netif.Change, links ...netif.Link) {
	f.mu.Lock()
	f.links = links
	f.mu.Unlock()
	f.events <- c
}

func (f *fakeSystem) set(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fakeSystem) socket(index int, protocol uint16) *fakeSocket {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sockets[fakeKey{index, protocol}]
	if s == nil {
		f.t.Fatalf("no socket for %#04x on interface %d", protocol, index)
	}
	return s
}

// fakeSocket runs the filter that it is given, apart from the guard.
type fakeSocket struct {
	in   chan []byte
	fail chan error
	stop chan struct{}
	once sync.Once

	mu     sync.Mutex
	filter []bpf.Instruction
	sent   []sentFrame
	closed bool
	full   bool
}

type sentFrame struct {
	at    time.Time
	frame []byte
}

func (s *fakeSocket) Read(b []byte) (int, error) {
	select {
	case f := <-s.in:
		return copy(b, f), nil
	case err := <-s.fail:
		return 0, err
	case <-s.stop:
		return 0, errInterrupted
	}
}

func (s *fakeSocket) Write(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("written to after close")
	}
	if s.full {
		return unix.ENOBUFS
	}
	s.sent = append(s.sent, sentFrame{time.Now(), slices.Clone(b)})
	return nil
}

func (s *fakeSocket) Filter(prog []bpf.RawInstruction) error {
	insts, ok := bpf.Disassemble(prog)
	if !ok {
		return unix.EINVAL
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.filter = insts[len(packet.Guard(0)):]
	return nil
}

func (s *fakeSocket) Drain() (n int) {
	for {
		select {
		case <-s.in:
			n++
		default:
			return n
		}
	}
}

func (s *fakeSocket) Interrupt() { s.once.Do(func() { close(s.stop) }) }

func (s *fakeSocket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("closed twice")
	}
	s.closed = true
	return nil
}

// deliver is a frame from the wire. It reports whether the filter let it pass.
func (s *fakeSocket) deliver(t *testing.T, frame []byte) bool {
	t.Helper()
	s.mu.Lock()
	filter := s.filter
	s.mu.Unlock()
	if filter == nil || !packettest.Passes(t, filter, frame) {
		return false
	}
	s.in <- frame
	return true
}

// take returns the frames sent so far and forgets them.
func (s *fakeSocket) take() []sentFrame {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.sent
	s.sent = nil
	return out
}

// node is a responder over a fake system, running in a synctest bubble.
type node struct {
	*Responder
	sys *fakeSystem
	reg *prometheus.Registry
}

// start runs a responder until the test ends or the returned function is called.
func start(t *testing.T, sys *fakeSystem, patterns ...string) (*node, func()) {
	t.Helper()
	return startWith(t, Config{Interfaces: patterns}, sys)
}

func startWith(t *testing.T, cfg Config, sys *fakeSystem) (*node, func()) {
	t.Helper()
	reg := prometheus.NewRegistry()
	cfg.Registry, cfg.Recheck = reg, cmp.Or(cfg.Recheck, -1) // who counts frames needs no others
	r, err := newResponder(cfg, sys)
	if err != nil {
		t.Fatal(err)
	}
	r.schedule.Jitter, r.others.Random = nil, half
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return &node{r, sys, reg}, stop
}

// counter is the value of a metric, summed over its labels that contain label.
func (n *node) counter(t *testing.T, name, label string) float64 {
	t.Helper()
	families, err := n.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == "starling_layer2_"+name && (label == "" || m.Label[0].GetValue() == label) {
				sum += m.Counter.GetValue()
			}
		}
	}
	return sum
}

// half makes random times as long as they are on average.
func half(d time.Duration) time.Duration { return d / 2 }
