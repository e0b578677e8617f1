package elect

import (
	"testing"
	"time"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/watcher"
)

// TestTier is in which class a member is. What a reply on the wire has no room for must not count,
// or two nodes that gossip does not bring together rank each other by different words.
func TestTier(t *testing.T) {
	const lost = time.Minute
	for name, tc := range map[string]struct {
		meta  mesh.Meta
		going string
		want  owner.Tier
	}{
		"well":                               {mesh.Meta{}, "", owner.Normal},
		"out of touch":                       {mesh.Meta{APIAge: lost}, "", owner.OutOfTouch},
		"going":                              {mesh.Meta{APIAge: lost}, "DrainInProgress", owner.Going},
		"returning":                          {mesh.Meta{Returning: true}, "DrainInProgress", owner.Returning},
		"draining":                           {mesh.Meta{Returning: true, Draining: true}, "", owner.Draining},
		"without kube-proxy":                 {mesh.Meta{NoProxy: true}, "", owner.NoProxy},
		"without kube-proxy, out of touch":   {mesh.Meta{NoProxy: true, APIAge: lost}, "", owner.NoProxy},
		"without kube-proxy, returning":      {mesh.Meta{NoProxy: true, Returning: true}, "", owner.NoProxy},
		"without kube-proxy, going, back":    {mesh.Meta{NoProxy: true, Returning: true}, "DrainInProgress", owner.NoProxy + owner.Going},
		"without kube-proxy, draining, back": {mesh.Meta{NoProxy: true, Returning: true, Draining: true}, "", owner.NoProxy + owner.Draining},
	} {
		if got := tier(mesh.Member{Meta: tc.meta}, watcher.Node{Going: tc.going}, true); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

// TestInTouch: whether others are in touch with the API server, members without kube-proxy do not
// say.
func TestInTouch(t *testing.T) {
	for noProxy, want := range map[bool]owner.Tier{false: owner.OutOfTouch, true: owner.Normal} {
		all, _ := Candidates([]mesh.Member{
			{Name: "n1", State: mesh.Alive, Meta: mesh.Meta{Ready: true, APIAge: time.Minute}},
			{Name: "n2", State: mesh.Alive, Meta: mesh.Meta{Ready: true, NoProxy: noProxy}},
		}, nil, false)
		if got := all.Nodes()[0].Tier; got != want {
			t.Errorf("%v: %s, want %s", noProxy, got, want)
		}
	}
}
