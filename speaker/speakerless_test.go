package speaker

import (
	"slices"
	"testing"
	"time"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/watcher"
)

// TestNodeThatIsToHaveNoSpeaker: it is reported as information, in all views and before and after
// its speaker has left, and is no problem.
func TestNodeThatIsToHaveNoSpeaker(t *testing.T) {
	lab(t, func(m *model) {
		told := func(words string) {
			t.Helper()
			m.pass(time.Second)
			snap := m.view()
			var got []string
			for _, c := range snap.Conditions {
				if c.Code == health.NoSpeaker || c.Code == health.SpeakerStopped {
					got = append(got, c.Words)
				}
				if c.Severity != health.Information {
					t.Errorf("%s: %s", c.Severity, c.Words)
				}
			}
			if !slices.Equal(got, []string{words}) || len(snap.Findings)+len(snap.Problems) > 0 {
				t.Errorf("conditions %q, findings %+v, problems %q; want %q", got, snap.Findings, snap.Problems, words)
			}
			if got := values(t, m.speakers["n1"].registry); got["starling_problems"] != 0 || got["starling_nodes_not_selected"] != float64(len(snap.Unselected)) {
				t.Errorf("problems %v, not selected %v, and in the status %q", got["starling_problems"], got["starling_nodes_not_selected"], snap.Unselected)
			}
		}
		m.mu.Lock()
		m.placement = &watcher.Placement{NodeSelector: map[string]string{"edge": "yes"}}
		m.mu.Unlock()
		for _, name := range []string{"n1", "n2", "n3"} {
			m.setNode(name, func(n *watcher.Node) { n.Labels = map[string]string{"edge": "yes"} })
		}
		m.leaves("n3")
		told("the speaker of n3 was stopped")
		m.setNode("n3", func(n *watcher.Node) { n.Labels = nil })
		told("n3 runs no speaker (the DaemonSet does not select it)")
		m.mu.Lock()
		delete(m.speakers, "n3") // gossip forgets who left
		m.gossip()
		m.mu.Unlock()
		told("n3 runs no speaker (the DaemonSet does not select it)")
	}, tenAddresses)
}
