package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// dialTime is the longest that we wait for a connection. memberlist joins
	// one seed after the other and would wait TCPTimeout for each dead one.
	dialTime = time.Second
	// datagramMost is the largest datagram there is.
	datagramMost = 1 << 16
	// receiveBuffer is asked for; the kernel gives what it allows.
	receiveBuffer = 2 << 20
)

// errNoAnswer marks a seed that could not be connected to. memberlist keeps
// only the text of errors, so the text is what is looked for.
var errNoAnswer = errors.New("mesh: no answer")

// transport is memberlist's transport over one UDP and one TCP socket on the same
// port. In place of memberlist's own it keeps typed errors of listening,
// copies datagrams into buffers of their size (the library makes 64 KB of
// garbage for each), limits dialing, and ends every
// connection at shutdown.
type transport struct {
	tcp     *net.TCPListener
	udp     *net.UDPConn
	packets chan *memberlist.Packet
	streams chan net.Conn

	ctx   context.Context // Ends at Shutdown: dialing and hand-over stop.
	stop  context.CancelFunc
	tasks sync.WaitGroup

	mu   sync.Mutex // Guards open.
	open map[*stream]struct{}
}

var _ memberlist.NodeAwareTransport = (*transport)(nil)

// listenTransport opens both sockets. Port 0 is any port that is free for both.
func listenTransport(bind netip.AddrPort) (memberlist.NodeAwareTransport, error) {
	tries := 1
	if bind.Port() == 0 {
		tries = 10
	}
	var err error
	for range tries {
		var w *transport
		if w, err = openTransport(bind); err == nil {
			w.tasks.Go(w.accept)
			w.tasks.Go(w.receive)
			return w, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, err
}

func openTransport(bind netip.AddrPort) (*transport, error) {
	tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(bind))
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	at := tcp.Addr().(*net.TCPAddr).AddrPort()
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(bind.Addr(), at.Port())))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("gossip: %w", err), tcp.Close())
	}
	_ = udp.SetReadBuffer(receiveBuffer) // A smaller one works too.
	w := &transport{tcp: tcp, udp: udp, packets: make(chan *memberlist.Packet), streams: make(chan net.Conn), open: map[*stream]struct{}{}}
	w.ctx, w.stop = context.WithCancel(context.Background())
	return w, nil
}

// FinalAdvertiseAddr returns the configured address, or the bound one.
func (w *transport) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	at := w.tcp.Addr().(*net.TCPAddr).AddrPort()
	addr := at.Addr()
	if ip != "" {
		a, err := netip.ParseAddr(ip)
		if err != nil {
			return nil, 0, fmt.Errorf("advertise %q: %w", ip, err)
		}
		addr = a
	}
	if ip == "" || port == 0 {
		port = int(at.Port())
	}
	return addr.Unmap().AsSlice(), port, nil
}

// WriteTo sends a datagram.
func (w *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	return w.WriteToAddress(b, memberlist.Address{Addr: addr})
}

// WriteToAddress sends a datagram. Errors stay a *net.OpError: memberlist
// takes one of these for a failed probe.
func (w *transport) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	to, err := netip.ParseAddrPort(a.Addr)
	if err != nil {
		return time.Time{}, fmt.Errorf("send to %q: %w", a.Addr, err)
	}
	_, err = w.udp.WriteToUDPAddrPort(b, to)
	return time.Now(), err
}

// PacketCh yields received datagrams.
func (w *transport) PacketCh() <-chan *memberlist.Packet { return w.packets }

// StreamCh yields accepted connections.
func (w *transport) StreamCh() <-chan net.Conn { return w.streams }

// DialTimeout connects to a peer.
func (w *transport) DialTimeout(addr string, limit time.Duration) (net.Conn, error) {
	return w.DialAddressTimeout(memberlist.Address{Addr: addr}, limit)
}

// DialAddressTimeout connects to a peer, within dialTime at most. It comes
// from the address that we listen on, if that is a certain one: firewalls and
// the peer's log shall see the address of the node.
func (w *transport) DialAddressTimeout(a memberlist.Address, limit time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: min(limit, dialTime)}
	if at := w.tcp.Addr().(*net.TCPAddr); !at.IP.IsUnspecified() {
		d.LocalAddr = &net.TCPAddr{IP: at.IP, Zone: at.Zone}
	}
	c, err := d.DialContext(w.ctx, "tcp", a.Addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
	}
	s, ok := w.track(c)
	if !ok {
		return nil, errors.Join(errNoAnswer, net.ErrClosed, c.Close())
	}
	s.life = time.AfterFunc(streamTime, func() { _ = s.Close() })
	return s, nil
}

// Shutdown closes everything and waits for what it started.
func (w *transport) Shutdown() error {
	w.stop()
	err := errors.Join(w.tcp.Close(), w.udp.Close())
	w.mu.Lock()
	open := w.open
	w.open = nil
	w.mu.Unlock()
	for s := range open {
		err = errors.Join(err, s.Conn.Close())
	}
	w.tasks.Wait()
	return err
}

func (w *transport) accept() {
	for {
		c, err := w.tcp.AcceptTCP()
		if err != nil {
			if w.pause(err) {
				continue
			}
			return
		}
		_ = c.SetReadBuffer(streamBuffer) // A larger one works too.
		s, ok := w.track(c)
		if !ok {
			_ = c.Close()
			continue
		}
		select {
		case w.streams <- s:
		case <-w.ctx.Done():
			_ = s.Close()
		}
	}
}

func (w *transport) receive() {
	buf := make([]byte, datagramMost)
	for {
		n, from, err := w.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			if w.pause(err) {
				continue
			}
			return
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		p := &memberlist.Packet{Buf: append([]byte(nil), buf[:n]...), From: net.UDPAddrFromAddrPort(from), Timestamp: time.Now()}
		select {
		case w.packets <- p:
		case <-w.ctx.Done():
		}
	}
}

// pause waits a moment after a failed read and reports whether there is any
// sense in reading again.
func (w *transport) pause(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	select {
	case <-time.After(10 * time.Millisecond):
		return true
	case <-w.ctx.Done():
		return false
	}
}
