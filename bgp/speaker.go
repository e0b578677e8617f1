package bgp

import (
	"cmp"
	"context"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/routes"
)

// Config is what a speaker needs.
type Config struct {
	Now      func() time.Time // the clock, monotonic as that of time.Now; nil: time.Now
	Log      zerolog.Logger
	Registry prometheus.Registerer // nil: no metrics
}

// Speaker holds the sessions of this node with routers. Its methods may be called from any
// goroutine.
type Speaker struct {
	cfg     Config
	dial    func(context.Context, routes.Router) (net.Conn, error)
	bfd     *detector
	changed chan struct{} // capacity 1: a session has changed
	again   chan struct{} // capacity 1: another set was applied

	mu       sync.Mutex // guards all following fields
	set      routes.Set
	sessions map[string]*session // by the router's name
}

// New makes a speaker, which does nothing before Run.
func New(cfg Config) *Speaker {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Speaker{
		cfg: cfg, dial: dial, bfd: newDetector(),
		changed: make(chan struct{}, 1), again: make(chan struct{}, 1), sessions: map[string]*session{},
	}
	if cfg.Registry != nil {
		cfg.Registry.MustRegister(collector{s})
	}
	return s
}

// Run holds the sessions until ctx ends, and returns nil. Before it ends the sessions it sends what
// was applied last, for a second at most. A router with a Restart keeps the routes: its session
// ends without a word (RFC 4724). Any other router gets a NOTIFICATION.
func (s *Speaker) Run(ctx context.Context) error {
	sessions, end := context.WithCancel(context.WithoutCancel(ctx)) // they hear of what was applied last, also if ctx ended
	defer end()
	ending := s.arrange(sessions, nil)
	for ctx.Err() == nil {
		select {
		case <-s.again:
		case <-ctx.Done():
		}
		ending = slices.DeleteFunc(s.arrange(sessions, ending), (*session).gone)
	}
	end()
	s.mu.Lock()
	for _, n := range s.sessions {
		ending = append(ending, n)
	}
	s.mu.Unlock()
	for _, n := range ending {
		<-n.done
	}
	s.bfd.stop()
	return nil
}

// arrange begins and ends sessions as the set wants it. It returns those that are ending with those
// that it ended.
func (s *Speaker) arrange(ctx context.Context, ending []*session) []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := func(n *session, why error) {
		n.cancel(why)
		s.signal()
		ending = append(ending, n)
	}
	wanted := map[string]bool{}
	for _, r := range s.set.Routers {
		wanted[r.Name] = true
		p := peeringOf(s.set, r)
		old := s.sessions[r.Name]
		if old != nil && old.is(p) {
			old.want(r.Paths)
			continue
		}
		s.sessions[r.Name] = s.start(ctx, p, r.Paths, cmp.Or(old, lastWith(ending, r.Name)))
		if old != nil {
			end(old, errChanged)
		}
	}
	for name, n := range s.sessions {
		if !wanted[name] {
			delete(s.sessions, name)
			end(n, errRemoved)
		}
	}
	return ending
}

// lastWith is the session with a router that is to end last, nil if none is.
func lastWith(ending []*session, router string) *session {
	for _, n := range slices.Backward(ending) {
		if n.router.Name == router {
			return n
		}
	}
	return nil
}

// Apply gives the set that is to be in force. It does not block, and may be called before Run. The
// session with a router that is not in the set ends with a NOTIFICATION. The set is not changed
// afterwards, neither here nor by the caller.
func (s *Speaker) Apply(set routes.Set) {
	s.mu.Lock()
	s.set = set
	s.mu.Unlock()
	select {
	case s.again <- struct{}{}:
	default:
	}
}

// Sessions are the routers of the set with what became of them, sorted by name.
func (s *Speaker) Sessions() []routes.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]routes.Session, 0, len(s.sessions))
	for _, n := range s.sessions {
		out = append(out, n.status.view())
	}
	slices.SortFunc(out, func(a, b routes.Session) int { return cmp.Compare(a.Router, b.Router) })
	return out
}

// Changed is signaled when Sessions may return something else.
func (s *Speaker) Changed() <-chan struct{} { return s.changed }

func (s *Speaker) signal() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}
