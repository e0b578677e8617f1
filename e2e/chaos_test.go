package e2e

import (
	"os"
	"strconv"
	"testing"

	core "k8s.io/api/core/v1"

	"github.com/starling-lb/starling/e2e/chaos"
)

// randomFaults is how many of them the tests take; make chaos takes more.
const randomFaults = 8

// seedVariable names another plan than that of seed 1, which every run of the tests takes: what
// fails here fails again. make chaos looks for plans that go wrong.
const seedVariable = "STARLING_E2E_SEED"

// TestRandomFaults does random things to the cluster, which pile up: after each a client is
// answered soon, and by one node only.
func TestRandomFaults(t *testing.T) {
	seed := uint64(1)
	if text := os.Getenv(seedVariable); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Logf("%s=%d", seedVariable, seed)
	allReady(t)
	w := watch(t)
	ip := expose(t, "random", func(s *core.Service) { s.Spec.PublishNotReadyAddresses = true }) // backends of nodes that were cut off for long, too
	reach(t, "tcp", ip)
	r := chaos.Runner{Cluster: shared, Watcher: w, IP: ip}
	err := r.Run(t.Context(), chaos.Plan(seed, len(shared.Nodes), randomFaults, chaos.Loss, chaos.Repeat), func(o chaos.Outcome) {
		t.Logf("%-36s %4d ms without answer, %4d ms with two, %d of %d lost", o.Fault, o.Gap.Milliseconds(), o.Double.Milliseconds(), o.Lost, o.Asked)
		bearable(t, o)
	})
	if err != nil {
		t.Fatal(err)
	}
	allReady(t)
	settled(t, w, ip)
	caughtUp(t, expose(t, "after-faults"))
}

// bearable holds what a fault cost against the limits: how long the client waited, and how long two
// nodes answered.
func bearable(t *testing.T, o chaos.Outcome) {
	t.Helper()
	if o.Gap > chaos.MaxGap {
		t.Errorf("%s: the client waited %v, more than %v", o.Fault, o.Gap, chaos.MaxGap)
	}
	if o.Double > chaos.MaxDouble {
		t.Errorf("%s: two nodes answered for %v", o.Fault, o.Double)
	}
}
