package arpd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	mdpacket "github.com/mdlayher/packet"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
)

// patience is how long a wire test waits for what must happen.
const patience = 20 * time.Second

// privileged skips a test where network namespaces cannot be made for want of
// privilege, which in CI is a failure. Any other reason is a failure anyway.
func privileged(t testing.TB) {
	t.Helper()
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends here
		result <- unix.Unshare(unix.CLONE_NEWNET)
	}()
	switch err := <-result; {
	case err == nil:
	case errors.Is(err, unix.EPERM) && os.Getenv("CI") != "true":
		t.Skip("needs root: network namespaces")
	default:
		t.Fatalf("make a network namespace: %v", err)
	}
}

// host is a network namespace without a name. It goes when its last descriptor
// is closed, which the end of the process does at the latest, so nothing can be
// left behind.
type host struct {
	t    testing.TB
	ns   netns.NsHandle
	path string
	nl   *netlink.Handle
}

func newHost(t testing.TB) *host {
	t.Helper()
	h := &host{t: t, ns: netns.None()}
	made := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			h.ns, err = netns.Get()
		}
		made <- err
	}()
	if err := <-made; err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	h.path = fmt.Sprintf("/proc/self/fd/%d", int(h.ns))
	nl, err := netlink.NewHandleAt(h.ns, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatalf("netlink in the namespace: %v", err)
	}
	h.nl = nl
	t.Cleanup(func() { nl.Close(); h.ns.Close() })
	for key, value := range map[string]string{
		"net/ipv6/conf/default/accept_dad": "0", "net/ipv6/conf/default/dad_transmits": "0",
		"net/ipv6/conf/default/router_solicitations": "0",
	} {
		h.sysctl(key, value)
	}
	h.up("lo")
	return h
}

// do calls f on a thread in the namespace.
func (h *host) do(f func() error) {
	h.t.Helper()
	if err := (linux{netif.Namespace(h.path)}).Inside(f); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) sysctl(key, value string) {
	h.t.Helper()
	h.do(func() error { return os.WriteFile("/proc/sys/"+key, []byte(value), 0o644) })
}

func (h *host) link(name string) netlink.Link {
	h.t.Helper()
	l, err := h.nl.LinkByName(name)
	if err != nil {
		h.t.Fatalf("find %s: %v", name, err)
	}
	return l
}

func (h *host) must(what string, err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatalf("%s: %v", what, err)
	}
}

func (h *host) up(name string)   { h.t.Helper(); h.must("up "+name, h.nl.LinkSetUp(h.link(name))) }
func (h *host) down(name string) { h.t.Helper(); h.must("down "+name, h.nl.LinkSetDown(h.link(name))) }

func (h *host) address(name string, texts ...string) {
	h.t.Helper()
	for _, text := range texts {
		h.must("add "+text, h.nl.AddrAdd(h.link(name), &netlink.Addr{IPNet: ipnet(text)}))
	}
}

func (h *host) mac(name string) packet.HW {
	h.t.Helper()
	return packet.HW(h.link(name).Attrs().HardwareAddr)
}

// lan is a switch: a bridge in a namespace of its own.
type lan struct {
	*host
	ports int
}

func newLAN(t testing.TB) *lan {
	t.Helper()
	l := &lan{host: newHost(t)}
	l.must("add bridge", l.nl.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}))
	l.up("br0")
	return l
}

// plug connects an interface of h to the switch, gives it addresses and returns
// the name of the switch's port.
func (l *lan) plug(h *host, name string, addrs ...string) string {
	l.t.Helper()
	port := fmt.Sprintf("p%d", l.ports)
	l.ports++
	br := l.link("br0")
	l.must("add port", l.nl.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: port, MasterIndex: br.Attrs().Index},
		PeerName:  name, PeerNamespace: netlink.NsFd(int(h.ns)),
	}))
	l.up(port)
	h.up(name)
	h.address(name, addrs...)
	return port
}

// station is a packet socket that sees everything on an interface of a host.
type station struct {
	t    testing.TB
	conn *mdpacket.Conn
	mac  packet.HW
}

func (h *host) station(name string) *station {
	h.t.Helper()
	s := &station{t: h.t, mac: h.mac(name)}
	h.do(func() error {
		ifi, err := net.InterfaceByName(name)
		if err != nil {
			return err
		}
		s.conn, err = mdpacket.Listen(ifi, mdpacket.Raw, unix.ETH_P_ALL, nil)
		return err
	})
	h.t.Cleanup(func() { s.conn.Close() })
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

// isND fits a neighbour message of a kind about ip sent by mac.
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

// neighbours tells of changes in the neighbour table of a host.
func (h *host) neighbours() <-chan netlink.NeighUpdate {
	h.t.Helper()
	updates, done := make(chan netlink.NeighUpdate), make(chan struct{})
	h.must("subscribe to neighbours", netlink.NeighSubscribeAt(h.ns, updates, done))
	h.t.Cleanup(func() {
		close(done)
		for range updates { // the library blocks on a channel that nobody reads
		}
	})
	return updates
}

// awaitNeighbour waits until ip has the MAC and one of the states.
func (h *host) awaitNeighbour(updates <-chan netlink.NeighUpdate, ip netip.Addr, mac packet.HW, states int) {
	h.t.Helper()
	late := time.After(patience)
	for {
		var last string
		list, err := h.nl.NeighList(0, netlink.FAMILY_ALL)
		h.must("list neighbours", err)
		for _, n := range list {
			if n.IP.Equal(ip.AsSlice()) && string(n.HardwareAddr) == string(mac[:]) && n.State&states != 0 {
				return
			}
			last += n.String() + "; "
		}
		select {
		case <-updates:
		case <-late:
			h.t.Fatalf("%s is not at %s: %s", ip, mac, last)
		}
	}
}

// reach waits until the kernels of two hosts see each other. A new port of a
// bridge forwards some time after both its ends are up, and until then a frame
// that a test sends once is lost.
func (h *host) reach(ip netip.Addr, mac packet.HW) {
	h.t.Helper()
	known := h.neighbours()
	h.poke(ip)
	h.awaitNeighbour(known, ip, mac, unix.NUD_REACHABLE)
}

// poke makes the kernel of h resolve ip by sending it a datagram.
func (h *host) poke(ip netip.Addr) {
	h.t.Helper()
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

// speaker is a responder that runs in a host.
type speakerNode struct {
	*Responder
	t    testing.TB
	reg  *prometheus.Registry
	stop func()
}

// speak runs a responder in the host until the test ends and waits until it uses
// so many interfaces.
func (h *host) speak(used int, patterns ...string) *speakerNode {
	h.t.Helper()
	return h.speakWith(used, Config{Interfaces: patterns})
}

func (h *host) speakWith(used int, cfg Config) *speakerNode {
	h.t.Helper()
	s := &speakerNode{t: h.t, reg: prometheus.NewRegistry()}
	cfg.Namespace, cfg.Registry, cfg.Log = h.path, s.reg, zerolog.Nop()
	var err error
	s.Responder, err = New(cfg)
	h.must("new responder", err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				h.t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			h.t.Error("Run does not end")
		}
	})
	h.t.Cleanup(s.stop)
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

func ipnet(text string) *net.IPNet {
	p := netip.MustParsePrefix(text)
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
