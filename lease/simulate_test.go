package lease

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// simulation has several speakers with tables of their own, each at its own place in the stream,
// with writes on their way, opinions of their own on ranks, members and pools, and users who do
// anything.
type simulation struct {
	t        *testing.T
	seed     uint64
	rand     *rand.Rand
	trace    []string
	api      *server
	history  []map[Key]Service // what the API server had, revision by revision
	backup   backup
	actions  []string
	restored int // the first place in the history after a backup was restored
	speakers []*speaker
	configs  []*Pools
	now      time.Time
	forced   map[grip]bool // bound by users' hands
	labels   []Labels      // of the namespace, change by change; first it is not known
}

// grip is a Service's hold of an address.
type grip struct {
	Key
	ip netip.Addr
}

type speaker struct {
	name   string
	table  *Table
	at     int    // place in the history
	cut    bool   // its watch is broken, only a list helps
	lost   bool   // a backup was restored since its table was fed: it does nothing before it lists
	space  int    // place in the changes of the namespace
	outbox []Step // decided, not yet landed
	rank   int
	pools  *Pools
	spread *Spread
	differ bool            // gossip has told it that others have other pools
	behind int             // other configurations that come before its own, as it believes
	dead   map[string]bool // other speakers that it takes for dead
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	t.Helper()
	s := &simulation{t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 0)), api: newServer(), now: epoch, forced: map[grip]bool{}, labels: []Labels{nil}}
	s.configs = s.pools()
	s.record()
	s.save()
	s.actions = strings.Fields(actions)
	for what := range strings.FieldsSeq(mishaps) {
		if s.rand.IntN(2) == 0 {
			s.actions = append(s.actions, what)
		}
	}
	for i := range 2 + s.rand.IntN(6) {
		s.speakers = append(s.speakers, &speaker{name: fmt.Sprint("n", i), table: NewTable(), rank: i, pools: s.configs[0], dead: map[string]bool{}})
	}
	return s
}

// pools are two configurations, with addresses for everybody or for few.
func (s *simulation) pools() []*Pools {
	one := Pool{Name: "one", Ranges: []string{fmt.Sprint("192.0.2.1-192.0.2.", 1+s.rand.IntN(3)), fmt.Sprint("2001:db8::1-2001:db8::", 1+s.rand.IntN(2))}}
	two := Pool{Name: "two", Ranges: []string{"192.0.2.9/32"}, AutoAssign: new(s.rand.IntN(2) == 0)}
	three := Pool{Name: "three", Ranges: []string{"192.0.2.12/32"}, Priority: new(1), ServiceSelectors: []Selector{{MatchLabels: Labels{"tier": "3"}}}}
	four := Pool{Name: "four", Ranges: []string{"192.0.2.14/32", "2001:db8::4/128"}, Priority: new(0), NamespaceSelectors: []Selector{{MatchLabels: Labels{"env": "four"}}}}
	three.Keep, three.RevokeAfter = KeepNever, oneOf(s.rand, []Duration{"0s", "3s", ""})
	if four.Keep = oneOf(s.rand, []Keep{"", KeepNever}); s.rand.IntN(2) == 0 {
		one.Keep, one.RevokeAfter = KeepNever, oneOf(s.rand, []Duration{"500ms", "1m"})
	}
	forAll := four
	forAll.NamespaceSelectors, forAll.Keep = nil, KeepAlways
	return []*Pools{
		mustPools(s.t, one, two, three, four),
		mustPools(s.t, Pool{Name: "two", Ranges: []string{"192.0.2.9/32", "2001:db8::2/128"}}, Pool{Name: "one", Ranges: []string{"192.0.2.0-192.0.2.2"}, Exclude: []string{"192.0.2.0"}}, forAll),
	}
}

func (s *simulation) view(p *speaker) View {
	v := View{Now: s.now, Installation: "here", Self: p.name, Pools: p.pools, Spread: p.spread, Rank: func(string) int { return p.rank }}
	v.NamespaceLabels, v.NamespaceEdits = func(string) Labels { return s.labels[p.space] }, uint64(p.space)
	v.Freeze, v.Behind, v.Alive = p.differ, p.behind, func(name string) bool { return !p.dead[name] }
	return v
}

