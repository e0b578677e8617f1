package bgp

import (
	"context"
	"errors"
	"reflect"
	"time"

	wire "github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/starling-lb/starling/routes"
)

// openTime is how long a router may take for its OPEN, and for each word after it until the session
// stands.
const openTime = 15 * time.Second

// Why a session is to end.
var (
	errRemoved = errors.New("the router is not configured any more")
	errChanged = errors.New("the configuration of the router changed")
)

// session is what this node has with one router. Its goroutine connects, keeps the session, and
// begins anew when it ended.
type session struct {
	peering
	room    *Speaker
	cancel  context.CancelCauseFunc
	done    chan struct{} // closed when the goroutine ended
	news    chan struct{} // capacity 1: other paths are wanted
	status  *status
	backoff backoff
	sent    table // what the router has of us
}

// is reports whether the session is one of the peering.
func (s *session) is(p peering) bool { return reflect.DeepEqual(s.peering, p) }

// gone reports whether the session ended.
func (s *session) gone() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// want sets the paths that the router is to have.
func (s *session) want(paths []routes.Path) {
	s.status.want(paths)
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// start begins a session once that before it with the same router ended.
func (s *Speaker) start(ctx context.Context, p peering, paths []routes.Path, before *session) *session {
	n := &session{peering: p, room: s, done: make(chan struct{}), news: make(chan struct{}, 1), status: newStatus(s, p.router)}
	n.status.want(paths)
	ctx, n.cancel = context.WithCancelCause(ctx)
	if before != nil {
		n.status.inherit(before.status)
	}
	go func() {
		defer close(n.done)
		if before != nil {
			<-before.done
			if before.is(p) {
				n.backoff = before.backoff
			}
		}
		n.run(ctx)
	}()
	return n
}

// run holds the session until ctx ends.
func (s *session) run(ctx context.Context) {
	for ctx.Err() == nil {
		since := s.room.cfg.Now()
		f := s.attempt(ctx)
		if ctx.Err() != nil {
			return
		}
		stood := s.status.ended()
		wait := s.backoff.next(stood, s.room.cfg.Now().Sub(since))
		s.status.failed(f, wait, s.backoff.flapping())
		s.log(f, stood, wait)
		sleep(ctx, wait)
	}
}

func (s *session) log(f *failure, stood bool, wait time.Duration) {
	e := s.room.cfg.Log.Debug()
	if stood {
		e = s.room.cfg.Log.Info()
	}
	e.Str("router", s.router.Name).Str("cause", string(f.cause)).Str("reason", f.text).Dur("wait", wait).Msg("BGP session ended")
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// attempt connects to the router and holds the session for as long as it stands.
func (s *session) attempt(ctx context.Context) *failure {
	if !s.RouterID.Is4() {
		return failed(routes.Unusable, "this node has no router ID, which is written as an IPv4 address")
	}
	s.status.set(routes.Connect)
	conn, err := s.room.dial(ctx, s.router)
	if err != nil {
		return notDialed(err, s.router)
	}
	l := newLink(conn)
	a, f := s.greet(ctx, l)
	if f == nil {
		a.local = localOf(conn)
		f = s.hold(ctx, l, a)
	}
	l.finish(f.last)
	return f
}

// greet exchanges the first words: OPEN, then KEEPALIVE.
func (s *session) greet(ctx context.Context, l *link) (agreed, *failure) {
	if err := l.write(openTime, nil, s.open(!s.status.stood())); err != nil {
		return agreed{}, lost(err, " at once")
	}
	s.status.set(routes.OpenSent)
	m, f := s.await(ctx, l, wire.BGP_MSG_OPEN)
	if f != nil {
		return agreed{}, f
	}
	a, err := s.answer(m.Body.(*wire.BGPOpen))
	if err != nil {
		f, _ := errors.AsType[*failure](err)
		return agreed{}, f
	}
	s.status.offered(a)
	if err := l.write(openTime, nil, wire.NewBGPKeepAliveMessage()); err != nil {
		return agreed{}, lost(err, " before the session stood")
	}
	s.status.set(routes.OpenConfirm)
	_, f = s.await(ctx, l, wire.BGP_MSG_KEEPALIVE)
	return a, f
}

// await is the next message of the router, which must be of a type.
func (s *session) await(ctx context.Context, l *link, kind uint8) (*wire.BGPMessage, *failure) {
	t := time.NewTimer(openTime)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return nil, s.leave(ctx)
	case <-t.C:
		f := failed(routes.NoAnswer, "the router takes the connection and says nothing for %v", openTime)
		f.last = &wire.BGPNotification{ErrorCode: wire.BGP_ERROR_HOLD_TIMER_EXPIRED}
		return nil, f
	case r := <-l.in:
		return s.expected(r, kind)
	}
}

func (s *session) expected(r received, kind uint8) (*wire.BGPMessage, *failure) {
	switch {
	case r.err != nil && kind == wire.BGP_MSG_OPEN && broken(r.err) == nil:
		return nil, failed(routes.Refused, "the router closes the connection without a word: it may not know this node as a neighbor")
	case r.err != nil:
		return nil, lost(r.err, " before the session stood")
	case r.message.Header.Type == kind:
		return r.message, nil
	}
	if n, ok := r.message.Body.(*wire.BGPNotification); ok {
		return nil, notified(n, s.peering)
	}
	f := failed(routes.Rejected, "the router sent a message of type %d, and %d was due", r.message.Header.Type, kind)
	f.last = &wire.BGPNotification{ErrorCode: wire.BGP_ERROR_FSM_ERROR}
	return nil, f
}

// leave ends a session because ctx ended. A router that was asked to keep the routes hears nothing
// (RFC 4724). To any other one it sends a NOTIFICATION.
func (s *session) leave(ctx context.Context) *failure {
	f := failed(routes.Rejected, "ended by this node")
	cease := func(subcode uint8) *wire.BGPNotification {
		return &wire.BGPNotification{ErrorCode: wire.BGP_ERROR_CEASE, ErrorSubcode: subcode}
	}
	switch err := context.Cause(ctx); {
	case errors.Is(err, errRemoved):
		f.last = cease(wire.BGP_ERROR_SUB_PEER_DECONFIGURED)
	case s.router.Restart > 0:
	case errors.Is(err, errChanged):
		f.last = cease(wire.BGP_ERROR_SUB_OTHER_CONFIGURATION_CHANGE)
	default:
		f.last = cease(wire.BGP_ERROR_SUB_ADMINISTRATIVE_SHUTDOWN)
	}
	return f
}
