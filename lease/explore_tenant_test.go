package lease

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// tenant are the edits of one who may write anything into annotations and spec of the first
// Service, at any time, and nothing into its status: leases of any installation and version, of one
// address or of all, and another type.
func (x *explorer) tenant(s Service) []Service {
	var lists [][]Item
	for _, state := range []string{stateClaimed, stateBound} {
		var all []Item
		for _, ip := range x.ips {
			one := Item{IP: ip, Pool: "p", State: state}
			lists, all = append(lists, []Item{one}), append(all, one)
		}
		back := slices.Clone(all)
		slices.Reverse(back)
		lists = append(lists, all, back)
	}
	var edits []Service
	add := func(change func(*Service)) {
		c := applyStep(s, Step{})
		change(&c)
		edits = append(edits, c)
	}
	for _, l := range []Lease{{V: 1, By: "here"}, {V: 1, By: "there"}, {V: 2, By: "here"}} {
		for _, l.IPs = range lists {
			add(func(c *Service) { c.annotate(LeaseAnnotation, l.Encode()) })
		}
	}
	add(func(c *Service) { c.strip(LeaseAnnotation) })
	add(func(c *Service) {
		c.Type = map[string]string{typeLoadBalancer: "ClusterIP", "ClusterIP": typeLoadBalancer}[c.Type]
	})
	return edits
}

// tenancy has the first Service written by a tenant. At rest all others have to have what they
// request, if there is one address for each load balancer: the tenant may have one by asking for
// it.
func (w *scenario) tenancy(events string, budget int) {
	w.events, w.budget = strings.TrimSpace("tenant "+events), budget
	w.rule = func(all []*entry) string {
		balancers := 0
		for _, e := range all {
			balancers += btoi(e.s.Type == typeLoadBalancer)
		}
		for _, e := range all {
			if e.s.Name != "a" && e.s.Type == typeLoadBalancer && !satisfied(*e.s) && balancers <= len(w.ips) {
				return e.s.Name + " has no address, though a tenant can have no more than one"
			}
		}
		return ""
	}
}

// TestExploreTenant: whatever a tenant writes into annotations and spec, nothing is bound twice,
// every schedule ends, and nobody else is kept from an address that the tenant could not have.
func TestExploreTenant(t *testing.T) {
	const two, three = "192.0.2.1 192.0.2.2", "192.0.2.1 192.0.2.2 192.0.2.3"
	for _, tt := range []struct {
		name   string
		n      int
		ips    string
		events string
		budget int
		flood  bool
		slow   bool // left out with -short and with the race detector
		deep   bool // only with -deep
	}{
		{name: "2 Services, 2 addresses, 2 edits", n: 2, ips: two, events: "note delete", budget: 2},
		{name: "2 Services, 2 addresses, 3 edits", n: 2, ips: two, budget: 3, slow: true},
		{name: "2 Services, 3 addresses, 2 edits", n: 2, ips: three, events: "delete", budget: 2, slow: true},
		{name: "3 Services, 2 addresses, 1 edit", n: 3, ips: two, budget: 1, slow: true},
		{name: "3 Services, 3 addresses, 1 edit", n: 3, ips: three, budget: 1, deep: true},
		{name: "2 Services, 2 addresses, 3 edits that never end", n: 2, ips: two, budget: 3, flood: true},
		{name: "3 Services, 3 addresses, 2 edits that never end", n: 3, ips: three, budget: 2, flood: true, slow: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.slow && (testing.Short() || raceDetector) {
				t.Skip("only without -short and without the race detector")
			}
			if tt.deep && !*deepFlag {
				t.Skip("only with -deep: it takes minutes")
			}
			w := newScenario(t, tt.n, tt.ips)
			w.tenancy(tt.events, tt.budget)
			w.flood, w.begin = tt.flood, tt.flood
			begin := time.Now()
			x := explore(w, mostStates)
			if x.bad != "" {
				t.Fatal(x.bad)
			}
			t.Logf("%d states, %d snapshots, at most %d steps in a row, %v", len(x.seen), len(x.decided), x.depth, time.Since(begin).Round(time.Millisecond))
		})
	}
}

// TestEveryGuardMattersAgainstTenants takes away one rule at a time about what of a lease is void.
func TestEveryGuardMattersAgainstTenants(t *testing.T) {
	const one, two = "192.0.2.1", "192.0.2.1 192.0.2.2"
	for _, tt := range []struct {
		name   string
		ips    string
		budget int
		flood  bool
		remove func(*guards)
		want   string
	}{
		{"leases of other installations and versions hold nothing", two, 1, false, func(g *guards) { g.foreign = true }, "has no address"},
		{"but what ingress shows", two, 2, false, func(g *guards) { g.shown = true }, "bound twice"},
		{"leases of what is no load balancer hold nothing", one, 2, true, func(g *guards) { g.idle = true }, "has no address"},
		{"one address of each family counts", two, 1, true, func(g *guards) { g.many = true }, "has no address"},
		{"nobody binds what does not count", two, 1, false, func(g *guards) { g.void = true }, "bound twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newScenario(t, 2, tt.ips)
			w.tenancy("", tt.budget)
			w.flood, w.begin = tt.flood, tt.flood
			if x := explore(w, mostStates); x.bad != "" {
				t.Fatalf("with all guards: %s", x.bad)
			}
			tt.remove(&w.off)
			x := explore(w, mostStates)
			t.Logf("after %d states: %s", len(x.seen), x.bad)
			if !strings.Contains(x.bad, tt.want) {
				t.Errorf("without this guard the search must find %q", tt.want)
			}
		})
	}
}
