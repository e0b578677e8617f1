package mesh

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

// memnet is a network in memory: it delays, loses and cuts. Virtual time runs
// over it. Each port has one goroutine that delivers what is due; a timer
// function per datagram would be simpler, but under the race detector many
// thousands of these in one bubble can crash Go 1.26 (golang/go#78156).
type memnet struct {
	mu      sync.Mutex // Guards all following fields and the ports'.
	ports   map[netip.AddrPort]*memport
	cuts    map[[2]netip.Addr]bool   // From, to.
	loss    float64                  // Of datagrams.
	delay   func() time.Duration     // Of datagrams and of dialing.
	udp     bool                     // False: only streams pass.
	ice     map[netip.Addr]time.Time // Until when the process there is stopped: it sends and receives late.
	refused int                      // Attempts to listen on a port in use.

	sent, streamed int // Bytes in datagrams, and in streams.
}

func newMemnet() *memnet {
	return &memnet{
		ports: map[netip.AddrPort]*memport{},
		cuts:  map[[2]netip.Addr]bool{},
		ice:   map[netip.Addr]time.Time{},
		delay: func() time.Duration { return 200*time.Microsecond + rand.N(300*time.Microsecond) },
		udp:   true,
	}
}

// do changes the network.
func (n *memnet) do(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// cut stops everything from one address to another, one way.
func (n *memnet) cut(from, to netip.Addr) {
	n.do(func() { n.cuts[[2]netip.Addr{from, to}] = true })
}

// freeze delays all datagrams of a member until the time is over. Connections to
// it begin, as a kernel takes them without its process, and are not served.
func (n *memnet) freeze(at netip.Addr, d time.Duration) {
	n.do(func() { n.ice[at] = time.Now().Add(d) })
}

func (n *memnet) heal() { n.do(func() { clear(n.cuts) }) }

// split cuts both ways between two groups.
func (n *memnet) split(a, b []netip.Addr) {
	for _, x := range a {
		for _, y := range b {
			n.cut(x, y)
			n.cut(y, x)
		}
	}
}

// listen makes the transport of one member. An address has one owner, as a
// port has.
func (n *memnet) listen(at netip.AddrPort) (memberlist.NodeAwareTransport, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ports[at] != nil {
		n.refused++
		return nil, fmt.Errorf("listen %s: %w", at, syscall.EADDRINUSE)
	}
	p := &memport{
		net: n, at: at, open: map[net.Conn]bool{},
		packets: make(chan *memberlist.Packet, 1024), streams: make(chan net.Conn, 128),
		wake: make(chan struct{}, 1), gone: make(chan struct{}),
	}
	n.ports[at] = p
	go p.deliver()
	return p, nil
}

type memport struct {
	net     *memnet
	at      netip.AddrPort
	packets chan *memberlist.Packet
	streams chan net.Conn
	wake    chan struct{}
	gone    chan struct{} // Closed with shut.
	shut    bool
	open    map[net.Conn]bool
	late    []*memberlist.Packet // Not yet due, the next one first.
}

// deliver hands over datagrams when their time has come.
func (p *memport) deliver() {
	for {
		var next <-chan time.Time
		p.net.do(func() {
			for len(p.late) > 0 && !p.late[0].Timestamp.After(time.Now()) {
				select {
				case p.packets <- p.late[0]:
				default: // The receiver is too slow: lost.
				}
				p.late = p.late[1:]
			}
			if len(p.late) > 0 {
				next = time.After(time.Until(p.late[0].Timestamp))
			}
		})
		select {
		case <-next:
		case <-p.wake:
		case <-p.gone:
			return
		}
	}
}

// accept takes a datagram on its way.
func (p *memport) accept(packet *memberlist.Packet) {
	p.net.do(func() {
		i, _ := slices.BinarySearchFunc(p.late, packet.Timestamp, func(q *memberlist.Packet, due time.Time) int {
			return q.Timestamp.Compare(due)
		})
		p.late = slices.Insert(p.late, i, packet)
	})
	poke(p.wake)
}

var _ memberlist.NodeAwareTransport = (*memport)(nil)

// way is how long the network takes from one port to another, and how long the
// processes at both ends are still stopped.
type way struct{ delay, near, far time.Duration }

// reach returns the port at an address if the network leads there.
func (p *memport) reach(to string, datagram bool) (*memport, way, error) {
	addr, err := netip.ParseAddrPort(to)
	if err != nil {
		return nil, way{}, err
	}
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	q := p.net.ports[addr]
	lost := datagram && (!p.net.udp || rand.Float64() < p.net.loss)
	switch {
	case p.shut:
		return nil, way{}, net.ErrClosed
	case p.at.Addr().BitLen() != addr.Addr().BitLen():
		return nil, way{}, syscall.EAFNOSUPPORT
	case lost, p.net.cuts[[2]netip.Addr{p.at.Addr(), addr.Addr()}]:
		return nil, way{}, errLost
	case !datagram && p.net.cuts[[2]netip.Addr{addr.Addr(), p.at.Addr()}]:
		return nil, way{}, errLost // A handshake needs both ways.
	case q == nil:
		return nil, way{}, errors.New("connection refused")
	}
	late := func(at netip.Addr) time.Duration { return max(time.Until(p.net.ice[at]), 0) }
	return q, way{p.net.delay(), late(p.at.Addr()), late(addr.Addr())}, nil
}

var errLost = errors.New("lost")

func (p *memport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	now := time.Now()
	p.net.do(func() { p.net.sent += len(b) })
	q, w, err := p.reach(a.Addr, true)
	if errors.Is(err, net.ErrClosed) {
		return now, err
	}
	if err != nil {
		return now, nil // Lost without a word, as datagrams are.
	}
	packet := &memberlist.Packet{Buf: slices.Clone(b), From: net.UDPAddrFromAddrPort(p.at), Timestamp: now.Add(w.delay + max(w.near, w.far))}
	q.accept(packet)
	return now, nil
}

func (p *memport) DialAddressTimeout(a memberlist.Address, limit time.Duration) (net.Conn, error) {
	limit = min(limit, dialTime)
	q, w, err := p.reach(a.Addr, false)
	if err != nil {
		if errors.Is(err, errLost) {
			time.Sleep(limit)
		}
		return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	time.Sleep(min(w.delay+w.near, limit))
	inner, outer := net.Pipe()
	mine := memconn{inner, p.at, q.at, p}
	theirs := memconn{outer, q.at, p.at, q}
	taken := false
	p.net.do(func() {
		if p.shut || q.shut {
			return // Meanwhile. A pipe that nobody reads would block forever.
		}
		if w.far > w.delay {
			taken, p.open[inner] = true, true
			return
		}
		select {
		case q.streams <- theirs:
			taken, p.open[inner], q.open[outer] = true, true, true
		default:
		}
	})
	switch {
	case !taken:
		return nil, errors.Join(errNoAnswer, inner.Close(), outer.Close())
	case w.far > w.delay:
		return unserved{mine}, nil
	}
	return mine, nil
}

func (p *memport) Shutdown() error {
	var open []net.Conn
	p.net.do(func() {
		if !p.shut {
			close(p.gone)
		}
		p.shut = true
		if p.net.ports[p.at] == p {
			delete(p.net.ports, p.at)
		}
		for c := range p.open {
			open = append(open, c)
		}
	})
	var err error
	for _, c := range open {
		err = errors.Join(err, c.Close())
	}
	return err
}

func (p *memport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return p.at.Addr().AsSlice(), int(p.at.Port()), nil
}

func (p *memport) WriteTo(b []byte, to string) (time.Time, error) {
	return p.WriteToAddress(b, memberlist.Address{Addr: to})
}

func (p *memport) DialTimeout(to string, d time.Duration) (net.Conn, error) {
	return p.DialAddressTimeout(memberlist.Address{Addr: to}, d)
}
func (p *memport) PacketCh() <-chan *memberlist.Packet { return p.packets }
func (p *memport) StreamCh() <-chan net.Conn           { return p.streams }

// memconn is one end of a stream.
type memconn struct {
	net.Conn
	local, remote netip.AddrPort
	port          *memport
}

func (c memconn) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c memconn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }
func (c memconn) Write(b []byte) (int, error) {
	c.port.net.do(func() { c.port.net.streamed += len(b) })
	return c.Conn.Write(b)
}

func (c memconn) Close() error {
	c.port.net.do(func() { delete(c.port.open, c.Conn) })
	return c.Conn.Close()
}

// unserved is a connection to a process that is stopped: its kernel takes what
// is sent, and nothing comes back.
type unserved struct{ memconn }

func (unserved) Write(b []byte) (int, error) { return len(b), nil }

// testNode is a node as memberlist hands it out.
func testNode(i int, m Meta) *memberlist.Node {
	at := addrNo(i)
	return &memberlist.Node{Name: fmt.Sprintf("n%d", i), Addr: at.Addr().AsSlice(), Port: at.Port(), Meta: m.encode()}
}
