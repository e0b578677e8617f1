package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher"
)

// lab runs a story with three speakers in virtual time.
func lab(t *testing.T, story func(m *model), pools ...string) {
	hall(t, 3, story, pools...)
}

// hall is the same with as many speakers, n1 and so on.
func hall(t *testing.T, count int, story func(m *model), pools ...string) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, pools...)
		for i := range count {
			m.start(fmt.Sprint("n", i+1))
		}
		defer m.end()
		m.pass(time.Second)
		story(m)
	})
}

// variant skips the i-th variant of a story under the race detector, but for every fifth: there
// each takes ten times as long, and all run the same code. make unit runs all of them without it.
func variant(t *testing.T, i int) {
	t.Helper()
	if raceDetector && i%5 != 0 {
		t.Skip("runs without the race detector")
	}
}

// long skips a story of many minutes or many nodes under the race detector: the same code runs
// there again and again.
func long(t *testing.T) {
	t.Helper()
	variant(t, 1)
}

const tenAddresses = "default=198.18.64.1-198.18.64.10"

// one waits until exactly one speaker answers for the address, and names it.
func (m *model) one(ip string) string {
	m.t.Helper()
	m.until("one speaker answers for "+ip, 5*time.Second, func() bool { return len(m.owners(ip)) == 1 })
	synctest.Wait() // until it shows so
	return m.owners(ip)[0]
}

func TestServiceGetsAnAddressAndOneSpeakerAnswers(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2")
		ip := m.bound("web")
		if ip != "198.18.64.1" {
			t.Errorf("address %s, want the first of the pool", ip)
		}
		owner := m.one(ip)
		if _, double := m.during(ip, func() { m.pass(time.Minute) }); double > 0 {
			t.Errorf("two answers for %s", double)
		}
		snap := m.speakers["n1"].speaker.Snapshot()
		if len(snap.VIPs) != 1 || snap.VIPs[0].Owner != owner || snap.VIPs[0].Next == "" || snap.VIPs[0].Services[0] != "default/web" {
			t.Errorf("snapshot %+v, owner is %s", snap.VIPs, owner)
		}
		if got := m.told("IPAllocated"); len(got) != 1 || !strings.HasSuffix(got[0], ", announced by node "+owner) {
			t.Errorf("events %q, want one that names %s", got, owner)
		}
		if got := m.told("NodeAssigned"); len(got) != 0 {
			t.Errorf("events %q tell again what the first one told", got)
		}
		if m.writes != 2 {
			t.Errorf("%d writes, want a claim and a bind", m.writes)
		}
	}, tenAddresses)
}

// TestNothingIsAnsweredBeforeItIsBound watches every instant of an allocation.
func TestNothingIsAnsweredBeforeItIsBound(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1")
		for range 2000 {
			<-time.After(10 * time.Microsecond)
			synctest.Wait()
			if owners := m.owners("198.18.64.1"); len(owners) > 0 && m.ip("web") == "" {
				t.Fatalf("%v answer before the Service shows the address", owners)
			}
		}
		if m.ip("web") == "" {
			t.Fatal("no address after 20 ms")
		}
	}, tenAddresses)
}

func TestFiftyServicesHaveFiftyAddresses(t *testing.T) {
	lab(t, func(m *model) {
		for i := range 50 {
			m.create(fmt.Sprintf("s%02d", i), nil, "n1", "n2", "n3")
		}
		seen := map[string]string{}
		for i := range 50 {
			name := fmt.Sprintf("s%02d", i)
			ip := m.bound(name)
			if other, ok := seen[ip]; ok {
				t.Errorf("%s and %s both have %s", name, other, ip)
			}
			seen[ip] = name
			m.one(ip)
		}
	}, "default=198.18.64.0/24")
}

func TestSilentDeathMovesTheAddressToTheNextInLine(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		owner := m.one(ip)
		next := m.speakers[owner].speaker.Snapshot().VIPs[0].Next
		gap, _ := m.during(ip, func() {
			m.dies(owner, 500*time.Millisecond)
			m.pass(2 * time.Second)
		})
		if got := m.owners(ip); !slices.Equal(got, []string{next}) {
			t.Errorf("%v answer, want %s", got, next)
		}
		if gap > 580*time.Millisecond {
			t.Errorf("gap of %s, of which detection is 500 ms and the question on the wire 75 ms", gap)
		}
	}, tenAddresses)
}

