package lease

import (
	"strings"
	"testing"
	"time"
)

// overwritten has others write anything into ingress, while the speakers recall what was bound, or
// some do and others, which have just started, do not.
func (w *scenario) overwritten(all bool) {
	w.memory = true
	know := outlook{self: "n1", pools: w.pools, recalls: true}
	if w.phases = []phase{{speakers: []outlook{know}}}; !all {
		w.phases[0].speakers = append(w.phases[0].speakers, outlook{self: "n2", pools: w.pools})
	}
}

// TestExploreOverwritten: a stray writer of status.loadBalancer.ingress binds nothing twice, every
// schedule of steps ends whoever recalls what, and where all do each Service keeps the address that
// it was bound to.
func TestExploreOverwritten(t *testing.T) {
	for _, tt := range []struct {
		name     string
		n        int
		ips      string
		requests string
		events   string
		budget   int
		all      bool // speakers recall what was bound
		slow     bool // left out with -short and with the race detector
	}{
		{name: "2 Services, 2 addresses, 2 writes", n: 2, ips: "192.0.2.1 192.0.2.2", events: "ingress", budget: 2, all: true},
		{name: "2 Services, 2 addresses, 3 writes", n: 2, ips: "192.0.2.1 192.0.2.2", events: "ingress", budget: 3, all: true, slow: true},
		{name: "2 Services, 3 addresses, 2 writes", n: 2, ips: "192.0.2.1 192.0.2.2 192.0.2.3", events: "ingress", budget: 2, all: true, slow: true},
		{name: "some have just started, 2 writes and other events", n: 2, ips: "192.0.2.1 192.0.2.2", events: "ingress note delete flip strip", budget: 2},
		{name: "some have just started, 3 writes", n: 2, ips: "192.0.2.1 192.0.2.2", events: "ingress", budget: 3, slow: true},
		{name: "forged leases", n: 2, ips: "192.0.2.1 192.0.2.2", events: "ingress forge+ copy+", budget: 2, slow: true},
		{name: "both families", n: 1, ips: "192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2", requests: "families=46 policy=RequireDualStack", events: "ingress", budget: 2, all: true},
		{name: "3 Services", n: 3, ips: "192.0.2.1 192.0.2.2 192.0.2.3", events: "ingress", budget: 1, all: true, slow: true},
		{name: "Services that share", n: 2, ips: "192.0.2.1 192.0.2.2", requests: "share=k", events: "ingress", budget: 2, all: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.slow && (testing.Short() || raceDetector) {
				t.Skip("only without -short and without the race detector")
			}
			w := newScenario(t, tt.n, tt.ips, strings.Fields(tt.requests)...)
			w.events, w.budget, w.stays = tt.events, tt.budget, tt.all
			w.overwritten(tt.all)
			begin := time.Now()
			x := explore(w, mostStates)
			if x.bad != "" {
				t.Fatal(x.bad)
			}
			t.Logf("%d states, %d snapshots, at most %d steps in a row, %v", len(x.seen), len(x.decided), x.depth, time.Since(begin).Round(time.Millisecond))
		})
	}
}

// TestEveryGuardMattersWhenOverwritten takes away one rule about overwritten bonds at a time.
func TestEveryGuardMattersWhenOverwritten(t *testing.T) {
	for _, tt := range []struct {
		name   string
		events string
		new    bool // the speaker has just started
		remove func(*scenario)
	}{
		{"what was bound comes first for the Service", "forge+", false, func(w *scenario) { w.off.was = true }},
		{"else what the lease says", "ingress", true, func(w *scenario) { w.off.said = true }},
		{"what was bound comes before what others show", "ingress", false, func(w *scenario) { w.off.outdone = true }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newScenario(t, 2-btoi(tt.new), "192.0.2.1 192.0.2.2")
			w.events, w.budget, w.stays = tt.events, 2, true
			w.overwritten(true)
			w.phases[0].speakers[0].recalls = !tt.new
			if x := explore(w, mostStates); x.bad != "" {
				t.Fatalf("with all guards: %s", x.bad)
			}
			tt.remove(&w)
			x := explore(w, mostStates)
			t.Logf("after %d states: %s", len(x.seen), x.bad)
			if !strings.Contains(x.bad, "it has moved") {
				t.Error("without this guard the search must find a Service that moves")
			}
		})
	}
}
