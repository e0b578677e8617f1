package status

import (
	"net"
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// doorSend is how many bytes of an answer the kernel keeps for a client that does not take
	// them, where its own limit is four million; doorReceive those of a request.
	doorSend    = 256 << 10
	doorReceive = 32 << 10
)

// doors accept so many connections of each visitor, and close others at once.
type doors struct {
	net.Listener
	who     func(remote, local netip.Addr) visitor
	open    *counter
	refused prometheus.Counter
}

// Accept returns the next connection that is within the limits.
func (d doors) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		leave, ok := d.open.enter(d.who(addrOf(c.RemoteAddr()), addrOf(c.LocalAddr())))
		if !ok {
			d.refused.Inc()
			_ = c.Close()
			continue
		}
		if t, ok := c.(*net.TCPConn); ok {
			_, _ = t.SetWriteBuffer(doorSend), t.SetReadBuffer(doorReceive) // others work too
		}
		return door{c, sync.OnceFunc(leave)}, nil
	}
}

// door is a connection that counts until it is closed.
type door struct {
	net.Conn
	leave func()
}

// Close may be called more than once.
func (d door) Close() error {
	d.leave()
	return d.Conn.Close()
}
