package speaker

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/starling-lb/starling/elect"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/wake"
)

// A speaker that ends and is to be back within the grace moves nothing: it says that it is away,
// and the others go on electing its node. The deputy of an address, which is who would own it if no
// endpoints mattered and the node was not there, answers with the owner's MAC until the speaker is
// ready again. Two speakers that answer with the same MAC are one answer, so a deputy may begin too
// early, and end too late.

// awayLimit is how long a speaker that ends answers on if no other says that it has noticed.
const awayLimit = 500 * time.Millisecond

// First is what a speaker says of itself before the loop does, with its grace: it begins, and is as
// away as its predecessor.
func First(grace time.Duration) mesh.Meta { return mesh.Meta{Away: true, Deputy: true, Grace: grace} }

// parts decides how this speaker ends: for a node that goes, or whose addresses nobody would keep,
// by handing over; else it just says that it is away.
func (s *Speaker) parts(w *world) {
	if s.drain.IsZero() {
		return
	}
	w.leaving = s.cfg.Grace > 0 && s.cfg.Pace > 0 && !s.goes(w) && w.deputies()
	w.draining = !w.leaving
}

// goes reports whether the node is about to go, and not its speaker alone, or is to have none any
// more.
func (s *Speaker) goes(w *world) bool {
	n := w.Cluster.Node(w.Self)
	unselected := n.Name != "" && w.Cluster.Placement != nil && !w.Cluster.Placement.Selects(n)
	return n.Cordoned || n.Going != "" || n.Ending != "" || unselected || elect.Barred(n, s.cfg.IgnoreExclude) != ""
}

// deputies reports whether there is another speaker on a network of this node, and all know how to
// answer for an absent node. Where no other is ready at all, nobody could take the addresses: when
// all speakers restart at once, each recalls who was there.
func (w *world) deputies() bool {
	near := false
	for i := range w.Members {
		m := &w.Members[i]
		if m.Name == w.Self || m.State != mesh.Alive {
			continue
		}
		if !m.Meta.Deputy {
			return false
		}
		near = near || m.Meta.Ready && !m.Meta.Away && peers.Share(m.Meta.Segments, segments(w.Wire))
	}
	return near || w.alone()
}

// alone reports whether no other speaker is ready, so that nobody is waited for.
func (w *world) alone() bool {
	return !slices.ContainsFunc(w.Members, func(m mesh.Member) bool {
		return m.Name != w.Self && m.Up() && m.Meta.Ready && !m.Meta.Away
	})
}

// remember tells which members may be taken for absent by a later process of this node that meets
// none of them: those that own addresses now, this node among them. While it is not ready itself
// there are none, and when its end has begun they stay as they were.
func (s *Speaker) remember(w *world) {
	if s.cfg.Remember == nil || !s.drain.IsZero() {
		return
	}
	var list []mesh.Member
	for _, m := range w.Members {
		if x := m.Meta; len(w.Lacks) == 0 && m.Owns() && x.Ready && !x.Draining && x.Grace > 0 && len(x.MACs) > 0 {
			list = append(list, mesh.Member{Name: m.Name, Addr: m.Addr, Epoch: m.Epoch, Meta: x.OfNode()})
		}
	}
	if !reflect.DeepEqual(list, s.members) {
		s.members = list
		s.cfg.Remember(list)
	}
}

// lingers is how long a deputy answers on after another node has taken its place, which learns of
// that a little later. A new deputy answers with the same MAC, and to a new owner the old one
// yields.
const lingers = 100 * time.Millisecond

// deputize finds who answers for the addresses of nodes whose speakers are away, this node among
// them.
func (s *Speaker) deputize(w *world) {
	was := s.deputy
	s.deputy = map[netip.Addr]string{}
	if slices.ContainsFunc(w.Members, func(m mesh.Member) bool { return m.State == mesh.Absent }) {
		w.Deputies = elect.Deputies(w.Candidates, w.Members, w.VIPs, w.elections)
		maps.DeleteFunc(w.Deputies, func(ip netip.Addr, _ elect.Deputy) bool { return s.refusals.Elsewhere(ip) })
	}
	ask, again := s.standins.Step(s.lookout(w), w.Deputies)
	w.ask, w.wake = append(w.ask, ask...), wake.Earlier(w.wake, again)
	for ip, d := range w.Deputies {
		if d.Node == w.Self {
			s.deputy[ip] = d.Owner
		}
	}
	w.Deputized = len(s.deputy)
	w.wake = wake.Earlier(w.wake, s.refusals.Deputies(s.deputy, w.Now))
	s.linger(w, was)
}

// linger keeps the addresses for a moment that this node answered for as their deputy. Nobody
// answers for a host that is dead.
func (s *Speaker) linger(w *world, was map[netip.Addr]string) {
	ends := map[netip.Addr]time.Time{}
	for ip, owner := range was {
		if s.deputy[ip] != "" || !w.owns(owner) {
			continue
		}
		end, lingering := s.lingering[ip]
		if !lingering {
			end = w.Now.Add(lingers)
		}
		if w.Now.Before(end) {
			ends[ip], s.deputy[ip] = end, owner
			w.wake = wake.Earlier(w.wake, end)
		}
	}
	s.lingering = ends
}

// owns reports whether a node may own addresses: its speaker is there, or away for a while.
func (w *world) owns(node string) bool {
	return slices.ContainsFunc(w.Members, func(m mesh.Member) bool { return m.Name == node && m.Owns() })
}

// hashes are names as metadata tell them.
func hashes(names []string) (out []uint32) {
	for _, n := range names {
		out = append(out, mesh.ShortName(n))
	}
	return out
}
