package mesh

import (
	"net"
	"time"
)

const (
	// streamTime is the longest life of a connection that we opened. memberlist
	// forgets one whose first write failed.
	streamTime = 30 * time.Second
	// streamLimit is how many connections of others may be open at once:
	// memberlist works on 128 at a time and keeps each for up to TCPTimeout.
	streamLimit = 256
)

// track notes a connection so that Shutdown can end it. It refuses when the
// wire is shut, or too many foreign connections are open.
func (w *wire) track(c net.Conn, foreign bool) (*stream, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.open == nil || foreign && w.foreign >= streamLimit {
		return nil, false
	}
	s := &stream{Conn: c, wire: w, foreign: foreign}
	w.open[s] = struct{}{}
	if foreign {
		w.foreign++
	}
	return s, true
}

// stream is a connection that is forgotten when it is closed.
type stream struct {
	net.Conn
	wire    *wire
	foreign bool
	life    *time.Timer // Of our own connections.
}

// Close may be called more than once.
func (s *stream) Close() error {
	s.wire.mu.Lock()
	if _, ok := s.wire.open[s]; ok {
		delete(s.wire.open, s)
		if s.foreign {
			s.wire.foreign--
		}
	}
	s.wire.mu.Unlock()
	if s.life != nil {
		s.life.Stop()
	}
	return s.Conn.Close()
}
