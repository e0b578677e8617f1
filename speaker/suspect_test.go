package speaker

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher"
)

// TestNoLeaseStepFromTheSnapshotFile: what a speaker knows from its last life is
// announced, but never the ground of a write.
func TestNoLeaseStepFromTheSnapshotFile(t *testing.T) {
	lab(t, func(m *model) {
		m.create("old", nil, "n1")
		ip := m.bound("old")
		all := []string{"n1", "n2", "n3"}
		for _, n := range all {
			m.set(n, func(b *node) { b.stale = true })
		}
		m.pass(time.Second)
		writes := m.writes
		m.create("new", nil, "n1")
		m.pass(time.Minute)
		if m.writes != writes {
			t.Errorf("%d writes from the snapshot file", m.writes-writes)
		}
		m.one(ip)
		for _, n := range all {
			m.set(n, func(b *node) { b.stale = false })
		}
		m.bound("new")
	}, tenAddresses)
}

// TestNothingKnownIsNotReady: a speaker that has seen neither a list nor a
// snapshot file must not be elected, because it would announce nothing.
func TestNothingKnownIsNotReady(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		owner := m.one(ip)
		m.leaves(owner)
		m.pass(time.Second)
		gap, _ := m.during(ip, func() {
			m.start(owner, func(b *node) { b.stale, b.changes = true, map[watcher.Key]*watcher.Service{} })
			m.pass(10 * time.Second)
		})
		if got := m.one(ip); got == owner || gap > 0 {
			t.Errorf("%s answers, no answer for %s", got, gap)
		}
		want := []string{"waiting for the Services from the Kubernetes API server"}
		if diff := cmp.Diff(want, m.speakers[owner].speaker.Snapshot().Reasons); diff != "" {
			t.Errorf("reasons (-want +got):\n%s", diff)
		}
	}, tenAddresses)
}

// TestOthersAddressesAreWatched: a speaker listens for who announces the
// addresses that are not its own.
func TestOthersAddressesAreWatched(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		owner := m.one(ip)
		m.pass(time.Second) // until all know
		for name, b := range m.speakers {
			m.mu.Lock()
			watched := b.card.machine.Role(netip.MustParseAddr(ip)) == claims.Watching
			m.mu.Unlock()
			if watched == (name == owner) {
				t.Errorf("%s watches %v, the owner is %s", name, watched, owner)
			}
		}
	}, tenAddresses)
}

// TestDifferentPoolsTakeNothingAway: while one speaker has another
// configuration, bound addresses stay where they are.
func TestDifferentPoolsTakeNothingAway(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1")
		ip := m.bound("web")
		other, err := lease.NewPools([]lease.Pool{{Name: "default", Ranges: []string{"198.18.65.0/24"}}})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []string{"n1", "n2"} {
			m.set(n, func(b *node) { b.pools = other })
			m.pass(time.Minute)
			if got := m.ip("web"); got != ip {
				t.Fatalf("%s after %s had other pools, want %s still", got, n, ip)
			}
		}
		m.set("n3", func(b *node) { b.pools = other })
		m.until("the address moves once all agree", 20*time.Second, func() bool { return m.ip("web") == "198.18.65.0" })
	}, tenAddresses)
}

// TestOutOfTouchNodeIsPassedOver: a node that alone has lost the API server
// gives its addresses to others, also those that need a local endpoint.
func TestOutOfTouchNodeIsPassedOver(t *testing.T) {
	for _, local := range []bool{false, true} {
		lab(t, func(m *model) {
			m.create("web", func(s *watcher.Service) { s.Local = local }, "n1", "n2", "n3")
			ip := m.bound("web")
			owner := m.one(ip)
			m.set(owner, func(b *node) { b.silent = time.Now() })
			m.pass(50 * time.Second)
			if got := m.one(ip); got != owner {
				t.Errorf("%s answers after 50 s, want %s still", got, owner)
			}
			m.pass(time.Minute)
			if got := m.one(ip); got == owner {
				t.Errorf("%s still answers after two minutes", owner)
			}
		}, tenAddresses)
	}
}

// TestConflictIsToldOnce: one event for an address on which a stranger is heard,
// however many stations claim it, and another one when it starts again.
func TestConflictIsToldOnce(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		owner := m.one(ip)
		hear := func(macs ...string) {
			for _, mac := range macs {
				m.set(owner, func(b *node) {
					b.conflicts = []arpd.Conflict{{IP: netip.MustParseAddr(ip), MAC: mac, Kind: "stranger"}}
				})
				m.pass(time.Second)
			}
		}
		hear("02:00:00:00:00:91", "02:00:00:00:00:92", "02:00:00:00:00:91")
		if got := m.told("AddressConflict"); len(got) != 1 {
			t.Errorf("events %q, want one", got)
		}
		m.set(owner, func(b *node) { b.conflicts = nil })
		m.pass(time.Second)
		hear("02:00:00:00:00:91")
		if got := m.told("AddressConflict"); len(got) != 2 {
			t.Errorf("events %q, want a second one", got)
		}
	}, tenAddresses)
}

// TestProblemsOfOthersLeaveANodeReady: a peer with another key is worth a look,
// and no reason to stop announcing or to fail the probe; neither is a mistake in
// the configuration file, as an earlier one is in force.
func TestProblemsOfOthersLeaveANodeReady(t *testing.T) {
	lab(t, func(m *model) {
		const problem, mistake = "peer 198.18.0.9 uses another gossip key", "the configuration file is not in force: pools: want a list"
		m.set("n1", func(b *node) { b.peers, b.mistakes = otherKey(problem), []string{mistake} })
		m.pass(time.Second)
		snap := m.speakers["n1"].speaker.Snapshot()
		if !snap.Ready || len(snap.Reasons) > 0 || !slices.Equal(snap.Problems, []string{mistake, problem}) {
			t.Errorf("ready %v, reasons %q, problems %q", snap.Ready, snap.Reasons, snap.Problems)
		}
	}, tenAddresses)
}

// otherKey is what the mesh finds of a peer that nobody knows.
func otherKey(words string) []health.Condition {
	return []health.Condition{health.New(health.GossipKeyMismatch, health.Address("198.18.0.9"), words)}
}