// TestStopLosesNothing: the successor speaks before the leaver falls silent.
func TestStopLosesNothing(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		owner := m.one(ip)
		gap, double := m.during(ip, func() {
			m.leaves(owner)
			m.pass(time.Second)
		})
		if gap > 0 {
			t.Errorf("no answer for %s", gap)
		}
		if double > 10*m.latency {
			t.Errorf("two answers for %s", double)
		}
		if got := m.one(ip); got == owner {
			t.Errorf("%s answers after it stopped", got)
		}
	}, tenAddresses)
}

func TestReturnOfANodeLosesNothing(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		owner := m.one(ip)
		m.leaves(owner)
		m.pass(time.Second)
		gap, double := m.during(ip, func() {
			m.start(owner)
			m.pass(3*time.Second - 500*time.Millisecond)
			if got := m.one(ip); got == owner {
				t.Errorf("%s answers again at once", got)
			}
			m.pass(2 * time.Second)
		})
		if got := m.one(ip); got != owner {
			t.Errorf("%s answers, want %s back", got, owner)
		}
		if gap > 0 || double > 10*m.latency {
			t.Errorf("no answer for %s, two answers for %s", gap, double)
		}
	}, tenAddresses)
}

func TestWholeClusterStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, tenAddresses)
		m.start("n1")
		m.create("web", nil, "n1")
		m.one(m.bound("web"))
		start := time.Now()
		m.leaves("n1")
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("a speaker without a successor took %s to stop", took)
		}
		m.end()
	})
}

func TestAddressesFollowLocalEndpoints(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", func(s *watcher.Service) { s.Local = true }, "n1")
		ip := m.bound("web")
		for _, node := range []string{"n1", "n3", "n2", "n1"} {
			m.serve("web", node)
			m.until(node+" answers", 5*time.Second, func() bool { return slices.Equal(m.owners(ip), []string{node}) })
		}
		m.serve("web")
		m.until("nobody answers", 5*time.Second, func() bool { return len(m.owners(ip)) == 0 })
		m.pass(ownerlessFor / 2)
		if got := m.told("NoEligibleNode"); len(got) != 0 {
			t.Errorf("%q too early", got)
		}
		m.pass(ownerlessFor)
		want := "web: no node may announce " + ip + ": no serving endpoint: the EndpointSlices of its Service are empty: " + health.NoEndpoint.Rule().Advice
		if diff := cmp.Diff([]string{want}, m.told("NoEligibleNode")); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	}, tenAddresses)
}

// TestNodeAssigned: the event comes when an address is announced by another node than the last
// event said.
func TestNodeAssigned(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil)
		ip := m.bound("web")
		m.pass(time.Second)
		want := fmt.Sprintf("web: %s from pool \"default\", not announced yet: no serving endpoint: the EndpointSlices of its Service are empty", ip)
		if diff := cmp.Diff([]string{want}, m.told("IPAllocated")); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		m.serve("web", "n1")
		first := m.one(ip)
		m.setNode(first, func(n *watcher.Node) { n.Excluded = true })
		m.until("another node answers", 5*time.Second, func() bool { o := m.owners(ip); return len(o) == 1 && o[0] != first })
		want = fmt.Sprintf("web: node %s announces %s: ", first, ip)
		m.pass(time.Second)
		then := fmt.Sprintf("web: node %s announces %s: ", m.one(ip), ip)
		got := m.told("NodeAssigned")
		if len(got) != 2 || !strings.HasPrefix(got[0], want) || !strings.HasPrefix(got[1], then) {
			t.Errorf("events %q, want %q and %q", got, want, then)
		}
	}, tenAddresses)
}

func TestNodesThatMustNotAnnounce(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*watcher.Node)
	}{
		{"excluded by label", func(n *watcher.Node) { n.Excluded = true }},
		{"network unavailable", func(n *watcher.Node) { n.NetworkUnavailable = true }},
		{"cordoned", func(n *watcher.Node) { n.Going = "DrainInProgress" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lab(t, func(m *model) {
				m.create("web", nil, "n1", "n2", "n3")
				ip := m.bound("web")
				owner := m.one(ip)
				gap, _ := m.during(ip, func() {
					m.setNode(owner, tt.edit)
					m.pass(time.Second)
				})
				if got := m.one(ip); got == owner {
					t.Errorf("%s still answers", got)
				}
				if gap > 0 {
					t.Errorf("no answer for %s", gap)
				}
			}, tenAddresses)
		})
	}
}

