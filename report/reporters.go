package report

import (
	"time"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/peers"
)

// What is wrong with a node is often seen by all others at the same moment, and half of a large
// cluster may go at once. So that not everybody writes to the API server about everything, the
// nodes that see the same report it one after the other, in the order of their rank for its name
// among those that this node takes for alive:
//
//	the first three       when it has lasted as long as its rule says
//	the five after them   twice, four, eight, ... times as late, should the first be unable to
//	all others            never, while these live
//
// A condition that perhaps one node alone sees, such as a file that only it cannot read, every node
// reports, spread over standFor.
const (
	// earlyFor is how long a condition must last that is better known a little later; else its rule
	// says so.
	earlyFor  = 6 * time.Second
	reporters = 3
	standIns  = 5
	standFor  = 30 * time.Second
	// ReportEvery is how long after another the many conditions of one node are reported.
	ReportEvery = time.Second
)

// Unlogged is what the log says of a condition of which it has no line yet. Members that come and
// go, keys and configuration have some, from where they are found.
func (f NodeReportKey) Unlogged() string {
	switch f.reason {
	case GossipBlocked:
		return "gossip is blocked"
	case KubeProxyMissing:
		return "kube-proxy does not run"
	case NotForwarding:
		return "node does not forward"
	case RouterLost:
		return "no session with a router"
	case PoolOverlapsNodes:
		return "a pool contains addresses of nodes"
	}
	return ""
}

// TurnOf is how long the condition must have lasted until this node reports it, if it ever does.
func (w *World) TurnOf(f NodeReport) (after time.Duration, ours bool) {
	after = f.Code.Rule().After
	if f.early {
		after = earlyFor
	}
	ahead, all := w.ahead(f.NodeReportKey)
	place := ahead - reporters + 1 // among the others
	switch {
	case place <= 0:
		return after, true
	case !f.everywhere:
		return after + time.Duration(place)*min(ReportEvery, standFor/time.Duration(all)), true
	}
	return max(after, ReportEvery) << min(place, standIns), place <= standIns
}

// ahead counts the nodes that see the condition as well and go before this one, and all that see
// it.
func (w *World) ahead(f NodeReportKey) (before, all int) {
	mine := owner.ScoreKey(w.Self, f.Once())
	for _, m := range w.Members {
		if m.Name == w.Self || !w.sees(m, f) {
			continue
		}
		all++
		if s := owner.ScoreKey(m.Name, f.Once()); s > mine || s == mine && m.Name < w.Self {
			before++
		}
	}
	return before, all + 1
}

// sees reports whether a member is likely to see the condition as well, and able to report it.
func (w *World) sees(m mesh.Member, f NodeReportKey) bool {
	switch {
	case !hears(m, f.reason) || m.Meta.OutOfTouch():
		return false
	case f.reason == GossipBlocked: // the wire says that the node lives
		return peers.Share(m.Meta.Segments, w.Meta.Segments)
	case f.reason == PoolOverlapsNodes:
		return m.Meta.Config == w.Meta.Config
	}
	return true
}

// hears reports whether a member is on this node's side as far as such a condition goes: one of the
// gossip is between those that hear each other by gossip.
func hears(m mesh.Member, reason string) bool {
	if reason == GossipBlocked || reason == GossipKeyMismatch {
		return m.State == mesh.Alive
	}
	return m.Up()
}
