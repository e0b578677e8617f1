package doctor

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
)

func TestRouters(t *testing.T) {
	t.Parallel()
	refused := health.New(health.RouterRefuses, health.Router("tor2"), "refused")
	lost := health.New(health.NoRouterSession, health.Router("tor4"), "nobody")
	s := api.Snapshot{
		Conditions: []health.Condition{refused, lost, health.New(health.NodeNotReady, health.Node("n2"), "not ready")},
		Routers: []api.Router{
			{Name: "tor1", Address: "192.0.2.1", Session: &api.Session{State: "established", Paths: 3}},
			{Name: "tor2", Address: "192.0.2.2", Session: &api.Session{State: "active", Cause: "refused"}},
			{Name: "tor3", Address: "192.0.2.3", Session: &api.Session{State: "connect"}},
			{Name: "tor4", Address: "192.0.2.4"},
			{Name: "tor5", Address: "192.0.2.5", Up: []string{"n2", "n3"}},
		},
	}
	want := []Check{
		{"bgp", OK, "router tor1 (192.0.2.1) has a session, with 3 paths", "", ""},
		{"bgp", Warn, "refused", refused.Advice, health.RouterRefuses},
		{"bgp", Unknown, "the session with router tor3 (192.0.2.3) is not there yet: connect", "", ""},
		{"bgp", Fail, "nobody", lost.Advice, health.NoRouterSession},
		{"bgp", OK, "router tor5 (192.0.2.5) learns of this node from n2 n3", "", ""},
	}
	if diff := cmp.Diff(want, routers(s)); diff != "" {
		t.Errorf("checks (-want +got):\n%s", diff)
	}
	for _, c := range conditions(s) {
		if c.Code == health.RouterRefuses {
			t.Errorf("%+v is there twice", c)
		}
	}
}
