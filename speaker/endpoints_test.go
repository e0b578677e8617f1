package speaker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/watcher"
)

// TestEndpointsWithoutANode: a Service whose endpoints no node runs, such as a gateway of the
// network plugin, is announced with Cluster; with Local nobody announces it, and the event says why
// and what to do.
func TestEndpointsWithoutANode(t *testing.T) {
	lab(t, func(m *model) {
		m.create("gateway", nil, "")
		ip := m.bound("gateway")
		m.one(ip)
		m.edit("gateway", func(s *watcher.Service) { s.Local = true })
		m.answered(ip)
		m.pass(ownerlessFor + time.Second)
		want := "gateway: no node may announce " + ip + ": no ready node has a local endpoint: the endpoints of its Service name no node: " + health.EndpointsWithoutNode.Rule().Advice
		if got := m.told(NoEligibleNode); !slices.Equal(got, []string{want}) {
			t.Errorf("events %q, want %q", got, want)
		}
		if got := m.view().Findings; len(got) != 1 || !strings.Contains(got[0].Words, "name no node") || got[0].Todo != health.EndpointsWithoutNode.Rule().Advice {
			t.Errorf("findings %+v", got)
		}
		m.edit("gateway", func(s *watcher.Service) { s.Local = false })
		m.one(ip)
	}, tenAddresses)
}
