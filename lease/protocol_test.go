package lease

import (
	"flag"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var deepFlag = flag.Bool("deep", false, "explore also what takes minutes")

// mostStates bounds each exploration, in case that a mistake makes one endless.
const mostStates = 3e6

// byLabel gives the last address to a pool of its own, which serves those who have the label, while
// the pool of the others serves only those who have not.
func (w *scenario) byLabel(t *testing.T) {
	t.Helper()
	is := func(operator string) []Selector {
		return []Selector{{MatchExpressions: []Requirement{{Key: "tier", Operator: operator}}}}
	}
	p := Pool{Name: "p", ServiceSelectors: is("DoesNotExist")}
	q := Pool{Name: "q", ServiceSelectors: is("Exists"), Priority: new(0)}
	for i, ip := range w.ips {
		into := &p
		if i == len(w.ips)-1 {
			into = &q
		}
		into.Ranges = append(into.Ranges, fmt.Sprintf("%s-%s", ip, ip))
	}
	w.pools = mustPools(t, p, q)
}

// newScenario has n Services and the addresses, in one pool.
func newScenario(t *testing.T, n int, ips string, request ...string) scenario {
	t.Helper()
	w := scenario{}
	p := Pool{Name: "p"}
	for text := range strings.FieldsSeq(ips) {
		ip := netip.MustParseAddr(text)
		w.ips = append(w.ips, ip)
		p.Ranges = append(p.Ranges, fmt.Sprintf("%s-%s", ip, ip))
	}
	var err error
	if w.pools, err = NewPools([]Pool{p}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		s := Service{Namespace: "ns", Type: typeLoadBalancer, Families: []string{ipv4}, Version: "1", Ports: []string{fmt.Sprint("TCP/", i)}}
		for _, w := range request {
			s = applyStep(s, Step{})
			requests(&s, []string{w})
		}
		w.templates = append(w.templates, s)
	}
	return w
}

// TestExplore proves the protocol for small worlds: whatever speakers and users do, in any order,
// no two Services are bound to one address, every schedule of steps ends, and then everybody has an
// address if there are enough.
func TestExplore(t *testing.T) {
	const (
		one   = "192.0.2.1"
		two   = "192.0.2.1 192.0.2.2"
		three = "192.0.2.1 192.0.2.2 192.0.2.3"
		both  = "192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2"
		users = "note delete flip strip"
		all   = users + " forge+ copy+ ingress+"
	)
	for _, tt := range []struct {
		name     string
		n        int
		ips      string
		requests string
		events   string
		budget   int
		keeps    bool
		hears    bool // some speakers hear a station
		slow     bool // left out with -short and with the race detector
		deep     bool // only with -deep
	}{
		{name: "2 Services, 1 address, 4 events", n: 2, ips: one, events: all, budget: 4, slow: true},
		{name: "2 Services, 1 address, 2 events", n: 2, ips: one, events: all, budget: 2},
		{name: "2 Services, 1 address, 4 events of users, an API server that keeps ingress", n: 2, ips: one, events: "delete flip request", budget: 4, keeps: true},
		{name: "2 Services, 2 addresses, 2 events, changed requests", n: 2, ips: two, events: all + " request", budget: 2, slow: true},
		{name: "2 Services, 2 addresses, 3 events of users, changed requests", n: 2, ips: two, events: users + " request", budget: 3},
		{name: "3 Services, 1 address, 2 events", n: 3, ips: one, events: all, budget: 2, slow: true},
		{name: "3 Services, 2 addresses", n: 3, ips: two},
		{name: "3 Services, 2 addresses, 1 event", n: 3, ips: two, events: all, budget: 1, slow: true},
		{name: "3 Services, 2 addresses, 2 events of users", n: 3, ips: two, events: users, budget: 2, slow: true},
		{name: "3 Services, 2 addresses, 2 events", n: 3, ips: two, events: all, budget: 2, deep: true},
		{name: "4 Services, 2 addresses, 1 event of users", n: 4, ips: two, events: users, budget: 1, deep: true},
		{name: "4 Services, 2 addresses, 1 deletion", n: 4, ips: two, events: "delete", budget: 1, slow: true},
		{name: "3 Services, 3 addresses", n: 3, ips: three, slow: true},
		{name: "4 Services, 1 address", n: 4, ips: one, slow: true},
		{name: "4 Services, 2 addresses", n: 4, ips: two, slow: true},
		{name: "2 Services, both families required", n: 2, ips: both, requests: "families=46 policy=RequireDualStack", events: users, budget: 1, slow: true},
		{name: "3 Services, both families required, 1 address of each", n: 3, ips: "192.0.2.1 2001:db8::1", requests: "families=46 policy=RequireDualStack", slow: true},
		{name: "2 Services, both families preferred, 1 address of each", n: 2, ips: "192.0.2.1 2001:db8::1", requests: "families=46 policy=PreferDualStack", events: users, budget: 2},
		{name: "3 Services that share", n: 3, ips: two, requests: "share=k", events: users, budget: 1, slow: true},
		{name: "2 Services, 2 pools by label, 3 events", n: 2, ips: two, events: users + " label", budget: 3},
		{name: "2 Services, 2 pools by label, 3 addresses, 2 events, forged leases", n: 2, ips: three, events: all + " label", budget: 2, slow: true},
		{name: "3 Services, 2 pools by label, 2 events", n: 3, ips: two, events: "delete label", budget: 2, slow: true},
		{name: "2 Services, 2 addresses, a station has one, 2 events", n: 2, ips: two, events: all + " request", budget: 2, hears: true, slow: true},
		{name: "2 Services, 3 addresses, a station has one, 2 events of users", n: 2, ips: three, events: users, budget: 2, hears: true},
		{name: "3 Services, 2 addresses, a station has one, 1 event of users", n: 3, ips: two, events: users, budget: 1, hears: true, slow: true},
		{name: "2 Services that share, a station has one of 2 addresses, 2 events", n: 2, ips: two, requests: "share=k", events: users, budget: 2, hears: true},
		{name: "2 Services, both families required, a station has one address", n: 2, ips: both, requests: "families=46 policy=RequireDualStack", hears: true, slow: true},
		{name: "2 Services that share and stop sharing", n: 2, ips: two, requests: "share=k", events: users + " share+", budget: 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.slow && (testing.Short() || raceDetector) {
				t.Skip("only without -short and without the race detector")
			}
			if tt.deep && !*deepFlag {
				t.Skip("only with -deep: it takes minutes")
			}
			w := newScenario(t, tt.n, tt.ips, strings.Fields(tt.requests)...)
			w.events, w.budget, w.keeps, w.station = tt.events, tt.budget, tt.keeps, tt.hears
			if w.may("label") {
				w.byLabel(t)
			}
			begin := time.Now()
			x := explore(w, mostStates)
			if x.bad != "" {
				t.Fatal(x.bad)
			}
			t.Logf("%d states, %d snapshots, at most %d steps in a row, %v", len(x.seen), len(x.decided), x.depth, time.Since(begin).Round(time.Millisecond))
		})
	}
}

