package routes

import (
	"reflect"
	"slices"
	"time"
)

// A session begins anew when the settings of its router change, and the router may drop its paths
// meanwhile. So the holders do it in three turns.
const (
	turns = 3
	// TurnFor is how long after each other the turns are. Speakers read a password within ten
	// seconds of each other.
	TurnFor = 15 * time.Second
	// StalledFor is how long a turn waits at most for those before it to have their sessions: the
	// settings may be wrong.
	StalledFor = time.Minute
)

// Turns keeps the former settings of routers in force until it is this node's turn to change them.
// Its zero value knows none.
type Turns struct {
	used  map[string]Router // by name, without paths
	since clock[string]     // routers whose settings in force are former ones
}

// Follow is the set of a plan with the settings that are to be in force now, given this node's
// sessions, and whether they are others than before. Next is when they will be; zero: never, as
// long as the plan is the same.
func (t *Turns) Follow(p *Plan, sessions []Session, now time.Time) (set Set, changed bool, next time.Time) {
	set = p.Set
	set.Routers = slices.Clone(set.Routers)
	used := map[string]Router{}
	t.since.begin()
	for i := range set.Routers {
		r := &set.Routers[i]
		paths := r.Paths
		r.Paths = nil
		if old, known := t.used[r.Name]; known && !reflect.DeepEqual(old, *r) {
			if established(sessions, r.Name) && !t.due(p, r.Name, now, &next) {
				*r = old
			} else {
				changed = true
			}
		}
		used[r.Name] = *r
		r.Paths = paths
	}
	t.used = used
	return set, changed, next
}

// due reports whether it is this node's turn to change the settings of a router.
func (t *Turns) due(p *Plan, router string, now time.Time, next *time.Time) bool {
	turn, ready := p.turn(router)
	if !t.since.mark(router, now, time.Duration(turn)*TurnFor, next) {
		return false
	}
	return ready || t.since.mark(router, now, time.Duration(turn)*StalledFor, next)
}

// turn is which turn this node has among the holders of a router, and whether all before it have
// their sessions.
func (p *Plan) turn(router string) (turn int, ready bool) {
	i := slices.IndexFunc(p.Peerings, func(peering Peering) bool { return peering.Router == router })
	holders := p.Peerings[i].Holders
	of := func(i int) int { return i * turns / len(holders) }
	if i := slices.Index(holders, p.world.Self); i >= 0 {
		turn = of(i)
	}
	ready = true
	for i, name := range holders {
		ready = ready && (of(i) >= turn || has(p.world.find(name).Sessions, router))
	}
	return turn, ready
}

// established reports whether this node has a session with a router.
func established(sessions []Session, router string) bool {
	return slices.ContainsFunc(sessions, func(s Session) bool { return s.Router == router && s.State == Established })
}
