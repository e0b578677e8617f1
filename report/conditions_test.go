package report

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
)

// TestUnannounced: addresses that nobody announces are one condition for each reason.
func TestUnannounced(t *testing.T) {
	t.Parallel()
	w := &World{Candidates: owner.New(nil)}
	var elections []Election
	w.Election = func(i int) Election { return elections[i] }
	for i, e := range []owner.Result{
		{Code: health.NoLocalEndpoint, Reason: "none here"}, {Owner: "n1"}, {Code: health.NoLocalEndpoint, Reason: "none here"}, {Code: health.NoEligibleNode, Reason: "no node"},
	} {
		w.VIPs = append(w.VIPs, lease.VIP{IP: netip.AddrFrom4([4]byte{198, 18, 64, byte(i + 1)})})
		elections = append(elections, Election{Result: e})
	}
	want := []health.Condition{
		health.New(health.NoLocalEndpoint, health.Address("198.18.64.1"), "no node announces 198.18.64.1, 198.18.64.3: none here"),
		health.New(health.NoEligibleNode, health.Address("198.18.64.4"), "no node announces 198.18.64.4: no node"),
	}
	if diff := cmp.Diff(want, w.unannounced()); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
}

// TestManyDiffering: the problem names a few nodes, whatever the size of the cluster, and only live
// ones.
func TestManyDiffering(t *testing.T) {
	w := &World{Self: "n1", Meta: mesh.Meta{Config: 3}}
	for _, name := range []string{"n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"} {
		m := mesh.Member{Name: name, State: mesh.Alive, Meta: mesh.Meta{Config: 7}}
		switch name {
		case "n1":
			m.Meta = w.Meta
		case "n3":
			m.State = mesh.Dead
		}
		w.Members = append(w.Members, m)
	}
	got := w.differing()
	if want := "other pools or another class are in force on n2, n4, n5, n6, n7 and 2 more than on n1: "; len(got) != 1 || !strings.HasPrefix(got[0].Words, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
