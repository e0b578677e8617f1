package mesh

import (
	"net"
	"time"
)

const (
	// streamTime is the longest life of a connection that we opened. memberlist
	// forgets one whose first write failed.
	streamTime = 30 * time.Second
	// streamBuffer is how many bytes the kernel keeps of a connection that
	// others opened; its own limit is six million.
	streamBuffer = 64 << 10
)

// track notes a connection so that Shutdown can end it. It refuses when the
// wire is shut.
func (w *transport) track(c net.Conn) (*stream, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == nil {
		return nil, false
	}
	s := &stream{Conn: c, wire: w}
	w.open[s] = struct{}{}
	return s, true
}

// stream is a connection that is forgotten when it is closed.
type stream struct {
	net.Conn
	wire *transport
	life *time.Timer // Of our own connections.
}

// Close may be called more than once.
func (s *stream) Close() error {
	s.wire.mu.Lock()
	delete(s.wire.open, s)
	s.wire.mu.Unlock()
	if s.life != nil {
		s.life.Stop()
	}
	return s.Conn.Close()
}