// TestExploreMoves: a dual-stack Service whose pool has lost a family leaves it whole, while others
// take what it frees and what it wants.
func TestExploreMoves(t *testing.T) {
	for _, policy := range []string{preferDualStack, requireDualStack} {
		t.Run(policy, func(t *testing.T) {
			w := newScenario(t, 2, "192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2", "families=46", "policy="+preferDualStack)
			w.events, w.budget = "note delete flip ingress+", 2
			if testing.Short() || raceDetector {
				w.budget = 1
			}
			w.pools = mustPools(t,
				Pool{Name: "one", Ranges: []string{"192.0.2.1/32"}},
				Pool{Name: "two", Ranges: []string{"192.0.2.2/32", "2001:db8::2/128"}})
			s := &w.templates[0]
			s.FamilyPolicy = policy
			s.annotate(LeaseAnnotation, `{"v":1,"by":"here","holder":"n1","ips":[{"ip":"192.0.2.1","pool":"one","state":"bound"},{"ip":"2001:db8::1","pool":"one","state":"bound"}]}`)
			s.annotate(PoolAnnotation, "one")
			s.Ingress = []string{"192.0.2.1", "2001:db8::1"}
			moved := 0
			w.rule = func(all []*entry) string {
				for _, e := range all {
					if e.s.Type != typeLoadBalancer || !boundTo(*e.s, netip.MustParseAddr("2001:db8::1")) {
						moved += btoi(boundTo(*e.s, netip.MustParseAddr("2001:db8::2")) && e.s.UID == "1")
						continue
					}
					free := func(ip string) bool {
						return !slices.ContainsFunc(all, func(o *entry) bool { return o != e && o.at(netip.MustParseAddr(ip)) != nil })
					}
					if free("192.0.2.2") && free("2001:db8::2") {
						return e.s.Name + " stays where it may not, though another pool has both families"
					}
				}
				return ""
			}
			x := explore(w, mostStates)
			if x.bad != "" || moved == 0 {
				t.Fatalf("%d moves: %s", moved, x.bad)
			}
			t.Logf("%d states, at most %d steps in a row", len(x.seen), x.depth)
		})
	}
}

