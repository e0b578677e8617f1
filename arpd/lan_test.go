package arpd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	mdpacket "github.com/mdlayher/packet"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/lantest"
)

// patience is how long a wire test waits for what must happen.
const patience = 20 * time.Second

// host is one with speakers and stations on it.
type host struct{ *lantest.Host }

func newHost(t testing.TB) *host {
	t.Helper()
	return &host{lantest.New(t)}
}

// do calls f on a thread in the namespace.
func (h *host) do(f func() error) { h.T.Helper(); h.Must("inside", h.Inside(f)) }

func (h *host) mac(name string) packet.HW {
	h.T.Helper()
	return packet.HW(h.Link(name).Attrs().HardwareAddr)
}

// lan is a switch.
type lan struct {
	*host
	ports int
}

func newLAN(t testing.TB) *lan {
	t.Helper()
	l := &lan{host: newHost(t)}
	l.Bridge()
	return l
}

// plug connects an interface of h to the switch, gives it addresses and returns the name of the
// switch's port.
func (l *lan) plug(h *host, name string, addrs ...string) string {
	l.T.Helper()
	port := fmt.Sprintf("p%d", l.ports)
	l.ports++
	h.Plug(l.Host, name, port, addrs...)
	return port
}

// station is a packet socket that sees everything on an interface of a host.
type station struct {
	t    testing.TB
	conn *mdpacket.Conn
	mac  packet.HW
}

func (h *host) station(name string) *station {
	h.T.Helper()
	s := &station{t: h.T, mac: h.mac(name)}
	h.do(func() error {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		s.conn, err = mdpacket.Listen(ifi, mdpacket.Raw, unix.ETH_P_ALL, nil)
		return err
	})
	h.T.Cleanup(func() { s.conn.Close() })
	return s
}

func (s *station) send(frames ...[]byte) {
	s.t.Helper()
	for _, f := range frames {
		if _, err := s.conn.WriteTo(f, &mdpacket.Addr{HardwareAddr: f[:6]}); err != nil {
			s.t.Fatalf("send: %v", err)
		}
	}
}

// expect reads until a frame fits, and fails after a while.
func (s *station) expect(what string, fits func([]byte) bool) {
	s.t.Helper()
	if !s.within(patience, fits) {
		s.t.Fatalf("no %s in %v", what, patience)
	}
}

// within reads until a frame fits, but not for longer than d, and reports whether
// one did.
func (s *station) within(d time.Duration, fits func([]byte) bool) bool {
	s.t.Helper()
	if err := s.conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		s.t.Fatal(err)
	}
	b := make([]byte, packet.FrameSize)
	for {
		n, _, err := s.conn.ReadFrom(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return false
		}
		if err != nil {
			s.t.Fatalf("read: %v", err)
		}
		if fits(b[:n]) {
			return true
		}
	}
}

// isARP fits ARP of an operation about ip sent by mac.
func isARP(op uint16, mac packet.HW, ip netip.Addr) func([]byte) bool {
	return func(f []byte) bool {
		m, d := packet.ParseARP(f)
		return d == packet.Sound && m.Op == op && m.Src == mac && m.SPA == ip.As4()
	}
}

// isND fits a neighbor message of a kind about ip sent by mac.
func isND(kind byte, mac packet.HW, ip netip.Addr) func([]byte) bool {
	return func(f []byte) bool {
		m, d := packet.ParseND(f)
		return d == packet.Sound && m.Kind == kind && m.Src == mac && m.Target == ip.As16()
	}
}

func isAnswer(mac packet.HW, ip netip.Addr) func([]byte) bool {
	if ip.Is4() {
		return isARP(packet.OpReply, mac, ip)
	}
	return isND(packet.NA, mac, ip)
}

// neighbors tells of changes in the neighbor table of a host.
func (h *host) neighbors() <-chan netlink.NeighUpdate {
	h.T.Helper()
	updates, done := make(chan netlink.NeighUpdate), make(chan struct{})
	h.Must("subscribe to neighbors", netlink.NeighSubscribeAt(h.NS, updates, done))
	h.T.Cleanup(func() {
		close(done)
		for range updates { // the library blocks on a channel that nobody reads
		}
	})
	return updates
}

// awaitNeighbor waits until ip has the MAC and one of the states.
func (h *host) awaitNeighbor(updates <-chan netlink.NeighUpdate, ip netip.Addr, mac packet.HW, states int) {
	h.T.Helper()
	late := time.After(patience)
	for {
		var last string
		list, err := h.NL.NeighList(0, netlink.FAMILY_ALL)
		h.Must("list neighbors", err)
		for _, n := range list {
			if n.IP.Equal(ip.AsSlice()) && string(n.HardwareAddr) == string(mac[:]) && n.State&states != 0 {
				return
			}
			last += n.String() + "; "
		}
		select {
		case <-updates:
		case <-late:
			h.T.Fatalf("%s is not at %s: %s", ip, mac, last)
		}
	}
}

// reach waits until the kernels of two hosts see each other. A new port of a
// bridge forwards some time after both its ends are up, and until then a frame
// that a test sends once is lost.
func (h *host) reach(ip netip.Addr, mac packet.HW) {
	h.T.Helper()
	known := h.neighbors()
	h.poke(ip)
	h.awaitNeighbor(known, ip, mac, unix.NUD_REACHABLE)
}

// poke makes the kernel of h resolve ip by sending it a datagram.
func (h *host) poke(ip netip.Addr) {
	h.T.Helper()
	h.do(func() error {
		c, err := net.Dial("udp", netip.AddrPortFrom(ip, 9).String())
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("hello"))
		return err
	})
}

// speakerNode is a responder that runs in a host.
type speakerNode struct {
	*Responder
	t    testing.TB
	reg  *prometheus.Registry
	stop func()
}

// speak runs a responder in the host until the test ends and waits until it uses
// so many interfaces.
func (h *host) speak(used int, patterns ...string) *speakerNode {
	h.T.Helper()
	return h.speakWith(used, Config{Interfaces: patterns})
}

func (h *host) speakWith(used int, cfg Config) *speakerNode {
	h.T.Helper()
	s := &speakerNode{t: h.T, reg: prometheus.NewRegistry()}
	cfg.Namespace, cfg.Registry, cfg.Log = h.Path(), s.reg, zerolog.Nop()
	var err error
	s.Responder, err = New(cfg)
	h.Must("new responder", err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				h.T.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			h.T.Error("Run does not end")
		}
	})
	h.T.Cleanup(s.stop)
	s.await(fmt.Sprintf("%d interfaces in use", used), func() bool { return s.used() == used })
	return s
}

func (s *speakerNode) used() int {
	n := 0
	for _, i := range s.Interfaces() {
		if i.Used {
			n++
		}
	}
	return n
}

// await waits for a state that Changed tells of.
func (s *speakerNode) await(what string, is func() bool) {
	s.t.Helper()
	late := time.After(patience)
	for !is() {
		select {
		case <-s.Changed():
		case <-late:
			s.t.Fatalf("wait for %s: interfaces %+v, problems %v", what, s.Interfaces(), s.words())
		}
	}
}
