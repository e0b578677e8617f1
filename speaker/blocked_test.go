package speaker

import (
	"strings"
	"testing"
	"time"
)

// TestBlockedGossipIsReportedInTime: what is said of a peer is more than provisional as soon as it
// can be, though nothing else happens.
func TestBlockedGossipIsReportedInTime(t *testing.T) {
	lab(t, func(m *model) {
		m.pass(time.Minute)
		m.block("n2", "n1")
		m.pass(time.Second) // gossip gives n1 up after half of it
		if got := strings.Join(m.speakers["n2"].speaker.Snapshot().Problems, "; "); !strings.Contains(got, "gossip to n1 on 7927 is blocked") {
			t.Errorf("problems %q", got)
		}
	}, tenAddresses)
}