// TestAllNodesExcluded: in a small cluster every node may be of the control plane, whose label
// keeps load balancers away. What keeps the address silent is said everywhere, and what to do.
func TestAllNodesExcluded(t *testing.T) {
	lab(t, func(m *model) {
		for _, name := range []string{"n1", "n2", "n3"} {
			m.setNode(name, func(n *watcher.Node) { n.Excluded = true })
		}
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		m.pass(2 * ownerlessFor)
		snap := m.view()
		if got := snap.VIPs[0].Reason; got != "all nodes that are ready are excluded by the label node.kubernetes.io/exclude-from-external-load-balancers" {
			t.Errorf("reason %q, want %q", got, "all nodes that are ready are excluded by the label node.kubernetes.io/exclude-from-external-load-balancers")
		}
		want := api.Finding{Level: "error", About: ip, Words: "no node announces " + ip + ": " + "all nodes that are ready are excluded by the label node.kubernetes.io/exclude-from-external-load-balancers", Todo: health.AllNodesExcluded.Rule().Advice}
		if !slices.Contains(snap.Findings, want) || !strings.Contains(want.Todo, "--ignore-exclude-label") {
			t.Errorf("findings %+v lack %+v", snap.Findings, want)
		}
		for reason, words := range map[string]string{NoEligibleNode: "all nodes that are ready are excluded by the label node.kubernetes.io/exclude-from-external-load-balancers" + ": " + health.AllNodesExcluded.Rule().Advice, lease.IPAllocated: "all nodes that are ready are excluded by the label node.kubernetes.io/exclude-from-external-load-balancers"} {
			if got := m.told(reason); len(got) != 1 || !strings.HasSuffix(got[0], words) {
				t.Errorf("events %s %q", reason, got)
			}
		}
	}, tenAddresses)
}

func TestReleaseAndReuse(t *testing.T) {
	lab(t, func(m *model) {
		m.create("a", nil, "n1")
		ip := m.bound("a")
		m.create("b", nil, "n1")
		m.until("b has the event that the pool is full", 5*time.Second, func() bool { return len(m.told("AllocationFailed")) == 1 })
		m.remove("a")
		if got := m.bound("b"); got != ip {
			t.Errorf("b has %s, want %s", got, ip)
		}
		m.one(ip)
		m.edit("b", func(s *watcher.Service) { s.Type = "ClusterIP" })
		m.until("the address is released", 5*time.Second, func() bool { return m.ip("b") == "" && len(m.owners(ip)) == 0 })
	}, "default=198.18.64.1/32")
}

func TestNodeAddressesAreNotHandedOut(t *testing.T) {
	lab(t, func(m *model) { // n1 is 198.18.0.1, and so on; 198.18.0.0 is the network address
		m.create("web", nil, "n1")
		if got := m.bound("web"); got != "198.18.0.4" {
			t.Errorf("address %s, want the first that is no node's", got)
		}
	}, "default=198.18.0.0-198.18.0.4")
}

// TestUnready: a speaker that lacks something announces nothing, says why, and
// is passed over by the others.
func TestUnready(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		owner := m.one(ip)
		m.set(owner, func(b *node) { b.settled, b.peers = false, otherKey("peer 198.18.0.9 has another key") })
		m.until("another answers", 5*time.Second, func() bool { o := m.owners(ip); return len(o) == 1 && o[0] != owner })
		snap := m.speakers[owner].speaker.Snapshot()
		if snap.Ready || !slices.Equal(snap.Reasons, []string{"waiting for the mesh", "peer 198.18.0.9 has another key"}) {
			t.Errorf("ready %v, reasons %q", snap.Ready, snap.Reasons)
		}
	}, tenAddresses)
}

