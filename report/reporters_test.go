package report

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
)

// byRank are the nodes n1 and so on in the order in which they tell what has this name.
func byRank(once string, count int) []string {
	var names []string
	for i := range count {
		names = append(names, fmt.Sprint("n", i+1))
	}
	slices.SortFunc(names, func(a, b string) int {
		if owner.ScoreKey(a, once) > owner.ScoreKey(b, once) {
			return -1
		}
		return 1
	})
	return names
}

// TestTurnOf: who goes before this node, and how late it tells then.
func TestTurnOf(t *testing.T) {
	const faultFor = 3 * time.Second // of the rules here
	near, far := netip.MustParsePrefix("198.18.0.0/24"), netip.MustParsePrefix("203.0.113.0/24")
	alike := mesh.Meta{Config: 1, Segments: []netip.Prefix{near}}
	edit := func(f func(*mesh.Meta)) mesh.Meta { meta := alike; f(&meta); return meta }
	elsewhere := edit(func(m *mesh.Meta) { m.Segments = []netip.Prefix{far} })
	other := edit(func(m *mesh.Meta) { m.Config = 2 })
	untouched := edit(func(m *mesh.Meta) { m.APIAge = time.Minute })
	codes := map[string]health.Code{
		SpeakerLost: health.NodeLost, ConfigRejected: health.ConfigRejected, GossipBlocked: health.GossipBlocked, PoolOverlapsNodes: health.PoolOverlapsNodes,
	}
	for _, tt := range []struct {
		name   string
		reason string
		state  mesh.State // of those that go before it
		meta   mesh.Meta
		ahead  int
		local  bool // perhaps this node alone sees it
		after  time.Duration
		never  bool
	}{
		{"first", SpeakerLost, mesh.Alive, alike, 0, false, faultFor, false},
		{"third", SpeakerLost, mesh.Alive, alike, 2, false, faultFor, false},
		{"fourth", SpeakerLost, mesh.Alive, alike, 3, false, 2 * faultFor, false},
		{"eighth", SpeakerLost, mesh.Alive, alike, 7, false, 32 * faultFor, false},
		{"ninth", SpeakerLost, mesh.Alive, alike, 8, false, 0, true},
		{"very last", SpeakerLost, mesh.Alive, alike, 999, false, 0, true},
		{"ninth, but alone", ConfigRejected, mesh.Alive, alike, 8, true, 6 * time.Second, false},
		{"very last, but alone", ConfigRejected, mesh.Alive, alike, 999, true, 997 * 30 * time.Millisecond, false},
		{"the others are dead", SpeakerLost, mesh.Dead, alike, 20, false, faultFor, false},
		{"the wire reaches the others", SpeakerLost, mesh.OnWire, alike, 20, false, 0, true},
		{"the wire reaches the others, of the gossip", GossipBlocked, mesh.OnWire, alike, 20, false, faultFor, false},
		{"the others are on another network", GossipBlocked, mesh.Alive, elsewhere, 20, false, faultFor, false},
		{"the others are on another network, of all", SpeakerLost, mesh.Alive, elsewhere, 20, false, 0, true},
		{"the others have other pools", PoolOverlapsNodes, mesh.Alive, other, 20, false, faultFor, false},
		{"the others have other pools, of all", SpeakerLost, mesh.Alive, other, 20, false, 0, true},
		{"the others cannot tell it", SpeakerLost, mesh.Alive, untouched, 20, false, faultFor, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := NodeReport{NodeReportKey: NodeReportKey{"n0", tt.reason, "n0"}, Condition: health.Condition{Code: codes[tt.reason]}, everywhere: !tt.local}
			rank := byRank(f.Once(), tt.ahead+1)
			w := &World{Self: rank[tt.ahead], Meta: alike, Members: []mesh.Member{{Name: rank[tt.ahead], State: mesh.Alive, Meta: alike}}}
			for _, n := range rank[:tt.ahead] {
				w.Members = append(w.Members, mesh.Member{Name: n, State: tt.state, Meta: tt.meta})
			}
			after, ours := w.TurnOf(f)
			if ours == tt.never || ours && after != tt.after {
				t.Errorf("tells after %s: %v, want after %s: %v", after, ours, tt.after, !tt.never)
			}
			f.early = true
			if later, _ := w.TurnOf(f); ours && later <= after {
				t.Errorf("tells after %s though more may be known soon, after %s else", later, after)
			}
		})
	}
}