func (s *simulation) record() {
	s.history = append(s.history, maps.Clone(s.api.services))
	maps.DeleteFunc(s.forced, func(g grip, _ bool) bool { return !boundTo(s.api.services[g.Key], g.ip) })
}

// watch brings a speaker forward along the stream, or, after a list, anywhere.
func (s *simulation) watch(p *speaker, to int, reset bool) {
	was, is := s.history[p.at], s.history[to]
	if (p.cut || p.lost) && !reset {
		return
	}
	p.at, p.cut, p.lost = to, false, false
	var put []Service
	var gone []Key
	for _, k := range slices.SortedFunc(maps.Keys(is), compareKeys) {
		svc := is[k]
		if reset || was[k].UID != svc.UID || was[k].Version != svc.Version {
			put = append(put, svc)
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(was), compareKeys) {
		if _, ok := is[k]; !ok {
			gone = append(gone, k)
		}
	}
	if reset {
		gone = nil
	}
	p.table.Apply(reset, refs(put...), gone, s.now)
}

// land carries out a write and checks what it has bound.
func (s *simulation) land(st Step) error {
	old := s.api.services[st.Service]
	if err := s.api.write(st); err != nil {
		return err
	}
	s.record()
	s.note("%s: %s", st.Kind, brief(s.api.services[st.Service]))
	for _, h := range held(s.api.services[st.Service]) {
		if !h.bound || boundTo(old, h.ip) {
			continue
		}
		for k, svc := range s.api.services {
			if k != st.Service && boundTo(svc, h.ip) && !s.forced[grip{k, h.ip}] && !s.shares(k, st.Service) {
				s.fail("%v binds %s to %s, which is bound to %s", st, h.ip, st.Service, k)
			}
		}
	}
	return nil
}

// act does one thing; what makes things happen is more frequent.
func (s *simulation) act() *speaker {
	p := oneOf(s.rand, s.speakers)
	last := len(s.history) - 1
	switch oneOf(s.rand, s.actions) {
	case "user":
		s.user()
	case "watch":
		p.space += s.rand.IntN(len(s.labels) - p.space)
		s.watch(p, p.at+s.rand.IntN(last-p.at+1), false)
	case "list":
		s.watch(p, max(s.restored, last-s.rand.IntN(6)), true)
	case "cut":
		p.cut = true
	case "restart":
		p.table, p.outbox = NewTable(), nil
		s.watch(p, last, true)
	case "save":
		s.save()
	case "restore":
		s.restore()
	case "steps":
		if !p.lost {
			steps, _ := p.table.Steps(s.view(p))
			p.outbox = append(p.outbox, steps...)
		}
	case "land":
		s.send(p)
	case "work":
		s.work(p)
	case "wait":
		s.now = s.now.Add(time.Duration(s.rand.IntN(3000)) * time.Millisecond)
	case "elect":
		s.elect()
	case "members":
		p.spread = oneOf(s.rand, []*Spread{nil, hashed(1 + s.rand.IntN(7))})
	case "configure":
		p.pools = oneOf(s.rand, s.configs)
	case "gossip":
		s.gossip(p)
		for _, o := range s.speakers {
			p.dead[o.name] = s.rand.IntN(4) == 0
		}
	}
	return p
}

// actions happen in every world, and of the mishaps half: some of them have everybody look at
// everything again, which mends what others break.
const (
	actions = "user user user user watch watch watch steps steps steps steps land land land land land work work work work wait wait"
	mishaps = "list cut restart elect members configure gossip save restore"
)

// gossip tells a speaker whether others have other pools.
func (s *simulation) gossip(p *speaker) {
	p.differ = slices.ContainsFunc(s.speakers, func(o *speaker) bool { return o.pools != p.pools })
	p.behind = btoi(p.differ) * s.rand.IntN(3)
}

// elect gives the speakers other ranks, about which they need not agree.
func (s *simulation) elect() {
	first := s.rand.IntN(len(s.speakers))
	for i, p := range s.speakers {
		p.rank = (i + first) % len(s.speakers)
	}
	switch s.rand.IntN(4) {
	case 0: // several are first
		for range 2 {
			oneOf(s.rand, s.speakers).rank = 0
		}
	case 1: // nobody is, or somebody may not write at all
		for _, p := range s.speakers {
			p.rank++
		}
		oneOf(s.rand, s.speakers).rank = -1
	case 2:
		for _, p := range s.speakers {
			p.rank = s.rand.IntN(len(s.speakers)+1) - 1
		}
	}
}

// send carries out one of a speaker's writes, or loses it on the way there or back.
func (s *simulation) send(p *speaker) {
	if len(p.outbox) == 0 {
		return
	}
	i := s.rand.IntN(len(p.outbox))
	st := p.outbox[i]
	p.outbox = slices.Delete(p.outbox, i, i+1)
	if st.Kind == Tell {
		return
	}
	fate := oneOf(s.rand, []string{"", "", "", "", "lost request", "lost response", "no answer"})
	var err error
	if err = errGone; fate != "lost request" {
		err = s.land(st)
	}
	switch fate {
	case "no answer":
		return
	case "lost response":
		err = errGone
	}
	p.table.Done(st, s.now, err)
}

// work lets a speaker that is up to date do what is due. It reports whether there was anything, and
// when there will be.
func (s *simulation) work(p *speaker) (bool, time.Time) {
	p.space = len(s.labels) - 1
	s.watch(p, len(s.history)-1, p.cut || p.lost)
	steps, wake := p.table.Steps(s.view(p))
	for _, st := range steps {
		if st.Kind != Tell {
			p.table.Done(st, s.now, s.land(st))
		}
	}
	return len(steps) > 0, wake
}

// finish lets everybody work until nothing is left to do, and checks the outcome.
func (s *simulation) finish() {
	for _, p := range s.speakers {
		p.outbox, p.pools, p.differ, p.behind = nil, s.configs[0], false, 0
	}
	if !slices.ContainsFunc(s.speakers, func(p *speaker) bool { return p.rank >= 0 }) {
		s.speakers[0].rank = 0
	}
	for round := 0; ; round++ {
		if round > 300 {
			s.fail("there is no end of steps")
		}
		busy, next := false, time.Time{}
		for _, p := range s.speakers {
			did, wake := s.work(p)
			busy, next = busy || did, earliest(next, wake)
		}
		if !busy && next.IsZero() {
			break
		}
		if !busy && next.After(s.now) {
			s.now = next
		}
	}
	for _, p := range s.speakers {
		s.check(p)
	}
	fresh := &speaker{name: "fresh", table: NewTable(), pools: s.configs[0], space: len(s.labels) - 1}
	s.watch(fresh, len(s.history)-1, true)
	steps, _ := fresh.table.Steps(s.view(fresh))
	for _, st := range steps {
		if st.Kind != Tell {
			s.fail("a new speaker sees what the others do not: %+v", st)
		}
	}
	s.settled(fresh)
}

// fail ends the test with all that led there.
func (s *simulation) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s\nagain with: go test ./lease -run '^%s$' -seed %d\n%s", fmt.Sprintf(format, args...), s.t.Name(), s.seed, strings.Join(s.trace, "\n"))
}

func (s *simulation) note(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf(format, args...))
}

func oneOf[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

var (
	seedFlag  = flag.Uint64("seed", 0, "run this seed of the simulation only")
	seedsFlag = flag.Uint64("seeds", 2000, "run so many seeds of the simulation")
)

// TestSimulate lets many speakers loose on an API server, with everything that can go wrong.
func TestSimulate(t *testing.T) {
	first, last := uint64(1), *seedsFlag
	if raceDetector {
		last /= 10
	}
	if *seedFlag != 0 {
		first, last = *seedFlag, *seedFlag
	}
	speakers, revisions, writes := 0, 0, 0
	for seed := first; seed <= last; seed++ {
		s := newSimulation(t, seed)
		for range 200 {
			if p := s.act(); s.rand.IntN(4) == 0 {
				s.check(p)
			}
		}
		s.finish()
		speakers += len(s.speakers)
		revisions += len(s.history)
		writes += s.api.writes
	}
	t.Logf("%d seeds, %d speakers, %d revisions, %d of them by speakers", last-first+1, speakers, revisions, writes)
}
