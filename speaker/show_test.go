package speaker

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

// view is what n1 shows.
func (m *model) view() api.Snapshot { return m.speakers["n1"].speaker.Snapshot() }

func TestSnapshotShowsMembers(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		m.bound("web")
		m.setNode("n2", func(n *watcher.Node) { n.Going = "DrainInProgress" })
		m.setNode("n3", func(n *watcher.Node) { n.Excluded = true })
		m.pass(time.Minute)
		owner := m.one(m.bound("web"))
		snap := m.view()
		if owner != "n1" || snap.At.Before(time.Now().Add(-idleTurn)) {
			t.Fatalf("%s answers, the view is of %s", owner, snap.At)
		}
		want := []api.Member{
			{Name: "n1", State: "alive", Health: "ready", Version: "test", Tier: "normal", Announces: 1},
			{
				Name: "n2", State: "alive", Health: "ready", Version: "test", Tier: "about to go", RoundTrip: 0.002,
				Verdict: "n2 is about to go (DrainInProgress), so others go first",
			},
			{Name: "n3", State: "alive", Health: "ready", Version: "test", Unfit: "excluded by label", RoundTrip: 0.002},
		}
		if diff := cmp.Diff(want, snap.Members, cmpopts.IgnoreFields(api.Member{}, "Addr", "Ready", "Segments", "Since", "LastSeen", "Keys")); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
		for _, x := range snap.Members {
			if time.Since(x.LastSeen) > idleTurn {
				t.Errorf("%s was last seen %s ago", x.Name, time.Since(x.LastSeen))
			}
		}
		if diff := cmp.Diff([]api.Interface{{Name: "eth0", MAC: snap.Interfaces[0].MAC, Prefixes: []string{"198.18.0.0/16"}, Used: true}}, snap.Interfaces); diff != "" {
			t.Errorf("interfaces (-want +got):\n%s", diff)
		}
		if got := snap.Activity; got.Writes["ok"] != 2 || got.Events["sent"] == 0 {
			t.Errorf("activity %+v", got)
		}
	}, tenAddresses)
}

func TestSnapshotSaysWhyAnAddressMoved(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		first := m.one(ip)
		m.dies(first, 500*time.Millisecond)
		m.pass(5 * time.Second)
		left := m.others(first)[0]
		snap := m.speakers[left].speaker.Snapshot()
		got := snap.VIPs[0]
		if got.From != first || got.Cause != "member-lost" || got.Change != first+" was lost" || got.Owner == first {
			t.Errorf("after the death of %s: %+v", first, got)
		}
		if len(snap.Moves) == 0 || snap.Moves[0].From != first || snap.Moves[0].To != got.Owner || snap.Moves[0].Silent <= 0 || snap.Moves[0].Silent > 2 {
			t.Errorf("moves %+v, want one from %s to %s after less than two seconds of silence", snap.Moves, first, got.Owner)
		}
		want := api.Finding{Level: "error", About: "node " + first, Words: "neither gossip nor the wire reaches " + first, Todo: "see whether the node is up"}
		if len(snap.Findings) != 1 || !strings.HasPrefix(snap.Findings[0].Todo, want.Todo) {
			t.Fatalf("findings %+v, want one", snap.Findings)
		}
		want.Todo = snap.Findings[0].Todo
		if diff := cmp.Diff(want, snap.Findings[0]); diff != "" {
			t.Errorf("finding (-want +got):\n%s", diff)
		}
	}, tenAddresses)
}

func TestSnapshotNamesWhoWaits(t *testing.T) {
	lab(t, func(m *model) {
		m.create("first", nil, "n1")
		m.bound("first")
		m.create("second", nil, "n1")
		m.create("wrong", func(s *watcher.Service) { s.LoadBalancerIP = "203.0.113.1" }, "n1")
		m.pass(time.Second)
		want := []api.Waiting{
			{Service: "default/second", Pool: "tiny", Reason: `pool "tiny" has no free IPv4 address`, Code: health.PoolFull},
			{Service: "default/wrong", Pool: "", Reason: "spec.loadBalancerIP asks for 203.0.113.1, which is in no pool", Code: health.AddressInNoPool},
		}
		for _, n := range []string{"n1", "n2", "n3"} { // all of them, whoever is the pool's picker
			if diff := cmp.Diff(want, m.speakers[n].speaker.Snapshot().Waiting); diff != "" {
				t.Errorf("%s shows as waiting (-want +got):\n%s", n, diff)
			}
		}
		var words []string
		for _, f := range m.view().Findings {
			words = append(words, f.About+": "+f.Words)
		}
		wantWords := []string{
			`pool tiny: 1 wait for an address of pool "tiny" (default/second): pool "tiny" has no free IPv4 address`,
			"default/wrong: default/wrong waits for an address: spec.loadBalancerIP asks for 203.0.113.1, which is in no pool",
		}
		if diff := cmp.Diff(wantWords, words); diff != "" {
			t.Errorf("findings (-want +got):\n%s", diff)
		}
		wantEvents := []string{
			`second: pool "tiny" has no free IPv4 address: ` + health.PoolFull.Rule().Advice,
			"wrong: spec.loadBalancerIP asks for 203.0.113.1, which is in no pool: " + health.AddressInNoPool.Rule().Advice,
		}
		if diff := cmp.Diff(wantEvents, slices.Sorted(slices.Values(m.told(lease.AllocationFailed)))); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		m.remove("first")
		m.remove("wrong")
		m.bound("second")
		m.pass(time.Second)
		if got := m.view(); len(got.Waiting) > 0 || len(got.Findings) > 0 {
			t.Errorf("still waiting: %+v %+v", got.Waiting, got.Findings)
		}
	}, "tiny=198.18.64.1/32")
}

func TestSnapshotNamesNodesThatHaveAnAddress(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", func(s *watcher.Service) { s.LoadBalancerIP = "198.18.64.4" }, "n1")
		ip := m.bound("web")
		m.setNode("n3", func(n *watcher.Node) { n.Others = []netip.Addr{netip.MustParseAddr(ip)} })
		m.pass(time.Second)
		conflict := []api.Conflict{{
			IP: ip, Kind: "node", Node: "n3", Words: ip + " is also an address of node n3, whose kernel answers for it too",
			Todo: "exclude it from its pool, or give the node another address",
		}}
		if diff := cmp.Diff(conflict, m.view().Conflicts); diff != "" {
			t.Errorf("conflicts (-want +got):\n%s", diff)
		}
	}, tenAddresses)
}

// The status has the states of the mesh, and of peers, under the names that they have there.
func TestStates(t *testing.T) {
	t.Parallel()
	want := []string{string(mesh.Alive), string(mesh.Dead), string(mesh.Left), string(mesh.OnWire)}
	if diff := cmp.Diff(want, []string{api.Alive, api.Dead, api.Left, api.OnWire}); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}
