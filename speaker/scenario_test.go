package speaker

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

// scenario is one fault, or a few, that happen to a cluster, with limits of its own: they are sums
// of the times that the documentation names, written as numbers, so a slower rule breaks them.
type scenario struct {
	name  string
	nodes int
	run   func(s *scene)
}

// scene is a cluster of a scenario, with an address that top owns and second is next in line for.
type scene struct {
	*model
	ip                 string
	top, second, third string
	client             *client
}

// record notes what goes wrong instead of failing a test.
type record struct {
	testing.TB
	wrong []string
}

// ended is what Fatalf of a record panics with.
type ended struct{}

func (r *record) Helper() {}
func (r *record) Errorf(format string, args ...any) {
	r.wrong = append(r.wrong, fmt.Sprintf(format, args...))
}
func (r *record) Fatalf(format string, args ...any) { r.Errorf(format, args...); panic(ended{}) }

// play runs a scenario by some rules and returns what goes wrong.
func (x scenario) play(t *testing.T, r rules) (wrong []string) {
	synctest.Test(t, func(t *testing.T) {
		rec := &record{TB: t}
		s := &scene{model: newModel(rec, tenAddresses), client: &client{"client", map[netip.Addr]string{}}}
		s.rules, s.clients = r, []*client{s.client}
		for i := range x.nodes {
			s.start(fmt.Sprint("n", i+1))
		}
		func() {
			defer func() {
				if p := recover(); p != nil && p != any(ended{}) {
					panic(p)
				}
			}()
			s.pass(time.Second)
			x.run(s)
		}()
		for _, b := range append(slices.Collect(maps.Values(s.speakers)), s.replaced...) {
			if b.ice != nil {
				close(b.ice)
				b.ice = nil
			}
		}
		s.end()
		wrong = rec.wrong
	})
	return wrong
}

// web makes a Service and waits until all is calm.
func (s *scene) web(edits ...func(*watcher.Service)) {
	edit := func(v *watcher.Service) {
		for _, e := range edits {
			e(v)
		}
	}
	s.create("web", edit, s.others("")...)
	s.ip = s.bound("web")
	s.top, s.second, s.third = s.rank(s.ip)
	s.pass(10 * time.Second)
}

func local(v *watcher.Service) { v.Local = true }

// limit runs f and holds what it does to the address against what is allowed: so long nobody, or
// two, may answer.
func (s *scene) limit(what string, gap, double time.Duration, f func()) {
	if g, d := s.during(s.ip, f); g > gap || d > double {
		s.t.Errorf("%s: no answer for %s, allowed %s; two for %s, allowed %s", what, g, gap, d, double)
	}
}

// within waits in virtual time until something is so, and for no longer than it may take.
func (s *scene) within(what string, limit time.Duration, ok func() bool) {
	begun := time.Now()
	for !ok() {
		if time.Since(begun) > limit {
			s.t.Fatalf("not within %s: %s", limit, what)
		}
		<-time.After(time.Millisecond)
		synctest.Wait()
	}
}

// believes waits until the neighbor cache of the client has the right MAC.
func (s *scene) believes(name string, limit time.Duration) {
	s.within("the client believes "+name, limit, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.client.cache[netip.MustParseAddr(s.ip)] == s.speakers[name].mac
	})
}

func (s *scene) owns(name string) func() bool {
	return func() bool { return slices.Equal(s.owners(s.ip), []string{name}) }
}

// sees reports whether a node takes another one for being in a state.
func (s *scene) sees(by, name string, state mesh.State) func() bool {
	return func() bool {
		return slices.ContainsFunc(s.speakers[by].speaker.Snapshot().Members, func(m api.Member) bool { return m.Name == name && m.State == string(state) })
	}
}

// cut loses the frames between a talker and listeners, and passes them again.
func (s *scene) cut(talker string, lost bool, listeners ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range listeners {
		s.split[link{l, talker}] = lost
	}
}

// unrefuted loses the messages of the owner, though gossip goes on.
func (s *scene) unrefuted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.speakers {
		s.deaf[link{n, s.top}] = true
	}
}

// patient has all nodes keep the addresses of one whose speaker is away for so long.
func (s *scene) patient(grace time.Duration) {
	for _, n := range s.others("") {
		s.restart(n, grace)
	}
	s.pass(10 * time.Second)
}

// unheard loses all messages to a node, though gossip goes on.
func (s *scene) unheard(listener string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range s.speakers {
		s.deaf[link{listener, n}] = true
	}
}

// believe makes a node see endpoints where there may be none.
func (s *scene) believe(n string, nodes ...string) {
	s.set(n, func(b *node) { b.endpoints = nodes; poke(b.kubed) })
}

// forge sends everybody a claim in the name of a node.
func (s *scene) forge(name string) { s.claim(s.ip, s.speakers[name].mac) }

// die takes a host off the wire; gossip notices after much longer.
func (s *scene) die(name string) { s.dies(name, 10*time.Second) }

// conflicts are those that the owner shows, as kinds.
func (s *scene) conflicts(of string) (kinds []string) {
	for _, c := range (*modelWire)(s.speakers[of]).State().Conflicts {
		kinds = append(kinds, c.Kind)
	}
	return kinds
}

const ms = time.Millisecond

func scenarios() []scenario {
	return slices.Concat(deaths(), contested(), handovers(), announcements(), tentatives(), returns(), clocks(), absences(), forwarding(), refusals())
}

// TestScenarios: by the rules that speakers use nothing goes wrong.
func TestScenarios(t *testing.T) {
	for _, x := range scenarios() {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			for _, wrong := range x.play(t, standard()) {
				t.Error(wrong)
			}
		})
	}
}
