package bgp

import (
	"fmt"
	"io"
	"net"
	"time"

	"github.com/osrg/gobgp/v4/pkg/packet/bfd"

	"github.com/starling-lb/starling/routes"
)

// listenAgain is how often a port that is taken is tried again.
const listenAgain = 10 * time.Second

// answerTime is how often BFD that is not up, beside a session that stands, is looked at for the
// reason.
const answerTime = 10 * time.Second

// detect watches the path to the router by BFD, if that is configured, between the same addresses
// as the session. The channel says why the path is lost.
func (s *session) detect(conn net.Conn) (lost <-chan string, stop func()) {
	if s.router.BFD == nil {
		return nil, func() {}
	}
	w := &pathWatch{
		session: s, conn: conn, lost: make(chan string, 1), end: make(chan struct{}), done: make(chan struct{}),
		heard: make(chan *bfd.BFDHeader, 8),
	}
	go w.run()
	return w.lost, func() {
		close(w.end)
		<-w.done
	}
}

// pathWatch is a BFD session with its goroutine.
type pathWatch struct {
	session *session
	conn    net.Conn
	lost    chan string
	heard   chan *bfd.BFDHeader // from the detector
	end     chan struct{}
	done    chan struct{}
}

func (w *pathWatch) run() {
	defer close(w.done)
	s := w.session
	for {
		out, local, leave, err := s.room.bfd.join(s.router, w.conn, w.heard)
		if err == nil {
			defer leave()
			defer out.Close()
			s.status.withoutBFD("")
			w.watch(out, newDetection(s.router.BFD.Interval, s.router.BFD.Multiplier, local))
			return
		}
		s.status.withoutBFD(err.Error())
		select {
		case <-w.end:
			return
		case <-time.After(listenAgain):
		}
	}
}

// watch exchanges packets until the end, or until the path is lost. It ends without a word: a BIRD
// that hears of an end before the BGP session has ended takes no session for a minute.
func (w *pathWatch) watch(out io.Writer, d *detection) {
	send, silence, late := time.NewTimer(0), newTimer(0), time.NewTicker(answerTime)
	defer send.Stop()
	defer silence.Stop()
	defer late.Stop()
	for {
		lost := ""
		select {
		case <-w.end:
			return
		case <-send.C:
			if !d.quiet() {
				say(out, d.say(false))
			}
			send.Reset(d.pause())
		case <-late.C:
			if why := d.notUp(); why != "" {
				w.session.status.withoutBFD(fmt.Sprintf("%s (UDP port %d)", why, portOf(w.session.router)))
			}
		case <-silence.C:
			lost = d.expire()
		case h := <-w.heard:
			lost = w.hear(out, d, h, send)
			if p := d.patience(); p > 0 {
				silence.Reset(p)
			} else {
				silence.Stop()
			}
		}
		if lost != "" {
			say(out, d.say(false)) // so that the router knows it too
			w.lost <- lost
			return
		}
	}
}

func (w *pathWatch) hear(out io.Writer, d *detection, h *bfd.BFDHeader, send *time.Timer) string {
	before, apart := d.state, d.apart()
	answer, lost := d.hear(h)
	if answer {
		say(out, d.say(true))
	}
	if d.apart() < apart {
		send.Reset(d.pause()) // the next packet was to come later than the router now waits
	}
	if d.state != before {
		w.session.room.cfg.Log.Debug().Str("router", w.session.router.Name).Stringer("state", d.state).Msg("BFD session changed")
		send.Reset(0)
		if d.state == bfd.StateUp {
			w.session.status.withoutBFD("")
		}
	}
	return lost
}

// say sends a packet. One that does not leave is like one that is lost.
func say(out io.Writer, h *bfd.BFDHeader) {
	if b, err := h.MarshalBinary(); err == nil {
		_, _ = out.Write(b)
	}
}

// portOf is the UDP port of BFD: beside a router of the same network, or far from one (RFC 5881,
// 5883).
func portOf(r routes.Router) int {
	if r.Multihop > 0 {
		return 4784
	}
	return 3784
}
