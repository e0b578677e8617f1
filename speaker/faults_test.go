package speaker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

// onNodes gives the events on Nodes that the API server would let stand, as "node reason", sorted.
func (m *model) onNodes() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var r []string
	seen := map[string]bool{}
	for _, e := range m.events {
		if e.Key.Namespace == "" && !seen[e.Once] {
			seen[e.Once] = true
			r = append(r, e.Key.Name+" "+e.Reason)
		}
	}
	slices.Sort(r)
	return r
}

// TestBlockedOnNodes: the event is on the node that is cut off by a firewall, not on all the others.
func TestBlockedOnNodes(t *testing.T) {
	want := map[string][]string{
		"everybody from everybody":         {"n1", "n2", "n3"},
		"the owner from the others":        {"n1"},
		"nobody hears the owner":           {"n1"},
		"the owner hears nobody":           {"n1"},
		"the last from the others":         {"n3"},
		"owner and next":                   {"n1", "n2"},
		"the next does not hear the owner": {"n1"},
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
				var events []string
				for _, n := range nodes {
					events = append(events, n+" GossipBlocked")
				}
				if diff := cmp.Diff(events, m.onNodes()); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
				for _, said := range m.told(GossipBlocked) {
					if !strings.Contains(said, "is blocked; ") || !strings.Contains(said, "open the gossip port (7927, tcp and udp)") {
						t.Errorf("%q does not say what is the matter and what to do", said)
					}
				}
			}, tenAddresses)
		})
	}
}

// TestBlockedIsLogged: one line when it begins and one when it is over, where the event is told.
func TestBlockedIsLogged(t *testing.T) {
	lab(t, func(m *model) {
		m.pass(10 * time.Second)
		log := m.speakers["n1"].log
		before := log.count()
		m.block("n1", "n2")
		m.pass(20 * time.Second)
		m.unblock("n1", "n2")
		m.pass(20 * time.Second)
		got := slices.Concat(log.since(t, before, "gossip is blocked", "node"), log.since(t, before, "well again", "node", "was"))
		if diff := cmp.Diff([]string{"gossip is blocked node=n2", "well again node=n2 was=gossip is blocked"}, got); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	}, tenAddresses)
}

// TestFaultsOnce: a fault is told once for as long as it lasts by each who sees it, and one that is over soon is not.
func TestFaultsOnce(t *testing.T) {
	lab(t, func(m *model) {
		m.pass(10 * time.Second)
		key := mesh.Complaint{Kind: "key", Who: "198.18.0.3", Words: "peer 198.18.0.3 uses another gossip key"}
		see := func(all ...mesh.Complaint) { m.set("n1", func(b *node) { b.peers = all }) }
		for _, step := range []struct {
			name   string
			all    []mesh.Complaint
			during time.Duration
			want   int // events so far
		}{
			{"over soon", []mesh.Complaint{key}, time.Second, 0},
			{"none", nil, time.Second, 0},
			{"it lasts", []mesh.Complaint{key}, time.Minute, 1},
			{"over", nil, time.Second, 1},
			{"it is back", []mesh.Complaint{key}, 5 * time.Second, 2},
		} {
			see(step.all...)
			m.pass(step.during)
			if got := m.told(GossipKeyMismatch); len(got) != step.want {
				t.Errorf("%s: %d events, want %d: %q", step.name, len(got), step.want, got)
			}
		}
		want := "n3: " + key.Words + ": " + advice(key.Words)
		if got := m.told(GossipKeyMismatch)[0]; got != want {
			t.Errorf("event %q, want %q", got, want)
		}
	}, tenAddresses)
}

// TestFaultsOnNodes: on which Node which fault is told, and what of the faults has a name in common.
func TestFaultsOnNodes(t *testing.T) {
	key := func(who string) mesh.Complaint { return mesh.Complaint{Kind: "key", Who: who, Words: "another key"} }
	for _, tt := range []struct {
		name string
		set  func(*node) // n1
		want []string    // events
		once []string    // of these
	}{
		{"a node has another key", func(b *node) { b.peers = []mesh.Complaint{key("198.18.0.2")} }, []string{"n2 GossipKeyMismatch"}, []string{"GossipKeyMismatch n2"}},
		{
			"this one is alone with its key", func(b *node) { b.peers = []mesh.Complaint{key("198.18.0.2"), key("198.18.0.3")} },
			[]string{"n1 GossipKeyMismatch"},
			[]string{"GossipKeyMismatch n1"},
		},
		{
			"others on the network, or forged ones", func(b *node) { b.peers = []mesh.Complaint{key("198.18.0.70"), key("198.18.0.71")} },
			[]string{"n1 GossipKeyMismatch"},
			[]string{"GossipKeyMismatch peers"},
		},
		{
			"another cluster", func(b *node) {
				b.peers = []mesh.Complaint{{Kind: "label", Who: "198.18.0.70", Words: "another cluster"}}
			},
			[]string{"n1 OtherCluster"},
			[]string{"OtherCluster peers"},
		},
		{
			"a firewall for datagrams", func(b *node) { b.peers = []mesh.Complaint{{Kind: "udp", Who: "n3", Words: "by tcp but not by udp"}} },
			[]string{"n3 GossipBlocked"},
			[]string{"GossipBlocked n3"},
		},
		{"a busy seed", func(b *node) { b.peers = []mesh.Complaint{{Kind: "refused", Who: "198.18.0.2", Words: "refused"}} }, nil, nil},
		{"pools that overlap each other", func(b *node) { b.mistakes = []string{"overlaps"} }, []string{"n1 ConfigRejected"}, []string{"ConfigRejected overlaps"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lab(t, func(m *model) {
				m.pass(10 * time.Second)
				m.set("n1", tt.set)
				m.pass(10 * time.Second)
				if diff := cmp.Diff(tt.want, m.onNodes()); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(tt.once, m.onces()); diff != "" {
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

// TestLostOnNodes: a node that dies is told of by those that live, once, and one that is stopped is not.
func TestLostOnNodes(t *testing.T) {
	lab(t, func(m *model) {
		m.pass(10 * time.Second)
		m.leaves("n3")
		m.pass(10 * time.Second)
		if got := m.onNodes(); got != nil {
			t.Errorf("events %q about a speaker that was stopped", got)
		}
		m.start("n3")
		m.pass(10 * time.Second)
		m.dies("n3", 500*time.Millisecond)
		m.pass(20 * time.Second)
		if diff := cmp.Diff([]string{"n3 SpeakerLost"}, m.onNodes()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	}, tenAddresses)
}

// TestOverlapOnNodes: one event for each pool, on the node that is the example in the words, however many nodes there are.
func TestOverlapOnNodes(t *testing.T) {
	lab(t, func(m *model) {
		m.pass(10 * time.Second)
		if diff := cmp.Diff([]string{"n1 PoolOverlapsNodes"}, m.onNodes()); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
		m.configure(compiled(t, lease.Pool{Name: "default", Ranges: []string{"198.18.64.0/24"}}))
		m.setNode("n2", func(n *watcher.Node) { n.Cordoned = true })
		m.pass(10 * time.Second)
		if diff := cmp.Diff([]string{"PoolOverlapsNodes default"}, slices.Compact(m.onces())); diff != "" {
			t.Errorf("names (-want +got):\n%s", diff)
		}
	}, "default=198.18.0.0/24,198.18.64.0/28")
}
