package routes

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/starling-lb/starling/lease"
)

// Route is who announces an address to whom, for people.
type Route struct {
	To []To // sorted by router; none: it is announced to nobody
	// Reason says why nobody announces it to any router, "" if somebody does, or no BGP entry is
	// for it.
	Reason string
}

// To is how an address is announced to one router.
type To struct {
	Router  string
	Nodes   []string // the next hops, sorted
	Leaving []string // of these, those that are about to be withdrawn
	By      []string // who has a session with the router and announces them, sorted; none: no session is there
	Not     []Not    // the other nodes, sorted
}

// Not is a node that is not announced.
type Not struct{ Node, Why string }

// Route says how an address of the plan's world is announced.
func (p *Plan) Route(ip netip.Addr) Route {
	a := p.world.address(ip)
	if a == nil {
		return Route{}
	}
	return p.route(a)
}

// Routed reports whether an address is announced to a router.
func (p *Plan) Routed(ip netip.Addr) bool {
	a := p.world.address(ip)
	return a != nil && slices.ContainsFunc(a.Entries, func(e lease.Announcement) bool {
		return slices.ContainsFunc(p.Peerings, func(peering Peering) bool {
			o := offer{a, &e, &peering}
			return to(&e, peering.Router) && o.best() != never
		})
	})
}

func (p *Plan) route(a *Address) (r Route) {
	if len(a.Entries) == 0 {
		return r
	}
	r.Reason = "no router is configured for it"
	for i := range p.Peerings {
		to, meant := p.to(a, &p.Peerings[i])
		if len(to.Nodes) > 0 {
			r.To = append(r.To, to)
		} else if meant {
			r.Reason = why(to)
		}
	}
	if len(r.To) > 0 {
		r.Reason = ""
	}
	return r
}

// to is how an address is announced to a router, and whether it is meant to be.
func (p *Plan) to(a *Address, peering *Peering) (t To, meant bool) {
	t.Router = peering.Router
	refused := map[string]string{}
	for j := range a.Entries {
		if !to(&a.Entries[j], t.Router) {
			continue
		}
		meant = true
		o := offer{a, &a.Entries[j], peering}
		best := o.best()
		for _, n := range peering.peers {
			if why := o.refusal(n, best); why != "" {
				refused[n.Name] = why
				continue
			}
			t.Nodes = append(t.Nodes, n.Name)
			if n.class() == leaving && best != leaving {
				t.Leaving = append(t.Leaving, n.Name)
			}
		}
	}
	t.Nodes, t.Leaving = tidy(t.Nodes), tidy(t.Leaving)
	for i := range p.world.Nodes {
		n := &p.world.Nodes[i]
		if _, in := slices.BinarySearch(t.Nodes, n.Name); meant && !in {
			t.Not = append(t.Not, Not{n.Name, cmp.Or(refused[n.Name], n.objection(), "may have no session with "+t.Router)})
		}
	}
	t.By = p.by(peering)
	return t, meant
}

// by are those who announce to a router.
func (p *Plan) by(peering *Peering) (by []string) {
	var old []string // whose knowledge is
	for i := range p.world.Nodes {
		switch n := &p.world.Nodes[i]; {
		case !n.Ready || !has(n.Sessions, peering.Router):
		case peering.Few && n.outOfTouch():
			old = append(old, n.Name)
		default:
			by = append(by, n.Name)
		}
	}
	if by == nil {
		return old
	}
	return by
}

// why nobody is announced to a router, in words.
func why(t To) string {
	if len(t.Not) == 0 {
		return "no node is there"
	}
	first := t.Not[0].Why
	for _, n := range t.Not {
		if n.Why != first {
			var list []string
			for _, n := range t.Not[:min(len(t.Not), 3)] {
				list = append(list, n.Node+": "+n.Why)
			}
			return "no node may be announced to " + t.Router + " (" + strings.Join(list, "; ") + ")"
		}
	}
	return "no node may be announced to " + t.Router + ": " + first
}

func tidy(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
