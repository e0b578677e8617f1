package speaker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/mesh"
)

// TestIsolated: the node that reaches nobody by gossip takes the fault for its own, also where only
// datagrams fail, and no other node does.
func TestIsolated(t *testing.T) {
	udp := func(names ...string) (all []health.Condition) {
		for _, n := range names {
			all = append(all, health.New(health.GossipUDPBlocked, health.Node(n), "node "+n+" answers gossip by tcp but not by udp"))
		}
		return all
	}
	const onlyN2 = "open the gossip port (7927, %s) on n2; if other nodes say the same of themselves, open it between all of them; `starling doctor` tests it"
	for _, tt := range []struct {
		name  string
		cause func(m *model)
		want  []string // what n2 finds, with the advice
	}{
		{"its port is dropped", func(m *model) { between([]string{"n2"}, []string{"n1", "n3"}, m.block) }, []string{
			"gossip to all other nodes (n1, n3) is blocked, and they are alive on the wire: most likely the port is blocked on n2 itself: " + fmt.Sprintf(onlyN2, "tcp and udp"),
		}},
		{"for datagrams alone", func(m *model) { m.set("n2", func(b *node) { b.peers = udp("n1", "n3") }) }, []string{
			"all other nodes (n1, n3) answer gossip by tcp but not by udp: most likely the port is blocked on n2 itself: " + fmt.Sprintf(onlyN2, "udp"),
		}},
		{"from one of two", func(m *model) { m.block("n2", "n1") }, []string{
			"gossip to n1 on 7927 is blocked; n1 is alive on the wire: open the gossip port (7927, tcp and udp) between the nodes in both directions; `starling doctor` tests it",
		}},
		{"datagrams from one, all from the other", func(m *model) {
			m.block("n2", "n1")
			m.set("n2", func(b *node) { b.peers = udp("n3") })
		}, []string{
			"gossip to all other nodes (n1, n3) is blocked, and they are alive on the wire: most likely the port is blocked on n2 itself: " + fmt.Sprintf(onlyN2, "tcp and udp"),
		}},
		{"the only other one that lives", func(m *model) {
			m.dies("n3", 500*time.Millisecond)
			m.block("n2", "n1")
		}, []string{
			"neither gossip nor the wire reaches n3: " + health.NodeLost.Rule().Advice,
			"gossip to n1 on 7927 is blocked; n1 is alive on the wire: open the gossip port (7927, tcp and udp) between the nodes in both directions; `starling doctor` tests it",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lab(t, func(m *model) {
				m.pass(10 * time.Second)
				tt.cause(m)
				m.pass(20 * time.Second)
				var got []string
				for _, c := range m.speakers["n2"].speaker.Conditions() {
					got = append(got, c.String())
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("n2 (-want +got):\n%s", diff)
				}
				for _, c := range m.speakers["n1"].speaker.Conditions() {
					if strings.Contains(c.String(), "on n1") {
						t.Errorf("n1 blames itself: %s", c)
					}
				}
			}, tenAddresses)
		})
	}
}

// TestBlockedComesAndGoes: gossip loses a node whose port is dropped, and has it back for a moment
// with each exchange of state that the node begins. Its condition is shown after three seconds all
// the same, and whenever gossip has lost the node again.
func TestBlockedComesAndGoes(t *testing.T) {
	lab(t, func(m *model) {
		m.pass(10 * time.Second)
		turn := func(s mesh.State) {
			m.set("n1", func(b *node) {
				b.state, b.since = s, time.Now()
				m.gossip()
			})
		}
		var shown, of int
		for round := range 6 {
			turn(mesh.Dead)
			m.pass(time.Second) // a moment to object
			for range 20 {
				m.pass(100 * time.Millisecond)
				if round < 2 {
					continue
				}
				of++
				for _, c := range m.speakers["n2"].speaker.Conditions() {
					if c.Code == health.GossipBlocked && c.Subject == health.Node("n1") {
						shown++
					}
				}
			}
			turn(mesh.Alive)
			m.pass(600 * time.Millisecond)
		}
		if shown != of {
			t.Errorf("shown %d of %d times", shown, of)
		}
	}, tenAddresses)
}