// TestReadyWhileWritesAreRefused: a node that knows the cluster is ready, whatever the API server
// does not let it write; what is wrong is reported all the same. One that does not is not ready,
// and announces as before.
func TestReadyWhileWritesAreRefused(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		owner := m.one(m.bound("web"))
		for _, tt := range []struct {
			code  health.Code
			ready bool
		}{
			{health.APIUnreachable, false},
			{health.WriteRefused, true},
			{health.APIUnauthorized, false},
			{health.WriteForbidden, true},
			{health.APIForbidden, false},
			{health.APIFailing, false},
		} {
			m.set(owner, func(b *node) { b.api = here(tt.code, "no") })
			m.pass(time.Second)
			snap := m.speakers[owner].speaker.Snapshot()
			told := slices.ContainsFunc(snap.Conditions, func(c health.Condition) bool { return c.Code == tt.code && c.Subject == health.Node(owner) })
			if snap.Ready != tt.ready || !told {
				t.Errorf("%s: ready %v, told %v", tt.code, snap.Ready, told)
			}
			if got := m.one(m.ip("web")); got != owner {
				t.Errorf("%s: announced by %s, not %s any more", tt.code, got, owner)
			}
		}
		m.set(owner, func(b *node) { b.api = nil })
		m.pass(time.Second)
		if snap := m.speakers[owner].speaker.Snapshot(); !snap.Ready || len(snap.Conditions) > 0 {
			t.Errorf("ready %v in the end, with %v", snap.Ready, snap.Conditions)
		}
	}, tenAddresses)
}

func TestHealthy(t *testing.T) {
	long(t)
	lab(t, func(m *model) {
		m.pass(time.Hour)
		for name, b := range m.speakers {
			if err := b.speaker.Healthy(); err != nil {
				t.Errorf("%s after an idle hour: %v", name, err)
			}
		}
		cfg := m.speakers["n1"].speaker.cfg
		cfg.Registry = nil
		stuck := New(cfg) // never run
		m.pass(time.Minute)
		if err := stuck.Healthy(); err == nil {
			t.Error("a loop that never turns is healthy")
		}
	}, tenAddresses)
}

func TestMetrics(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		owner := m.one(m.bound("web"))
		want := `
# HELP starling_addresses_without_owner Bound addresses that no node may announce.
# TYPE starling_addresses_without_owner gauge
starling_addresses_without_owner 0
# HELP starling_allocator_addresses_in_use_total Addresses of a pool that Services hold.
# TYPE starling_allocator_addresses_in_use_total gauge
starling_allocator_addresses_in_use_total{pool="default"} 1
# HELP starling_allocator_addresses_total Addresses of a pool.
# TYPE starling_allocator_addresses_total gauge
starling_allocator_addresses_total{pool="default"} 10
# HELP starling_owned_addresses Addresses that this node owns.
# TYPE starling_owned_addresses gauge
starling_owned_addresses 1
# HELP starling_ownership_changes_total Changes of the owner of an address, as this speaker sees them, by reason.
# TYPE starling_ownership_changes_total counter
starling_ownership_changes_total{reason="eligible"} 0
starling_ownership_changes_total{reason="member-lost"} 0
starling_ownership_changes_total{reason="moved"} 0
starling_ownership_changes_total{reason="new"} 1
# HELP starling_ready 1 if this node may own addresses.
# TYPE starling_ready gauge
starling_ready 1
`
		err := testutil.GatherAndCompare(m.speakers[owner].registry, strings.NewReader(want),
			"starling_addresses_without_owner", "starling_allocator_addresses_in_use_total", "starling_allocator_addresses_total",
			"starling_owned_addresses", "starling_ownership_changes_total", "starling_ready")
		if err != nil {
			t.Error(err)
		}
	}, tenAddresses)
}

// TestNodeWithABoundAddress: the user gets an event, once, and the address stays.
func TestNodeWithABoundAddress(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		m.setNode("n3", func(n *watcher.Node) { n.Addresses = append(n.Addresses, netip.MustParseAddr(ip)) })
		m.pass(time.Minute)
		want := []string{"web: " + ip + " is also an address of node n3, whose kernel answers for it too: exclude it from its pool, or give the node another address"}
		if diff := cmp.Diff(want, m.told("AddressConflict")); diff != "" || m.ip("web") != ip {
			t.Errorf("%s after %s; events (-want +got):\n%s", m.ip("web"), ip, diff)
		}
	}, tenAddresses)
}
