package routes

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/lease"
)

// Plan is what follows from a world. It is immutable.
type Plan struct {
	Set      Set
	Peerings []Peering // of all routers, sorted by name

	world *World
}

// New makes the plan. The world must not be changed any more.
func New(w World) *Plan {
	p := &Plan{world: &w}
	if w.BGP == nil {
		return p
	}
	for _, r := range w.BGP.Routers {
		p.Peerings = append(p.Peerings, w.peering(r))
	}
	self := w.find(w.Self)
	if self == nil || !self.Ready {
		return p
	}
	p.Set = Set{ASN: w.BGP.ASN, RouterID: self.routerID()}
	for i := range p.Peerings {
		_, known := w.Passwords[p.Peerings[i].Router]
		if secret := p.Peerings[i].router.PasswordFile + p.Peerings[i].router.PasswordSecret; p.Peerings[i].mine && (known || secret == "") {
			p.Set.Routers = append(p.Set.Routers, w.session(&p.Peerings[i]))
		}
	}
	return p
}

// session is what this node has with a router.
func (w *World) session(p *Peering) Router {
	r := p.router
	out := Router{
		Name: r.Name, Address: r.Address, Port: r.Port, ASN: r.ASN, Source: r.Source, Multihop: r.Multihop,
		Hold: r.Hold, Keepalive: r.Keepalive, Password: w.Passwords[r.Name],
		// Both are the same whatever the mode is, so that a change of it ends no session.
		Restart: w.Restart, AddPath: w.BGP.Sessions != lease.SessionsEach,
	}
	if r.BFDMultiplier > 0 {
		out.BFD = &BFD{r.BFDInterval, r.BFDMultiplier}
	}
	out.Paths = w.paths(p)
	return out
}

// hop is a node that is announced for an offer.
type hop struct {
	ip    netip.Addr
	own   bool // see Path.Own
	going bool
}

// group are the addresses of a family that have the same hops, if none has endpoints of its own.
type group struct {
	entry string
	four  bool
}

// paths are those that this node announces to a router.
func (w *World) paths(p *Peering) []Path {
	var offers []offer
	var hops [][]hop
	shared, size := map[group][]hop{}, 0
	for i := range w.Addresses {
		a := &w.Addresses[i]
		for j := range a.Entries {
			if e := &a.Entries[j]; a.Serving && to(e, p.Router) {
				offers = append(offers, offer{a, e, p})
				list := w.shared(shared, offers[len(offers)-1])
				hops, size = append(hops, list), size+len(list)
			}
		}
	}
	list := make([]Path, 0, size)
	for i, o := range offers {
		prefix := o.prefix()
		for _, h := range hops[i] {
			list = append(list, Path{
				Prefix: prefix, NextHop: h.ip, Own: h.own, LocalPref: o.entry.LocalPref, Communities: o.entry.Communities, Leaving: h.going,
			})
		}
	}
	return merge(list)
}

// shared are the hops of an offer. Those of a group are found once.
func (w *World) shared(known map[group][]hop, o offer) []hop {
	if len(o.Local) > 0 {
		return w.hops(o)
	}
	g := group{o.entry.String(), o.IP.Is4()}
	list, ok := known[g]
	if !ok {
		list = w.hops(o)
		known[g] = list
	}
	return list
}

// hops are the nodes that this node announces for an offer, sorted by address.
func (w *World) hops(o offer) (list []hop) {
	best := o.best()
	for _, n := range o.peering.peers {
		if !w.announces(o.peering, n) || o.refusal(n, best) != "" {
			continue
		}
		ip, near := o.hop(n)
		list = append(list, hop{ip, !near && o.session(ip), n.class() == leaving && best != leaving})
	}
	slices.SortFunc(list, func(a, b hop) int { return a.ip.Compare(b.ip) })
	return list
}

// merge sorts paths, and makes one of those with the same prefix and next hop.
func merge(list []Path) []Path {
	slices.SortFunc(list, func(a, b Path) int {
		return cmp.Or(a.Prefix.Compare(b.Prefix), a.NextHop.Compare(b.NextHop))
	})
	out := list[:0]
	for _, path := range list {
		last := len(out) - 1
		if last < 0 || out[last].Prefix != path.Prefix || out[last].NextHop != path.NextHop {
			out = append(out, path)
			continue
		}
		was := &out[last]
		was.LocalPref, was.Leaving = max(was.LocalPref, path.LocalPref), was.Leaving && path.Leaving
		was.Communities = union(was.Communities, path.Communities)
	}
	return out
}

// announces reports whether this node's speaker announces the paths to a node.
func (w *World) announces(p *Peering, n *Node) bool {
	if p.Few {
		return !p.silent && (n.Name != w.Self || !p.others)
	}
	return n.Name == w.Self
}

// union of two sorted lists.
func union(a, b []string) []string {
	if slices.Equal(a, b) {
		return a
	}
	both := slices.Concat(a, b)
	slices.Sort(both)
	return slices.Compact(both)
}
