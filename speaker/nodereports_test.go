package speaker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/report"
	"github.com/starling-lb/starling/watcher"
)

// onNodes gives who told which event on a Node, by "node reason", sorted: as often as the API
// server was asked for it.
func (m *model) onNodes() map[string][]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := map[string][]string{}
	for _, e := range m.events {
		if e.Key.Namespace == "" {
			what := e.Key.Name + " " + e.Reason
			r[what] = append(r[what], e.by)
			slices.Sort(r[what])
		}
	}
	return r
}

// TestBlockedOnNodes: the event is on the node that is cut off by a firewall, not on all the
// others, and each who sees it reports it once.
func TestBlockedOnNodes(t *testing.T) {
	want := map[string]map[string][]string{ // who reports it, by node
		"everybody from everybody":         {"n1": {"n1"}, "n2": {"n2"}, "n3": {"n3"}},
		"the owner from the others":        {"n1": {"n1", "n2", "n3"}},
		"nobody hears the owner":           {"n1": {"n2", "n3"}},
		"the owner hears nobody":           {"n1": {"n1"}},
		"the last from the others":         {"n3": {"n1", "n2", "n3"}},
		"owner and next":                   {"n1": {"n2"}, "n2": {"n1"}},
		"the next does not hear the owner": {"n1": {"n2"}},
	}
	for _, p := range partitions() {
		nodes := want[p.name]
		if nodes == nil {
			continue // as one of the others
		}
		t.Run(p.name, func(t *testing.T) {
			lab(t, func(m *model) {
				m.pass(10 * time.Second)
				p.do(m.block, "n1", "n2", "n3")
				m.pass(10 * time.Second)
				events := map[string][]string{}
				for n, by := range nodes {
					events[n+" GossipBlocked"] = by
				}
				if diff := cmp.Diff(events, m.onNodes()); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
				for _, said := range m.told(report.GossipBlocked) {
					if !strings.Contains(said, " is blocked") || !strings.Contains(said, "open the gossip port (7927, tcp and udp)") {
						t.Errorf("%q does not say what is the matter and what to do", said)
					}
				}
			}, tenAddresses)
		})
	}
}

// TestBlockedIsLogged: one line when it begins and one when it is over, where the event is
// reported.
func TestBlockedIsLogged(t *testing.T) {
	lab(t, func(m *model) {
		m.pass(10 * time.Second)
		log := m.speakers["n1"].log
		before := log.count()
		m.block("n1", "n2")
		m.pass(20 * time.Second)
		m.unblock("n1", "n2")
		m.pass(20 * time.Second)
		got := slices.Concat(log.since(t, before, "gossip is blocked", "node"), log.since(t, before, "condition is over", "node", "was"))
		if diff := cmp.Diff([]string{"gossip is blocked node=n2", "condition is over node=n2 was=gossip is blocked"}, got); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	}, tenAddresses)
}

// TestConditionsOnce: a condition is reported once for as long as it lasts by each who sees it, and
// one that is over soon is not.
func TestConditionsOnce(t *testing.T) {
	lab(t, func(m *model) {
		m.pass(10 * time.Second)
		key := health.New(health.GossipKeyMismatch, health.Address("198.18.0.3"), "peer 198.18.0.3 uses another gossip key")
		see := func(all ...health.Condition) { m.set("n1", func(b *node) { b.peers = all }) }
		for _, step := range []struct {
			name   string
			all    []health.Condition
			during time.Duration
			want   int // events so far
		}{
			{"over soon", []health.Condition{key}, time.Second, 0},
			{"none", nil, time.Second, 0},
			{"it lasts", []health.Condition{key}, time.Minute, 1},
			{"over", nil, time.Second, 1},
			{"it is back", []health.Condition{key}, 5 * time.Second, 2},
		} {
			see(step.all...)
			m.pass(step.during)
			if got := m.told(report.GossipKeyMismatch); len(got) != step.want {
				t.Errorf("%s: %d events, want %d: %q", step.name, len(got), step.want, got)
			}
		}
		want := "n3: " + key.String()
		if got := m.told(report.GossipKeyMismatch)[0]; got != want {
			t.Errorf("event %q, want %q", got, want)
		}
	}, tenAddresses)
}

// TestConditionsOnNodes: on which Node which condition is reported, and what of the conditions has
// a name in common.
func TestConditionsOnNodes(t *testing.T) {
	key := func(who string) health.Condition {
		return health.New(health.GossipKeyMismatch, health.Address(who), "another key")
	}
	for _, tt := range []struct {
		name  string
		set   func(*node) // n1
		event string
		once  string // its name
	}{
		{"a node has another key", func(b *node) { b.peers = []health.Condition{key("198.18.0.2")} }, "n2 GossipKeyMismatch", "GossipKeyMismatch n2"},
		{
			"this one is alone with its key", func(b *node) { b.peers = []health.Condition{key("198.18.0.2"), key("198.18.0.3")} },
			"n1 GossipKeyMismatch", "GossipKeyMismatch n1",
		},
		{
			"others on the network, or forged ones", func(b *node) { b.peers = []health.Condition{key("198.18.0.70"), key("198.18.0.71")} },
			"n1 GossipKeyMismatch", "GossipKeyMismatch peers",
		},
		{
			"another cluster", func(b *node) {
				b.peers = []health.Condition{health.New(health.OtherCluster, health.Address("198.18.0.70"), "another cluster")}
			},
			"n1 OtherCluster", "OtherCluster peers",
		},
		{
			"a firewall for datagrams", func(b *node) {
				b.peers = []health.Condition{health.New(health.GossipUDPBlocked, health.Node("n3"), "by tcp but not by udp")}
			},
			"n3 GossipBlocked", "GossipBlocked n3",
		},
		{"a busy seed", func(b *node) {
			b.peers = []health.Condition{health.New(health.PeerNoSpeaker, health.Address("198.18.0.2"), "refused")}
		}, "", ""},
		{"pools that overlap each other", func(b *node) { b.mistakes = []string{"overlaps"} }, "n1 ConfigRejected", "ConfigRejected overlaps"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lab(t, func(m *model) {
				m.pass(10 * time.Second)
				m.set("n1", tt.set)
				m.pass(10 * time.Second)
				want, once := map[string][]string{}, []string(nil)
				if tt.event != "" {
					want[tt.event], once = []string{"n1"}, []string{tt.once}
				}
				if diff := cmp.Diff(want, m.onNodes()); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(once, m.onces()); diff != "" {
					t.Errorf("names (-want +got):\n%s", diff)
				}
			}, tenAddresses)
		})
	}
}

