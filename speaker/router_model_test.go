package speaker

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/starling-lb/starling/routes"
)

// Times of the router of the model.
const (
	sessionTime = time.Second      // until a session is there
	holdTime    = 90 * time.Second // until the router believes that a silent speaker is gone
)

// modelRouter is a router tor1 on the network of the nodes. A speaker that
// ends or crashes leaves its paths there for its Restart (RFC 4724), and a dead node for the hold
// time.
type modelRouter struct {
	m              *model
	takes, addPath [2]bool // as sessions have them

	mu       sync.Mutex // guards all following fields
	sessions map[string]*modelSession
	barred   map[string]bool // nodes that it turns away
	least    int             // next hops that there were at any moment since it was reset
	gone     []time.Time     // by each change of the next hops since then
	hops     []netip.Addr
	applied  int // sets, by all speakers together
}

// modelSession is the session of one process of a speaker.
type modelSession struct {
	r       *modelRouter
	b       *node
	changed chan struct{}

	// under the lock of the router
	wanted, up bool
	settings   routes.Router // as applied last, without paths
	paths      []routes.Path // likewise
	table      []routes.Path // as the router believes
	born       int
}

func (m *model) router() *modelRouter {
	return &modelRouter{m: m, takes: [2]bool{true, true}, addPath: [2]bool{true, true}, sessions: map[string]*modelSession{}}
}

// plugged makes the session of a process that starts.
func (r *modelRouter) plugged(b *node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := &modelSession{r: r, b: b, changed: make(chan struct{}, 1)}
	if old := r.sessions[b.name]; old != nil {
		s.table, old.up = old.table, false // stale, until the new one has announced all
	}
	r.sessions[b.name], b.routers = s, s
}

// Apply is part of Routers.
func (s *modelSession) Apply(set routes.Set) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	if s.r.sessions[s.b.name] != s {
		return // of an earlier process
	}
	s.r.applied++
	s.wanted, s.paths = len(set.Routers) > 0, nil
	if !s.wanted {
		s.up, s.table = false, nil // Cease
		s.r.note()
		return
	}
	next := set.Routers[0]
	s.paths, next.Paths = next.Paths, nil
	if s.up && !reflect.DeepEqual(next, s.settings) { // the router keeps nothing
		s.up, s.table = false, nil
		s.r.note()
		poke(s.changed)
	}
	s.settings = next
	if s.up {
		s.send()
		return
	}
	if s.born++; s.born == 1 {
		time.AfterFunc(sessionTime, s.establish)
	}
}

// establish has the session, if it is still wanted and the process runs.
func (s *modelSession) establish() {
	alive := s.alive()
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	if s.born = 0; !s.wanted || !alive || s.r.barred[s.b.name] || s.r.sessions[s.b.name] != s {
		return
	}
	s.up = true
	s.send()
	poke(s.changed)
}

// alive reports whether what the process sends reaches the router.
func (s *modelSession) alive() bool {
	s.b.m.mu.Lock()
	defer s.b.m.mu.Unlock()
	return s.b.up && !s.b.ended && !s.b.killed
}

// send gives the router what was applied last, after the latency of the wire. The lock of the
// router is held.
func (s *modelSession) send() {
	paths := s.takes()
	time.AfterFunc(s.b.m.latency, func() {
		if !s.alive() {
			return
		}
		s.r.mu.Lock()
		defer s.r.mu.Unlock()
		if s.up {
			s.table = paths
			s.r.note()
		}
	})
}

// takes are the paths applied last, as far as the router takes them. The lock of the router is
// held.
func (s *modelSession) takes() (paths []routes.Path) {
	for _, p := range s.paths {
		f := 0
		if p.Prefix.Addr().Is6() {
			f = 1
		}
		again := len(paths) > 0 && paths[len(paths)-1].Prefix == p.Prefix
		if s.r.takes[f] && (s.r.addPath[f] || !again) {
			paths = append(paths, p)
		}
	}
	return paths
}

// Sessions is part of Routers.
func (s *modelSession) Sessions() []routes.Session {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	switch {
	case !s.wanted:
		return nil
	case s.up:
		return []routes.Session{{Router: "tor1", State: routes.Established, Sent: len(s.takes()), Complete: true, Takes: s.r.takes, AddPath: s.r.addPath}}
	}
	return []routes.Session{{Router: "tor1", State: routes.Connect}}
}

// Changed is part of Routers.
func (s *modelSession) Changed() <-chan struct{} { return s.changed }

// note looks at the next hops of the IPv4 prefix by all sessions together. The lock is held.
func (r *modelRouter) note() {
	var hops []netip.Addr
	for _, s := range r.sessions {
		for _, p := range s.table {
			if !p.Leaving && p.Prefix.Addr().Is4() {
				hops = append(hops, p.NextHop)
			}
		}
	}
	slices.SortFunc(hops, netip.Addr.Compare)
	hops = slices.Compact(hops)
	if !slices.Equal(hops, r.hops) {
		r.gone = append(r.gone, time.Now())
	}
	r.hops, r.least = hops, min(r.least, len(hops))
}

// count is how many next hops there are now, and how many sessions.
func (r *modelRouter) count() (hops, sessions int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sessions {
		if s.up {
			sessions++
		}
	}
	return len(r.hops), sessions
}

// bar has the router turn away the nodes that have sessions now.
func (r *modelRouter) bar() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.barred = map[string]bool{}
	for name, s := range r.sessions {
		if s.up {
			r.barred[name], s.up, s.table = true, false, nil
			poke(s.changed)
		}
	}
	r.note()
}

// holder is a node that has a session, the first by name.
func (r *modelRouter) holder() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(r.sessions)) {
		if r.sessions[name].up {
			return name
		}
	}
	return ""
}

// watch runs f, and returns the fewest next hops that there were meanwhile, and when they changed.
func (r *modelRouter) watch(f func()) (least int, changes []time.Time) {
	r.mu.Lock()
	r.least, r.gone = len(r.hops), nil
	r.mu.Unlock()
	f()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.least, r.gone
}
