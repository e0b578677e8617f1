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

	"github.com/google/go-cmp/cmp"
)

// simulation has several speakers with tables of their own, each at its own place in the stream,
// with writes on their way, and users who do anything.
type simulation struct {
	t        *testing.T
	seed     uint64
	rand     *rand.Rand
	trace    []string
	api      *server
	history  []map[Key]Service // what the API server had, revision by revision
	speakers []*speaker
	pools    *Pools
	now      time.Time
	forced   map[grip]bool // bound by users' hands
}

// grip is a Service's hold of an address.
type grip struct {
	Key
	ip netip.Addr
}

type speaker struct {
	table  *Table
	at     int    // place in the history
	outbox []Step // decided, not yet landed
	rank   int
}

func newSimulation(t *testing.T, seed uint64) *simulation {
	t.Helper()
	pools, err := NewPools([]Pool{
		{Name: "one", Ranges: []string{"192.0.2.1-192.0.2.3", "2001:db8::1-2001:db8::2"}},
		{Name: "two", Ranges: []string{"192.0.2.9/32"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &simulation{t: t, seed: seed, rand: rand.New(rand.NewPCG(seed, 0)), api: newServer(), pools: pools, now: epoch, forced: map[grip]bool{}}
	s.record()
	for i := range 3 {
		s.speakers = append(s.speakers, &speaker{table: NewTable(), rank: i})
	}
	return s
}

func (s *simulation) view(p *speaker) View {
	return View{Now: s.now, Installation: "here", Self: "n", Pools: s.pools, Rank: func(string) int { return p.rank }}
}

func (s *simulation) record() {
	s.history = append(s.history, maps.Clone(s.api.services))
	maps.DeleteFunc(s.forced, func(g grip, _ bool) bool { return !boundTo(s.api.services[g.Key], g.ip) })
}

// user does anything to any Service.
func (s *simulation) user() {
	k := key(oneOf(s.rand, []string{"a", "b", "c", "d"}))
	old, ok := s.api.services[k]
	if !ok {
		svc := Service{Namespace: k.Namespace, Name: k.Name, Type: typeLoadBalancer, Families: []string{ipv4}, Annotations: map[string]string{}}
		svc.Ports = []string{oneOf(s.rand, []string{"TCP/80", "TCP/81"})}
		wishes(&svc, oneOf(s.rand, [][]string{nil, {"share=k"}, {"families=46", "policy=RequireDualStack"}, {"families=64", "policy=PreferDualStack"}}))
		s.api.create(svc)
	} else {
		s.change(k)
	}
	for _, h := range held(s.api.services[k]) {
		if h.bound && !boundTo(old, h.ip) {
			s.forced[grip{k, h.ip}] = true
		}
	}
	s.record()
	s.note("user: %s", brief(s.api.services[k]))
}

func (s *simulation) change(k Key) {
	ip := oneOf(s.rand, []string{"192.0.2.1", "192.0.2.2", "192.0.2.9", "2001:db8::1", "203.0.113.1"})
	what := oneOf(s.rand, []string{"delete", "deleting", "flip", "strip", "copy", "forge", "ingress", "clear", "wish", "unwish", "nonsense", "share", "class"})
	if what == "delete" {
		delete(s.api.services, k)
		return
	}
	s.api.edit(k, func(c *Service) {
		switch what {
		case "deleting":
			c.Deleting = true
		case "flip":
			c.Type = map[string]string{typeLoadBalancer: "ClusterIP", "ClusterIP": typeLoadBalancer}[c.Type]
		case "strip":
			delete(c.Annotations, LeaseAnnotation)
		case "copy":
			other := oneOf(s.rand, s.api.list())
			c.Annotations[LeaseAnnotation] = other.Annotations[LeaseAnnotation]
		case "forge":
			state := oneOf(s.rand, []string{stateBound, stateClaimed})
			c.Annotations[LeaseAnnotation] = fmt.Sprintf(`{"v":1,"by":"here","ips":[{"ip":%q,"state":%q}]}`, ip, state)
		case "ingress":
			c.Ingress = []string{ip}
		case "clear":
			c.Ingress = nil
		case "wish":
			c.LoadBalancerIP = ip
		case "unwish":
			c.LoadBalancerIP = ""
		case "nonsense":
			c.LoadBalancerIP = "nonsense"
		case "share":
			c.Annotations[wishShare[0]] = oneOf(s.rand, []string{"", "k"})
		case "class":
			c.Class = oneOf(s.rand, []string{"", "other"})
		}
	})
}

// watch brings a speaker forward along the stream, or, after a list, anywhere.
func (s *simulation) watch(p *speaker, to int, reset bool) {
	was, is := s.history[p.at], s.history[to]
	p.at = to
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
	p.table.Apply(reset, put, gone, s.now)
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

// shares reports whether two Services may share an address, or might have when the write was decided.
func (s *simulation) shares(a, b Key) bool {
	for _, snapshot := range s.history {
		x, y := snapshot[a], snapshot[b]
		if x.UID != "" && y.UID != "" && clash(read(x), read(y)) == "" {
			return true
		}
	}
	return false
}

// act does one thing; what makes things happen is more frequent.
func (s *simulation) act() *speaker {
	p := s.speakers[s.rand.IntN(len(s.speakers))]
	last := len(s.history) - 1
	switch oneOf(s.rand, strings.Fields(actions)) {
	case "user":
		s.user()
	case "watch":
		s.watch(p, p.at+s.rand.IntN(last-p.at+1), false)
	case "list":
		s.watch(p, last-s.rand.IntN(min(5, last)+1), true)
	case "restart":
		p.table, p.outbox = NewTable(), nil
		s.watch(p, last, true)
	case "steps":
		steps, _ := p.table.Steps(s.view(p))
		p.outbox = append(p.outbox, steps...)
	case "land":
		s.send(p)
	case "work":
		s.work(p)
	case "wait":
		s.now = s.now.Add(time.Duration(s.rand.IntN(3000)) * time.Millisecond)
	case "elect":
		first := s.rand.IntN(len(s.speakers))
		for i, p := range s.speakers {
			p.rank = (i + first) % len(s.speakers)
		}
	}
	return p
}

const actions = `user user user user watch watch watch list restart steps steps steps steps
	land land land land land work work work work wait wait elect`

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
	s.watch(p, len(s.history)-1, false)
	steps, wake := p.table.Steps(s.view(p))
	for _, st := range steps {
		if st.Kind != Tell {
			p.table.Done(st, s.now, s.land(st))
		}
	}
	return len(steps) > 0, wake
}

// check compares a table with the naive oracle.
func (s *simulation) check(p *speaker) {
	var got []string
	for _, v := range p.table.VIPs(s.view(p)) {
		got = append(got, fmt.Sprint(v.IP, v.Services))
	}
	if diff := cmp.Diff(naiveVIPs(s.history[p.at]), got); diff != "" {
		s.fail("VIPs (-want +got):\n%s", diff)
	}
	for _, u := range p.table.Usage(s.pools) {
		if want := naiveUsed(s.history[p.at], s.pools, u.Pool); u.Used != want {
			s.fail("pool %s: %d used, want %d", u.Pool, u.Used, want)
		}
	}
	if why := p.table.inconsistent(); why != "" {
		s.fail("%s", why)
	}
}

// finish lets everybody work until nothing is left to do, and checks the outcome.
func (s *simulation) finish() {
	for _, p := range s.speakers {
		p.outbox = nil
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
	fresh := &speaker{table: NewTable()}
	s.watch(fresh, len(s.history)-1, true)
	steps, _ := fresh.table.Steps(s.view(fresh))
	for _, st := range steps {
		if st.Kind != Tell {
			s.fail("a new speaker sees what the others do not: %+v", st)
		}
	}
	for _, v := range fresh.table.VIPs(s.view(fresh)) {
		for i, a := range v.Services {
			for _, b := range v.Services[:i] {
				if why := clash(read(s.api.services[a]), read(s.api.services[b])); why != "" {
					s.fail("%s stays bound to %s and %s: %s", v.IP, a, b, why)
				}
			}
		}
	}
}

// fail ends the test with all that led there.
func (s *simulation) fail(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s\nagain with: go test ./lease -run TestSimulate -seed %d\n%s", fmt.Sprintf(format, args...), s.seed, strings.Join(s.trace, "\n"))
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
	revisions, writes := 0, 0
	for seed := first; seed <= last; seed++ {
		s := newSimulation(t, seed)
		for range 150 {
			if p := s.act(); s.rand.IntN(4) == 0 {
				s.check(p)
			}
		}
		s.finish()
		revisions += len(s.history)
		writes += s.api.writes
	}
	t.Logf("%d seeds, %d revisions, %d of them by speakers", last-first+1, revisions, writes)
}

// naiveVIPs is VIPs without an index.
func naiveVIPs(services map[Key]Service) []string {
	by := map[netip.Addr][]string{}
	for k, svc := range services {
		l, _ := DecodeLease(svc.Annotations[LeaseAnnotation])
		for _, n := range l.IPs {
			if boundTo(svc, n.IP) && l.By == "here" {
				by[n.IP] = append(by[n.IP], k.String())
			}
		}
	}
	var all []string
	for _, ip := range slices.SortedFunc(maps.Keys(by), netip.Addr.Compare) {
		slices.Sort(by[ip])
		all = append(all, fmt.Sprintf("%s [%s]", ip, strings.Join(by[ip], " ")))
	}
	return all
}

func naiveUsed(services map[Key]Service, pools *Pools, pool string) uint64 {
	used := map[netip.Addr]bool{}
	for _, svc := range services {
		for _, h := range held(svc) {
			if name, _ := pools.Of(h.ip); name == pool {
				used[h.ip] = true
			}
		}
	}
	return uint64(len(used))
}
