package speaker

import (
	"testing"
	"time"

	"github.com/starling-lb/starling/watcher"
)

const (
	mac1 = "02:00:00:00:00:01"
	mac2 = "02:00:00:00:00:02"
	mac3 = "02:00:00:00:00:03"
)

// TestStrangerEndsNoHandOver: an address on its way to another node is answered
// until that node is heard, whoever else speaks.
func TestStrangerEndsNoHandOver(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		owner := m.one(ip)
		gap, _ := m.during(ip, func() {
			m.setNode(owner, func(n *watcher.Node) { n.Going = "DrainInProgress" })
			m.claim(ip, "02:00:00:00:00:99")
			m.pass(2 * time.Second)
		})
		if gap > 0 || m.one(ip) == owner {
			t.Errorf("no answer for %s, %s answers in the end", gap, m.one(ip))
		}
	}, tenAddresses)
}
