package report

import (
	"testing"
	"time"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

// TestVerdicts: what is wrong with a member, by its code.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w := &World{Self: "n1", Now: began, Cluster: watcher.State{Nodes: []watcher.Node{{Name: "n2", Cordoned: true}, {Name: "n3", NetworkUnavailable: true}}}}
	for _, tt := range []struct {
		name   string
		gossip []mesh.Member
		in     mesh.Member
		want   health.Code
	}{
		{"well", nil, mesh.Member{Name: "n4", State: mesh.Alive, Meta: mesh.Meta{Ready: true}}, ""},
		{"dead", nil, mesh.Member{Name: "n4", State: mesh.Dead}, health.NodeLost},
		{"stopped", nil, mesh.Member{Name: "n4", State: mesh.Left}, health.SpeakerStopped},
		{"on the wire", nil, mesh.Member{Name: "n4", State: mesh.OnWire}, health.GossipBlocked},
		{"another configuration", nil, mesh.Member{Name: "n4", State: mesh.Alive, Meta: mesh.Meta{Ready: true, Config: 7}}, health.ConfigDiffers},
		{"not ready", nil, mesh.Member{Name: "n4", State: mesh.Alive}, health.NodeNotReady},
		{"without kube-proxy", nil, mesh.Member{Name: "n4", State: mesh.Alive, Meta: mesh.Meta{Ready: true, NoProxy: true}}, health.KubeProxyMissing},
		{"not forwarding", nil, mesh.Member{Name: "n4", State: mesh.Alive, Meta: mesh.Meta{Ready: true, NoProxy: true, Drops: true}}, health.NotForwarding},
		{"out of touch", nil, mesh.Member{Name: "n4", State: mesh.Alive, Meta: mesh.Meta{Ready: true, APIAge: time.Minute}}, health.NodeOutOfTouch},
		{"cordoned", nil, mesh.Member{Name: "n2", State: mesh.Alive, Meta: mesh.Meta{Ready: true}}, health.NodeCordoned},
		{"without a network", nil, mesh.Member{Name: "n3", State: mesh.Alive, Meta: mesh.Meta{Ready: true}}, health.NetworkUnavailable},
		{"just given up", []mesh.Member{{Name: "n4", State: mesh.Dead, Since: began}}, mesh.Member{Name: "n4", State: mesh.OnWire}, health.GossipGivenUp},
	} {
		w.Gossip = tt.gossip
		got, wrong := w.verdict(tt.in)
		if got.Code != tt.want || wrong != (tt.want != "") || wrong && got.Subject != health.Node(tt.in.Name) {
			t.Errorf("%s: %+v, want %s", tt.name, got, tt.want)
		}
	}
}