// TestExploreRevokes: with keep: false nobody has, at rest, what a rule forbids, whatever the
// labels and whoever else wants the address.
func TestExploreRevokes(t *testing.T) {
	for _, tt := range []struct {
		n      int
		ips    string
		events string
		budget int
	}{
		{2, "192.0.2.1", "note delete flip strip label", 3},
		{2, "192.0.2.1 192.0.2.2", "note label forge+ ingress+", 2},
	} {
		w := newScenario(t, tt.n, tt.ips)
		w.events, w.budget = tt.events, tt.budget
		w.pools = mustPools(t, Pool{
			Name: "p", Ranges: []string{"192.0.2.1-192.0.2.2"}, Keep: KeepNever, RevokeAfter: "0s",
			ServiceSelectors: []Selector{{MatchExpressions: []Requirement{{Key: "tier", Operator: "DoesNotExist"}}}},
		})
		lost := 0
		w.rule = func(all []*entry) string {
			for _, e := range all {
				forbidden := e.s.Type == typeLoadBalancer && e.s.Labels != ""
				for _, h := range e.holds {
					if forbidden && (h.bound || h.leased) {
						return fmt.Sprintf("%s keeps %s, which it may not have", e.s.Name, h.ip)
					}
				}
				lost += btoi(forbidden)
			}
			return ""
		}
		x := explore(w, mostStates)
		if x.bad != "" || lost == 0 {
			t.Fatalf("%d lost: %s", lost, x.bad)
		}
		t.Logf("%d states, at most %d steps in a row", len(x.seen), x.depth)
	}
}

// TestExploreSharers: of those that share an address and may not do so any more, the one that was
// edited loses it, whichever it is and whoever decides, and never two of them keep it. Without what
// the leases remember it is not so.
func TestExploreSharers(t *testing.T) {
	const shared = "192.0.2.1"
	w := newScenario(t, 3, "192.0.2.1 192.0.2.2 192.0.2.3", "share=k")
	w.events, w.budget, w.begin = "note share+", 2, true
	for i := range w.templates {
		s := &w.templates[i]
		s.annotate(LeaseAnnotation, Lease{V: 1, By: "here", Holder: "n1", Sharing: read(*s).sharing(), IPs: []Item{{IP: netip.MustParseAddr(shared), Pool: "p", State: stateBound}}}.Encode())
		s.annotate(PoolAnnotation, "p")
		s.Ingress = []string{shared}
	}
	parted := 0
	w.rule = func(all []*entry) string {
		edited := slices.DeleteFunc(slices.Clone(all), func(e *entry) bool { return e.req.share == "k" })
		if len(edited) != 1 {
			return ""
		}
		parted++
		for _, e := range all {
			if h := e.at(netip.MustParseAddr(shared)); (h == nil) != (e == edited[0]) {
				return fmt.Sprintf("%s was edited, %s has it: %t", edited[0].s.Name, e.s.Name, h != nil)
			}
		}
		return ""
	}
	x := explore(w, mostStates)
	if x.bad != "" || parted == 0 {
		t.Fatalf("%d parted: %s", parted, x.bad)
	}
	t.Logf("%d states, at most %d steps in a row", len(x.seen), x.depth)
	w.off.edited = true
	if x = explore(w, mostStates); !strings.Contains(x.bad, "was edited") {
		t.Errorf("without this guard the search must find who stays: %s", x.bad)
	}
}

// TestEveryGuardMatters takes one rule of the protocol away at a time: the search must notice.
func TestEveryGuardMatters(t *testing.T) {
	const one, two = "192.0.2.1", "192.0.2.1 192.0.2.2"
	for _, tt := range []struct {
		name   string
		ips    string
		events string
		budget int
		keeps  bool
		remove func(*scenario)
		want   string
	}{
		{"the check", one, "", 0, false, func(w *scenario) { w.off.check = true }, "bound twice"},
		{"the resourceVersion of the justifying snapshot", two, "request", 2, false, func(w *scenario) { w.careless = true }, "bound twice"},
		{"claims are holds", one, "", 0, false, func(w *scenario) { w.off.claims = true }, "bound twice"},
		{"ingress is a hold", one, "strip", 1, false, func(w *scenario) { w.off.ingress = true }, "bound twice"},
		{"leases of what is no load balancer are holds", one, "flip", 2, true, func(w *scenario) { w.off.types = true }, "bound twice"},
		{"the tie-break", one, "", 0, false, func(w *scenario) { w.off.tie = true }, "no end"},
		{"state per address", two, "request", 2, false, func(w *scenario) { w.off.perAddress = true }, "bound twice"},
		{"the order of the stream across keys", one, "", 0, false, func(w *scenario) { w.torn = "order" }, "bound twice"},
		{"the atomic relist", one, "", 0, false, func(w *scenario) { w.torn = "relist" }, "bound twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newScenario(t, 2, tt.ips)
			w.events, w.budget, w.keeps = tt.events, tt.budget, tt.keeps
			if x := explore(w, mostStates); x.bad != "" {
				t.Fatalf("with all guards: %s", x.bad)
			}
			tt.remove(&w)
			x := explore(w, mostStates)
			t.Logf("after %d states: %s", len(x.seen), x.bad)
			if !strings.Contains(x.bad, tt.want) {
				t.Errorf("without this guard the search must find %q", tt.want)
			}
		})
	}
}
