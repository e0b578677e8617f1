package bgp

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"

	"github.com/osrg/gobgp/v4/pkg/packet/bfd"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/starling-lb/starling/routes"
)

// detector receives the packets of all BFD sessions. It listens only where one needs it.
type detector struct {
	inside func(func() error) error // calls in the network namespace

	mu       sync.Mutex                   // guards all following fields
	sockets  map[socketKey]net.PacketConn // that are listened at
	sessions map[uint32]watched           // by our discriminator
}

// socketKey is the family, by index, and the UDP port.
type socketKey struct{ family, port int }

// watched is a session as the packets see it.
type watched struct {
	from  netip.Addr
	port  int
	heard chan<- *bfd.BFDHeader
}

func newDetector() *detector {
	return &detector{
		inside:  func(f func() error) error { return f() },
		sockets: map[socketKey]net.PacketConn{}, sessions: map[uint32]watched{},
	}
}

// join begins to receive for a session with a router, and returns where to send, the discriminator
// and what ends it.
func (d *detector) join(r routes.Router, conn net.Conn, heard chan<- *bfd.BFDHeader) (out io.WriteCloser, local uint32, leave func(), err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.listen(socketKey{familyOf(r.Address), portOf(r)}); err != nil {
		return nil, 0, nil, err
	}
	if out, err = d.sender(r, conn); err != nil {
		d.unused()
		return nil, 0, nil, err
	}
	for local == 0 || d.sessions[local].heard != nil {
		local = rand.Uint32()
	}
	d.sessions[local] = watched{r.Address, portOf(r), heard}
	return out, local, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.sessions, local)
		d.unused()
	}, nil
}

// unused closes the sockets that no session is left for. The caller holds the lock.
func (d *detector) unused() {
	used := map[socketKey]bool{}
	for _, w := range d.sessions {
		used[socketKey{familyOf(w.from), w.port}] = true
	}
	for k, c := range d.sockets {
		if !used[k] {
			_ = c.Close()
			delete(d.sockets, k)
		}
	}
}

// sender is a socket between the addresses of the BGP connection, from a port of the range that RFC
// 5881 asks for.
func (d *detector) sender(r routes.Router, conn net.Conn) (io.WriteCloser, error) {
	at, ok := conn.LocalAddr().(*net.TCPAddr)
	if !ok {
		return nil, fmt.Errorf("no address of this node in %v", conn.LocalAddr())
	}
	dialer := net.Dialer{Control: control(func(fd int) error { return setTTL(fd, r.Address, neighborTTL) })}
	to := net.JoinHostPort(r.Address.String(), strconv.Itoa(portOf(r)))
	var c net.Conn
	var err error
	for range 8 { // ports that others may have
		dialer.LocalAddr = &net.UDPAddr{IP: at.IP, Zone: at.Zone, Port: 49152 + rand.IntN(1<<16-49152)}
		err = d.inside(func() error {
			c, err = dialer.DialContext(context.Background(), "udp", to)
			return err
		})
		if err == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("send to %s: %w", to, bare(err))
}

// listen begins to listen, if nobody does so yet. The caller holds the lock.
func (d *detector) listen(k socketKey) error {
	if d.sockets[k] != nil {
		return nil
	}
	var c net.PacketConn
	err := d.inside(func() (err error) {
		lc := net.ListenConfig{}
		c, err = lc.ListenPacket(context.Background(), []string{"udp4", "udp6"}[k.family], ":"+strconv.Itoa(k.port))
		return err
	})
	if err != nil {
		return fmt.Errorf("listen at UDP port %d: %w", k.port, bare(err))
	}
	read, err := withTTL(c, k.family)
	if err != nil {
		_ = c.Close()
		return err
	}
	d.sockets[k] = c
	go d.receive(k.port, read)
	return nil
}

// readTTL reads a packet with its TTL or hop limit, and its sender.
type readTTL func([]byte) (n, ttl int, from net.Addr, err error)

func withTTL(c net.PacketConn, family int) (readTTL, error) {
	if family == 0 {
		p := ipv4.NewPacketConn(c)
		return func(b []byte) (int, int, net.Addr, error) {
			n, m, from, err := p.ReadFrom(b)
			if m == nil {
				return n, 0, from, err
			}
			return n, m.TTL, from, err
		}, p.SetControlMessage(ipv4.FlagTTL, true)
	}
	p := ipv6.NewPacketConn(c)
	return func(b []byte) (int, int, net.Addr, error) {
		n, m, from, err := p.ReadFrom(b)
		if m == nil {
			return n, 0, from, err
		}
		return n, m.HopLimit, from, err
	}, p.SetControlMessage(ipv6.FlagHopLimit, true)
}

// receive reads packets until the socket is closed. On one network none may have passed a router
// (RFC 5881, 5).
func (d *detector) receive(port int, read readTTL) {
	b := make([]byte, 512)
	for {
		n, ttl, from, err := read(b)
		if err != nil {
			return
		}
		h := &bfd.BFDHeader{}
		if port == 3784 && ttl != neighborTTL || h.UnmarshalBinary(b[:n]) != nil {
			continue
		}
		if u, ok := from.(*net.UDPAddr); ok {
			d.deliver(port, u.AddrPort().Addr().Unmap(), h)
		}
	}
}

// deliver gives a packet to the session that it names, or to that with its sender. A session that
// is busy misses it.
func (d *detector) deliver(port int, from netip.Addr, h *bfd.BFDHeader) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for local, w := range d.sessions {
		if w.from == from && w.port == port && (h.YourDiscriminator == 0 || h.YourDiscriminator == local) {
			select {
			case w.heard <- h:
			default:
			}
			return
		}
	}
}

// stop ends all listening.
func (d *detector) stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, c := range d.sockets {
		_ = c.Close()
		delete(d.sockets, k)
	}
}
