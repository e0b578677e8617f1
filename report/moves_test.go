package report

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/mesh"
)

// TestRecord: addresses that go the same way for the same cause are one move, and the latest come
// first.
func TestRecord(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 30, 5, 0, 0, 0, time.UTC)
	w := &World{Now: now, Members: []mesh.Member{{Name: "n1", State: mesh.Alive, Meta: mesh.Meta{Ready: true}}, {Name: "n2", State: mesh.Dead}}}
	ip := func(last byte) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, 0, last}) }
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	earlier := []api.Move{{From: "n1", To: "n2", Count: 1}}
	got := w.Record(earlier, []Moved{
		{IP: ip(1), From: "n2", To: "n1", Cause: CauseLost, Since: ago(time.Hour)},
		{IP: ip(2), From: "n2", To: "n3", Cause: CauseLost, Since: ago(time.Hour)},
		{IP: ip(3), From: "n2", To: "n1", Cause: CauseLost, Since: ago(time.Minute)},
	}, func(string) time.Time { return ago(180 * time.Millisecond) })
	want := []api.Move{
		{At: now, From: "n2", To: "n1", Count: 2, IPs: []string{"198.18.0.1", "198.18.0.3"}, Cause: CauseLost, Change: "n2 was lost", Silent: 0.18, Held: 60},
		{At: now, From: "n2", To: "n3", Count: 1, IPs: []string{"198.18.0.2"}, Cause: CauseLost, Change: "n2 was lost", Silent: 0.18, Held: 3600},
		{From: "n1", To: "n2", Count: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("moves (-want +got):\n%s", diff)
	}
	if len(earlier) != 1 || earlier[0].From != "n1" {
		t.Errorf("the earlier list was changed: %+v", earlier)
	}
}

// TestRecordIsBounded, however many addresses and moves there are.
func TestRecordIsBounded(t *testing.T) {
	t.Parallel()
	w := &World{Now: time.Now()}
	var moves []api.Move
	for i := range 2 * maxMoves {
		var turn []Moved
		for j := range byte(2 * maxNamed) {
			turn = append(turn, Moved{IP: netip.AddrFrom4([4]byte{198, 18, 0, j}), From: fmt.Sprint(i), To: "n1", Cause: CauseMoved, Since: w.Now})
		}
		moves = w.Record(moves, turn, nil)
	}
	if len(moves) != maxMoves || moves[0].Count != 2*maxNamed || len(moves[0].IPs) != maxNamed || moves[0].From != fmt.Sprint(2*maxMoves-1) {
		t.Errorf("%d moves, the first is %+v", len(moves), moves[0])
	}
}

func TestWhyMoved(t *testing.T) {
	t.Parallel()
	ready := mesh.Meta{Ready: true}
	with := func(change func(*mesh.Meta)) mesh.Meta { m := ready; change(&m); return m }
	for _, tt := range []struct {
		name  string
		state mesh.State
		meta  mesh.Meta
		moved Moved
		want  string
	}{
		{"nobody could", mesh.Alive, ready, Moved{To: "n2", Cause: CauseEligible}, "n2 may announce, after nobody could"},
		{"unknown", mesh.Alive, ready, Moved{From: "n9", To: "n2", Cause: CauseLost}, "n9 is no member any more"},
		{"lost", mesh.Dead, ready, Moved{From: "n1", To: "n2", Cause: CauseLost}, "n1 was lost"},
		{"left", mesh.Left, ready, Moved{From: "n1", To: "n2", Cause: CauseLost}, "n1 left"},
		{"drains", mesh.Alive, with(func(m *mesh.Meta) { m.Draining = true }), Moved{From: "n1", To: "n2", Cause: CauseMoved}, "n1 is about to leave"},
		{"not ready", mesh.Alive, mesh.Meta{}, Moved{From: "n1", To: "n2", Cause: CauseMoved}, "n1 is not ready any more"},
		{"does not forward", mesh.Alive, with(func(m *mesh.Meta) { m.Drops = true }), Moved{From: "n1", To: "n2", Cause: CauseMoved}, "n1 does not forward"},
		{"no kube-proxy", mesh.Alive, with(func(m *mesh.Meta) { m.NoProxy = true }), Moved{From: "n1", To: "n2", Cause: CauseMoved}, "kube-proxy of n1 does not run"},
		{"to nobody", mesh.Alive, ready, Moved{From: "n1", Cause: CauseMoved}, "n1 may not announce any more"},
		{"another is better", mesh.Alive, ready, Moved{From: "n1", To: "n2", Cause: CauseMoved}, "n2 goes first now"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &World{Members: []mesh.Member{{Name: "n1", State: tt.state, Meta: tt.meta}}}
			if got := w.whyMoved(tt.moved); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
