package bgp

import (
	"context"
	"slices"
	"time"

	wire "github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/starling-lb/starling/routes"
)

// hold keeps an established session.
func (s *session) hold(ctx context.Context, l *link, a agreed) *failure {
	s.sent = table{}
	s.room.cfg.Log.Info().Str("router", s.router.Name).Stringer("address", s.router.Address).Msg("BGP session established")
	silence, pulse := newTimer(a.hold), newTicker(a.pause)
	defer silence.Stop()
	defer pulse.Stop()
	fault, stop := s.detect(l.Conn)
	defer stop()
	if f := s.begin(l, a); f != nil {
		return f
	}
	for {
		var f *failure
		select {
		case <-ctx.Done():
			_ = s.synchronize(l, a, patience) // what was applied last; it ends either way
			return s.leave(ctx)
		case <-s.news:
			f = s.synchronize(l, a, a.within())
		case <-pulse.C:
			f = s.write(l, a, a.within(), wire.NewBGPKeepAliveMessage())
		case <-silence.C:
			f = failed(routes.Timeout, "the router said nothing for the hold time of %v", a.hold)
			f.last = &wire.BGPNotification{ErrorCode: wire.BGP_ERROR_HOLD_TIMER_EXPIRED}
		case text := <-fault:
			f = failed(routes.Timeout, "%s", text)
			f.last = &wire.BGPNotification{ErrorCode: wire.BGP_ERROR_CEASE, ErrorSubcode: bfdDown}
		case r := <-l.in:
			if a.hold > 0 {
				silence.Reset(a.hold)
			}
			f = s.hear(l, a, r)
		}
		if f != nil {
			return f
		}
	}
}

// bfdDown is the subcode of RFC 9384.
const bfdDown = 10

// newTimer never fires if d is zero.
func newTimer(d time.Duration) *time.Timer {
	if d == 0 {
		t := time.NewTimer(time.Hour)
		t.Stop()
		return t
	}
	return time.NewTimer(d)
}

func newTicker(d time.Duration) *time.Ticker {
	if d == 0 {
		t := time.NewTicker(time.Hour)
		t.Stop()
		return t
	}
	return time.NewTicker(d)
}

// begin sends all paths, and says that these are all (End-of-RIB, RFC 4724, 2).
func (s *session) begin(l *link, a agreed) *failure {
	s.status.established()
	if f := s.synchronize(l, a, a.within()); f != nil {
		return f
	}
	var ends []*wire.BGPMessage
	for i, f := range families {
		if a.takes[i] {
			ends = append(ends, wire.NewEndOfRib(f))
		}
	}
	f := s.write(l, a, a.within(), ends...)
	if f == nil {
		s.status.complete()
	}
	return f
}

// synchronize sends within a time what the router lacks of what it is to have, and withdraws the
// rest.
func (s *session) synchronize(l *link, a agreed, within time.Duration) *failure {
	want := a.wanted(s.status.wanted())
	messages, err := a.updates(s.sent.to(want))
	if err != nil {
		return failed(routes.Unusable, "%v", err)
	}
	f := s.write(l, a, within, messages...)
	if f == nil {
		s.sent = want
		s.status.sent(len(want))
	}
	return f
}

func (s *session) write(l *link, a agreed, within time.Duration, messages ...*wire.BGPMessage) *failure {
	if err := l.write(within, a.options(), messages...); err != nil {
		return lost(err, " while this node sent")
	}
	return nil
}

// hear takes what the router says. Its routes are none of our business.
func (s *session) hear(l *link, a agreed, r received) *failure {
	if r.err != nil {
		return lost(r.err, "")
	}
	switch body := r.message.Body.(type) {
	case *wire.BGPNotification:
		return notified(body, s.peering)
	case *wire.BGPRouteRefresh:
		return s.refresh(l, a, body)
	case *wire.BGPOpen:
		f := failed(routes.Rejected, "the router sent a second OPEN")
		f.last = &wire.BGPNotification{ErrorCode: wire.BGP_ERROR_FSM_ERROR, ErrorSubcode: wire.BGP_ERROR_SUB_RECEIVE_UNEXPECTED_MESSAGE_IN_ESTABLISHED_STATE}
		return f
	}
	return nil
}

// refresh sends all paths of a family again (RFC 2918).
func (s *session) refresh(l *link, a agreed, r *wire.BGPRouteRefresh) *failure {
	f := slices.Index(families[:], wire.NewFamily(r.AFI, r.SAFI))
	if f < 0 {
		return nil
	}
	messages, err := a.updates(table{}.to(s.sent.of(f)))
	if err != nil {
		return failed(routes.Unusable, "%v", err)
	}
	return s.write(l, a, a.within(), messages...)
}
