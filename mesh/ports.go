package mesh

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

// ports are the transports of all addresses that this node listens on, as one for memberlist. What
// is sent goes out by the one of the destination's family; which address a member is sent to, route
// says. The set may change while memberlist runs.
type ports struct {
	listen func(netip.AddrPort) (memberlist.NodeAwareTransport, error)
	route  func(memberlist.Address) memberlist.Address
	gate   *gate

	packets chan *memberlist.Packet
	streams chan net.Conn
	tasks   sync.WaitGroup

	mu   sync.Mutex // Guards all following fields.
	open []*port    // In the order in which they were asked for.
	shut bool
}

// port is one of them.
type port struct {
	memberlist.NodeAwareTransport
	at   netip.AddrPort
	gone chan struct{}
}

var _ memberlist.NodeAwareTransport = (*ports)(nil)

func newPorts(listen func(netip.AddrPort) (memberlist.NodeAwareTransport, error), route func(memberlist.Address) memberlist.Address, g *gate) *ports {
	return &ports{listen: listen, route: route, gate: g, packets: make(chan *memberlist.Packet), streams: make(chan net.Conn)}
}

// follow makes want the addresses that are listened on, and returns those that are. The former ones
// stay as long as none of the wanted ones can be had. The error joins why some cannot.
func (p *ports) follow(want []netip.AddrPort) (have []netip.AddrPort, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shut {
		return nil, net.ErrClosed
	}
	var open, old []*port
	var errs []error
	for _, at := range want {
		i := slices.IndexFunc(p.open, func(o *port) bool { return o.at == at })
		if i >= 0 {
			open = append(open, p.open[i])
			continue
		}
		via, err := p.listen(at)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		o := &port{NodeAwareTransport: via, at: at, gone: make(chan struct{})}
		p.tasks.Go(func() { p.forward(o) })
		open = append(open, o)
	}
	if len(open) > 0 {
		old = slices.DeleteFunc(slices.Clone(p.open), func(o *port) bool { return slices.Contains(open, o) })
		p.open = open
	}
	for _, o := range old {
		errs = append(errs, o.end())
	}
	for _, o := range p.open {
		have = append(have, o.bound())
	}
	return have, errors.Join(errs...)
}

// bound is the address with the port that it was given, if any port would do.
func (o *port) bound() netip.AddrPort {
	ip, number, err := o.FinalAdvertiseAddr("", 0)
	if addr, ok := netip.AddrFromSlice(ip); ok && err == nil {
		return netip.AddrPortFrom(addr.Unmap(), uint16(number))
	}
	return o.at
}

// end closes a port.
func (o *port) end() error {
	close(o.gone)
	if err := o.Shutdown(); err != nil {
		return fmt.Errorf("close gossip on %s: %w", o.at, err)
	}
	return nil
}

// forward hands over what a port receives, until it is closed.
func (p *ports) forward(o *port) {
	for {
		select {
		case <-o.gone:
			return
		case m := <-o.PacketCh():
			select {
			case p.packets <- m:
			case <-o.gone:
				return
			}
		case c := <-o.StreamCh():
			if c = p.gate.admit(c); c == nil {
				continue
			}
			select {
			case p.streams <- c:
			case <-o.gone:
				_ = c.Close()
				return
			}
		}
	}
}

// by returns the port from which an address is reached, or nil. One port alone may be of both
// families.
func (p *ports) by(addr string) *port {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.open) == 1 {
		return p.open[0]
	}
	to, err := netip.ParseAddrPort(addr)
	for _, o := range p.open {
		if err != nil || o.at.Addr().BitLen() == to.Addr().Unmap().BitLen() {
			return o
		}
	}
	return nil
}

// FinalAdvertiseAddr returns the configured address, or the first one that is listened on.
func (p *ports) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.open) == 0 {
		return nil, 0, net.ErrClosed
	}
	return p.open[0].FinalAdvertiseAddr(ip, port)
}

// WriteTo sends a datagram.
func (p *ports) WriteTo(b []byte, addr string) (time.Time, error) {
	return p.WriteToAddress(b, memberlist.Address{Addr: addr})
}

// WriteToAddress sends a datagram to a member. Errors are of a kind that memberlist takes for a
// failed probe.
func (p *ports) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	a = p.route(a)
	o := p.by(a.Addr)
	if o == nil {
		return time.Time{}, &net.OpError{Op: "write", Net: "udp", Err: syscall.EAFNOSUPPORT}
	}
	return o.WriteToAddress(b, a)
}

// PacketCh yields received datagrams.
func (p *ports) PacketCh() <-chan *memberlist.Packet { return p.packets }

// StreamCh yields accepted connections.
func (p *ports) StreamCh() <-chan net.Conn { return p.streams }

// DialTimeout connects to a peer.
func (p *ports) DialTimeout(addr string, limit time.Duration) (net.Conn, error) {
	return p.DialAddressTimeout(memberlist.Address{Addr: addr}, limit)
}

// DialAddressTimeout connects to a member.
func (p *ports) DialAddressTimeout(a memberlist.Address, limit time.Duration) (net.Conn, error) {
	a = p.route(a)
	o := p.by(a.Addr)
	if o == nil {
		return nil, fmt.Errorf("%w: %w", errNoAnswer, syscall.EAFNOSUPPORT)
	}
	return o.DialAddressTimeout(a, limit)
}

// Shutdown closes everything and waits for what it started.
func (p *ports) Shutdown() error {
	p.mu.Lock()
	open := p.open
	p.open, p.shut = nil, true
	p.mu.Unlock()
	var errs []error
	for _, o := range open {
		errs = append(errs, o.end())
	}
	p.tasks.Wait()
	return errors.Join(errs...)
}