// onces are the names of the events on Nodes.
func (m *model) onces() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var r []string
	for _, e := range m.events {
		if e.Key.Namespace == "" {
			r = append(r, e.Once)
		}
	}
	return r
}

// TestLostOnNodes: a node that dies is reported by those that live, once by each, and one that is
// stopped is not.
func TestLostOnNodes(t *testing.T) {
	lab(t, func(m *model) {
		m.pass(10 * time.Second)
		m.leaves("n3")
		m.pass(10 * time.Second)
		if got := m.onNodes(); len(got) > 0 {
			t.Errorf("events %q about a speaker that was stopped", got)
		}
		m.start("n3")
		m.pass(10 * time.Second)
		m.dies("n3", 500*time.Millisecond)
		m.pass(20 * time.Second)
		if diff := cmp.Diff(map[string][]string{"n3 SpeakerLost": {"n1", "n2"}}, m.onNodes()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	}, tenAddresses)
}

// TestLostBehindAFirewall: a node with which nobody gossips knows from the wire who lives, and
// blames itself for the gossip, but not for the nodes that are down.
func TestLostBehindAFirewall(t *testing.T) {
	hall(t, 5, func(m *model) {
		m.pass(10 * time.Second)
		between([]string{"n1"}, []string{"n2", "n3", "n4", "n5"}, m.block)
		m.pass(10 * time.Second)
		m.dies("n4", 500*time.Millisecond)
		m.dies("n5", 500*time.Millisecond)
		m.pass(20 * time.Second)
		var lost []string
		for what, by := range m.onNodes() {
			if strings.HasSuffix(what, report.SpeakerLost) && slices.Contains(by, "n1") {
				lost = append(lost, what)
			}
		}
		slices.Sort(lost)
		if diff := cmp.Diff([]string{"n4 SpeakerLost", "n5 SpeakerLost"}, lost); diff != "" {
			t.Errorf("told by n1 (-want +got):\n%s", diff)
		}
		if by := m.onNodes()["n1 GossipBlocked"]; !slices.Contains(by, "n1") {
			t.Errorf("its gossip is reported blocked by %q, not by itself", by)
		}
	}, tenAddresses)
}

// TestDatagramsFailFirst: when gossip gives the node up a moment later, the event says that all of
// the port is blocked.
func TestDatagramsFailFirst(t *testing.T) {
	lab(t, func(m *model) {
		m.pass(10 * time.Second)
		m.set("n2", func(b *node) {
			b.peers = []health.Condition{health.New(health.GossipUDPBlocked, health.Node("n3"), "n3 answers by TCP but not by UDP")}
		})
		m.pass(health.GossipBlocked.Rule().After + time.Second)
		if got := m.onNodes(); len(got) > 0 {
			t.Errorf("events %q before it can be known", got)
		}
		between([]string{"n3"}, []string{"n1", "n2"}, m.block)
		m.pass(10 * time.Second)
		for _, said := range m.told(report.GossipBlocked) {
			if !strings.Contains(said, "open the gossip port (7927, tcp and udp)") {
				t.Errorf("%q is of datagrams alone", said)
			}
		}
		if diff := cmp.Diff(map[string][]string{"n3 GossipBlocked": {"n1", "n2", "n3"}}, m.onNodes()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	}, tenAddresses)
}

// TestOverlapOnNodes: one event for each pool, on the node that is the example in the words,
// however many nodes there are.
func TestOverlapOnNodes(t *testing.T) {
	lab(t, func(m *model) {
		m.pass(10 * time.Second)
		want := map[string][]string{"n1 PoolOverlapsNodes": {"n1", "n2", "n3"}}
		if diff := cmp.Diff(want, m.onNodes()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		m.setNode("n2", func(n *watcher.Node) { n.Going = "DrainInProgress" })
		m.pass(10 * time.Second)
		m.configure(compiled(t, lease.Pool{Name: "default", Ranges: []string{"198.18.64.0/24"}}))
		m.pass(10 * time.Second)
		if diff := cmp.Diff(want, m.onNodes()); diff != "" {
			t.Errorf("events after nodes and pools changed (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(slices.Repeat([]string{"PoolOverlapsNodes default"}, 3), m.onces()); diff != "" {
			t.Errorf("names (-want +got):\n%s", diff)
		}
	}, "default=198.18.0.0/24,198.18.64.0/28")
}
