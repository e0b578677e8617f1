package speaker

import (
	"net/netip"
	"testing"
	"time"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher"
)

// TestOverlapFollows: it is reported in the status, and no longer when the pool or the node has
// gone.
func TestOverlapFollows(t *testing.T) {
	lab(t, func(m *model) {
		problems := func() int { return len(m.speakers["n1"].speaker.Snapshot().Problems) }
		m.until("it is reported", time.Second, func() bool { return problems() == 1 })
		m.setNode("n2", func(n *watcher.Node) { n.Addresses = []netip.Addr{netip.MustParseAddr("198.18.0.9")} })
		m.until("it is over with the node's address", 10*time.Second, func() bool { return problems() == 0 })
		m.setNode("n2", func(n *watcher.Node) { n.Addresses = []netip.Addr{netip.MustParseAddr("198.18.0.2")} })
		m.until("it is reported again", 10*time.Second, func() bool { return problems() == 1 })
		m.configure(compiled(t, lease.Pool{Name: "default", Ranges: []string{"198.18.64.0/24"}}))
		m.until("it is over with the pool", 10*time.Second, func() bool { return problems() == 0 })
	}, "default=198.18.0.2/32,198.18.64.0/28")
}
