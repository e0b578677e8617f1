package bgp

import (
	"fmt"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/starling-lb/starling/routes"
)

// status is what a session and others know of it. The session writes, others read, and the other
// way round for the paths.
type status struct {
	room *Speaker

	mu      sync.Mutex // guards all following fields
	session routes.Session
	paths   []routes.Path // wanted
	lack    string        // why some of them cannot be announced
	noBFD   string        // why BFD does not run
	began   bool          // established at least once
}

func newStatus(room *Speaker, r routes.Router) *status {
	return &status{room: room, session: routes.Session{Router: r.Name, State: routes.Idle, Since: room.cfg.Now()}}
}

// inherit takes over what outlives a change of the configuration.
func (s *status) inherit(o *status) {
	o.mu.Lock()
	flaps, began := o.session.Flaps, o.began
	o.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.session.Flaps, s.began = flaps, began
}

// stood reports whether the session was established since the process started.
func (s *status) stood() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.began
}

// change changes the session and tells those who watch.
func (s *status) change(f func(*routes.Session)) {
	s.mu.Lock()
	before := s.session
	f(&s.session)
	if s.session.State != before.State {
		s.session.Since = s.room.cfg.Now()
	}
	changed := s.session != before
	s.mu.Unlock()
	if changed {
		s.room.signal()
	}
}

func (s *status) set(state routes.State) {
	s.change(func(r *routes.Session) { r.State = state })
}

func (s *status) offered(a agreed) {
	s.change(func(r *routes.Session) { r.Takes, r.AddPath = a.takes, a.offered })
}

func (s *status) established() {
	s.change(func(r *routes.Session) {
		s.began = true
		r.State, r.Cause, r.Text = routes.Established, "", ""
	})
}

// complete notes that all paths were announced which the router takes.
func (s *status) complete() {
	s.change(func(r *routes.Session) { r.Complete = true })
}

func (s *status) sent(n int) {
	s.change(func(r *routes.Session) { r.Sent = n })
}

// ended reports whether the session had been established.
func (s *status) ended() bool {
	stood := false
	s.change(func(r *routes.Session) {
		stood = r.State == routes.Established
		if stood {
			r.Flaps++
		}
		r.State, r.Sent, r.Complete = routes.Idle, 0, false
	})
	s.withoutBFD("")
	return stood
}

// failed says why there is no session, and when the next attempt is.
func (s *status) failed(f *failure, wait time.Duration, flapping bool) {
	s.change(func(r *routes.Session) {
		r.Cause, r.Text = f.cause, f.text
		if flapping {
			r.Cause = routes.Flapping
			r.Text = fmt.Sprintf("the session came and went %d times, and is held back for %v; the last time: %s", r.Flaps, wait.Round(time.Second), f.text)
		}
	})
}

// withoutBFD says why BFD does not run beside an established session, "" it does.
func (s *status) withoutBFD(text string) {
	s.mu.Lock()
	changed := s.noBFD != text
	s.noBFD = text
	s.mu.Unlock()
	if changed {
		s.room.signal()
	}
}

// want sets the paths that the router is to have.
func (s *status) want(paths []routes.Path) {
	good, lack := usable(paths)
	s.mu.Lock()
	changed := s.lack != lack
	s.paths, s.lack = good, lack
	s.mu.Unlock()
	if changed {
		s.room.signal()
	}
}

func (s *status) wanted() []routes.Path {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paths
}

// view is the session for others. The text of an established one says what it lacks.
func (s *status) view() routes.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.session
	if out.State == routes.Established {
		out.Text, out.NoBFD = s.lacks(), s.noBFD
	}
	return out
}

func (s *status) lacks() string {
	var out []string
	four := sort.Search(len(s.paths), func(i int) bool { return s.paths[i].Prefix.Addr().Is6() }) // they are sorted
	untaken := [2]int{four, len(s.paths) - four}
	for i, name := range []string{"IPv4", "IPv6"} {
		if n := untaken[i]; n > 0 && !s.session.Takes[i] {
			out = append(out, fmt.Sprintf("the router takes no %s, paths not announced for that: %d", name, n))
		}
	}
	if s.lack != "" {
		out = append(out, s.lack)
	}
	if s.noBFD != "" {
		out = append(out, "BFD does not run: "+s.noBFD)
	}
	return strings.Join(out, "; ")
}

// usable are the paths that can be announced, and why others cannot.
func usable(paths []routes.Path) ([]routes.Path, string) {
	var first error
	good := make([]routes.Path, 0, len(paths))
	for _, p := range paths {
		if err := fault(p); err == nil {
			good = append(good, p)
		} else if first == nil {
			first = err
		}
	}
	if first == nil {
		return good, ""
	}
	return good, fmt.Sprintf("paths that cannot be announced: %d, the first: %v", len(paths)-len(good), first)
}

func fault(p routes.Path) error {
	if !p.Prefix.IsValid() || p.Prefix != p.Prefix.Masked() {
		return fmt.Errorf("prefix %s: bits are set behind its length", p.Prefix)
	}
	if p.NextHop.Is4() != p.Prefix.Addr().Is4() || !p.NextHop.IsValid() {
		return fmt.Errorf("prefix %s: the next hop %s is of another IP family", p.Prefix, p.NextHop)
	}
	if _, err := parseCommunities(p.Communities); err != nil {
		return fmt.Errorf("prefix %s: %w", p.Prefix, err)
	}
	return nil
}
