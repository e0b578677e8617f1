package speaker

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/routes"
	"github.com/starling-lb/starling/wake"
)

// Routers takes what is announced by BGP, see package bgp.
type Routers interface {
	Apply(routes.Set) // in place of the set before; does not block
	Sessions() []routes.Session
	Changed() <-chan struct{}
}

// routing is what the loop remembers of BGP. Its zero value is ready to use.
type routing struct {
	leaving  routes.Leaving
	lacking  routes.Lacking
	turns    routes.Turns
	plan     *routes.Plan          // of the last turn; nil: nothing was ever announced
	world    routes.World          // of it
	pools    *lease.Pools          // whose entries its addresses have
	agreed   *lease.Pools          // of the same time
	vips     []lease.VIP           // that its addresses are
	onePath  map[string]netip.Addr // routers that take one path for each prefix only, with their addresses then
	sessions []routes.Session      // as of the last turn
}

// sessions looks what became of the sessions, and what this node says of them.
func (s *Speaker) sessions(w *world) (up, onePath []uint32) {
	if s.cfg.Routers == nil {
		return nil, nil
	}
	r := &s.routing
	r.sessions = s.cfg.Routers.Sessions()
	w.Sessions = r.sessions
	planned := map[string]routes.Router{}
	if r.plan != nil {
		for _, p := range r.plan.Set.Routers {
			planned[p.Name] = p
		}
	}
	one := r.onePath
	r.onePath = map[string]netip.Addr{}
	for _, session := range r.sessions {
		p, known := planned[session.Router]
		if !known {
			continue
		}
		if session.Complete {
			up = append(up, mesh.ShortName(p.Name))
		}
		established := session.State == routes.Established
		if established && session.OnePath() || !established && one[p.Name] == p.Address {
			r.onePath[p.Name] = p.Address
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.onePath)) {
		onePath = append(onePath, mesh.ShortName(name))
	}
	return up, onePath
}

// route plans what is announced by BGP, and has it announced if that is not as before.
func (s *Speaker) route(w *world) {
	if s.cfg.Routers == nil {
		return
	}
	r := &s.routing
	next := routes.World{Self: s.cfg.Node, BGP: w.Pools.BGP(), Restart: s.cfg.Grace}
	if next.BGP != nil {
		next.Nodes, next.Addresses = s.hops(w), s.destinations(w)
		w.wake = wake.Earlier(w.wake, r.leaving.Follow(next.Nodes, w.Now))
		r.lacking.Mark(next.Nodes, w.Now)
		next.OnePath = r.world.OnePath.Follow(next.Nodes)
		if s.cfg.Passwords != nil {
			next.Passwords, w.Unread = s.cfg.Passwords(next.BGP)
		}
	}
	planned := r.plan == nil || r.changed(next)
	if planned {
		r.plan, r.world = routes.New(next), next
	}
	set, changed, turn := r.turns.Follow(r.plan, r.sessions, w.Now)
	if planned || changed {
		s.cfg.Routers.Apply(set)
	}
	w.wake = wake.Earlier(w.wake, wake.Earlier(turn, r.lacking.Follow(r.plan, w.Now)))
	w.Plan = r.plan
}

// changed reports whether a plan would be another one than that of the last turn.
func (r *routing) changed(next routes.World) bool {
	was := &r.world
	return next.BGP != was.BGP || !same(next.Addresses, was.Addresses) ||
		!maps.Equal(next.Passwords, was.Passwords) || !maps.Equal(next.OnePath, was.OnePath) || !reflect.DeepEqual(next.Nodes, was.Nodes)
}

// same reports whether two lists are one and the same.
func same[T any](a, b []T) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

// hops are the members, as far as routes are concerned.
func (s *Speaker) hops(w *world) []routes.Node {
	nodes := make([]routes.Node, 0, len(w.Members))
	for i, n := range w.Candidates.Nodes() {
		m, node := &w.Members[i], w.Cluster.Node(n.Name) // in the same order
		nodes = append(nodes, routes.Node{
			Node: n, Labels: node.Labels, Addresses: node.Addresses, Ready: m.Up() && m.Meta.Ready, Going: m.Meta.Away || m.Meta.Draining,
			Sessions: m.Meta.Sessions, OnePath: m.Meta.OnePath,
		})
	}
	return nodes
}

// destinations are the bound addresses with the BGP entries of their pools: the same list as long
// as nothing of it changes.
func (s *Speaker) destinations(w *world) []routes.Address {
	r := &s.routing
	old := r.world.Addresses
	if r.world.BGP != nil && r.pools == w.Pools && r.agreed == s.agreed && same(r.vips, w.VIPs) && !w.listed && len(s.touched(w)) == 0 {
		return old
	}
	r.pools, r.agreed, r.vips = w.Pools, s.agreed, w.VIPs
	list := make([]routes.Address, len(w.VIPs))
	for i, v := range w.VIPs {
		list[i] = routes.Address{VIP: w.elections[i].Candidate, Pool: v.Pool, Entries: s.entries(w, v)}
	}
	if reflect.DeepEqual(list, old) {
		return old
	}
	return list
}

// entries are the BGP entries of an address; while members have other configurations, also those of
// the one that all last agreed on. So an address that moves to layer 2 stays with the routers until
// it is announced there.
func (s *Speaker) entries(w *world, v lease.VIP) []lease.Announcement {
	labels := s.labelsOf(v)
	list := w.Pools.Announcements(v.Pool, labels)
	if s.agreed == w.Pools {
		return list
	}
	return slices.Concat(list, s.agreed.Announcements(v.Pool, labels))
}

// labelsOf are the labels of the Services of an address.
func (s *Speaker) labelsOf(v lease.VIP) (labels []string) {
	for _, k := range v.Services {
		if svc, ok := s.table.Get(k); ok {
			labels = append(labels, svc.Labels)
		}
	}
	return labels
}

// routedUntil is until when this node goes on while its speaker ends, so that the routers send no
// more to it; for a speaker that will be back, until others announce in its place what it has
// announced.
func (s *Speaker) routedUntil(w *world) time.Time {
	switch {
	case w.Plan == nil || len(w.Plan.Peerings) == 0:
		return time.Time{}
	case w.leaving:
		return s.drain.Add(routes.MarkedFor / 2)
	}
	return s.drain.Add(routes.LeavesFor)
}

// endRoutes ends the sessions of a node that goes. Each router is told, so that it keeps nothing
// of it. A speaker that only restarts says nothing.
func (s *Speaker) endRoutes(w *world) {
	if s.cfg.Routers != nil && w.draining && s.goes(w) {
		s.cfg.Routers.Apply(routes.Set{})
	}
}
