package speaker

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
)

// What is wrong with a node is often seen by all others at the same moment, and half of a large cluster may go at once.
// So that the API server is not asked by everybody about everything, those who see the same tell it one after the other,
// in the order of their rank for its name among those that this node takes for alive:
//
//	the first three       after faultFor
//	the five after them   twice, four, eight, ... times as late, should the first be unable to
//	all others            never, while these live
//
// What perhaps this node alone sees, such as a file that only it cannot read, is told by each, only spread over standFor.
const (
	// faultFor is how long a fault must last before an event tells it: what is over sooner, such as a speaker that starts
	// and is heard on the wire before it has joined, needs nobody.
	faultFor = 3 * time.Second
	// earlyFor is the same for what is better known a little later.
	earlyFor = 2 * faultFor
	tellers  = 3
	standIns = 5
	standFor = 30 * time.Second
	// rankAgain is when a node that is not to tell a fault looks again: those before it may have gone.
	rankAgain = 30 * time.Second
	// tellBurst events about faults go out at once, and then one in each tellEvery.
	tellBurst = 10
	tellEvery = time.Second
)

func newTells() *rate.Limiter { return rate.NewLimiter(rate.Every(tellEvery), tellBurst) }

// telling is how far a fault has been told.
type telling struct {
	since        time.Time
	next         time.Time // when to look whether it is to be told
	logged, told bool
}

// tellFaults sends an event for each fault that lasts, once for as long as it does.
func (s *Speaker) tellFaults(w *world) {
	current := map[faultKey]*telling{}
	for _, f := range s.faults(w) {
		t := s.faulty[f.faultKey]
		if t == nil {
			t = &telling{since: w.now, next: w.now.Add(faultFor)}
		}
		current[f.faultKey] = t
		if !t.told && !w.now.Before(t.next) {
			s.tellFault(w, f, t)
		}
		if !t.told {
			w.wake = earlier(w.wake, t.next)
		}
	}
	for f, t := range s.faulty {
		if what := f.unlogged(); current[f] == nil && t.logged && what != "" {
			s.log.Info().Str("node", f.node).Str("was", what).Msg("well again")
		}
	}
	s.faulty = current
}

// tellFault logs a fault that lasts, and sends its event when it is this node's turn.
func (s *Speaker) tellFault(w *world, f defect, t *telling) {
	if what := f.unlogged(); what != "" && !t.logged {
		s.log.Warn().Str("node", f.node).Str("reason", f.words).Msg(what)
	}
	t.logged = true
	after, ours := w.turnOf(f)
	due, again := t.since.Add(after), w.now.Add(rankAgain)
	switch {
	case !ours:
		t.next = again
	case w.now.Before(due):
		t.next = earlier(due, again)
	case !s.tells.AllowN(w.now, 1):
		t.next = w.now.Add(tellEvery)
	default:
		t.told = true
		s.cfg.API.Event(f.event())
	}
}

// unlogged is what the log says of a fault of which it has no line yet. Members that come and go, keys and configuration
// have some, from where they are found.
func (f faultKey) unlogged() string {
	switch f.reason {
	case GossipBlocked:
		return "gossip is blocked"
	case PoolOverlapsNodes:
		return "a pool contains addresses of nodes"
	}
	return ""
}

// turnOf is how long the defect must have lasted until this node tells it, if it ever does.
func (w *world) turnOf(f defect) (after time.Duration, ours bool) {
	after = faultFor
	if f.early {
		after = earlyFor
	}
	ahead, all := w.ahead(f.faultKey)
	place := ahead - tellers + 1 // among the others
	switch {
	case place <= 0:
		return after, true
	case !f.everywhere:
		return after + time.Duration(place)*min(tellEvery, standFor/time.Duration(all)), true
	}
	return after << min(place, standIns), place <= standIns
}

// ahead counts who sees the fault as well and goes before this node, and all who see it.
func (w *world) ahead(f faultKey) (before, all int) {
	mine := owner.ScoreKey(w.self, f.once())
	for _, m := range w.members {
		if m.Name == w.self || !w.sees(m, f) {
			continue
		}
		all++
		if s := owner.ScoreKey(m.Name, f.once()); s > mine || s == mine && m.Name < w.self {
			before++
		}
	}
	return before, all + 1
}

// sees tells whether a member is likely to see the fault as well, and able to tell it.
func (w *world) sees(m mesh.Member, f faultKey) bool {
	switch {
	case !heard(m, f.reason) || m.Meta.APIAge >= outOfTouch:
		return false
	case f.reason == GossipBlocked: // the wire says that the node lives
		return share(m.Meta.Segments, w.meta.Segments)
	case f.reason == PoolOverlapsNodes:
		return m.Meta.Config == w.meta.Config
	}
	return true
}

// heard tells whether a member is on this node's side as far as such a fault goes: one of the gossip is between those
// that hear each other by gossip.
func heard(m mesh.Member, reason string) bool {
	if reason == GossipBlocked || reason == GossipKeyMismatch {
		return m.State == mesh.Alive
	}
	return reachable(m)
}
