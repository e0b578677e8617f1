package metallb

import (
	"slices"

	"github.com/starling-lb/starling/lease"
)

// place makes layer 2 entries of the advertisements of a pool: one of all that differ in nodes or
// in interfaces alone, else one of each.
func (p *pool) place(l2 []*advert) []lease.OnLayer2 {
	if len(l2) == 0 {
		return nil
	}
	if !slices.ContainsFunc(l2, func(a *advert) bool { return !a.ofAll() }) {
		if ads := essential(l2, true); !differ(ads, nodesOf) || !differ(ads, interfacesOf) {
			e := together(ads)
			e.NodeWeights = p.prefer(l2)
			return []lease.OnLayer2{e}
		}
	}
	var entries []lease.OnLayer2
	ads := essential(l2, false)
	preferred := 0
	for _, a := range ads {
		preferred += min(len(a.preferred), 1)
	}
	if preferred > 1 {
		p.remark("pool %q: several of its L2Advertisements prefer nodes; MetalLB compares the weights of all, starling those of each L2Advertisement", printable(p.asked))
	}
	for _, a := range ads {
		e := together([]*advert{a})
		if !a.ofAll() {
			e.ServiceSelectors = distinct(a.services)
		}
		if e.NodeWeights = p.prefer([]*advert{a}); preferred > 0 && len(e.NodeWeights) == 0 {
			e.NodeWeights = []lease.NodeWeight{unpreferred()} // beside those that others prefer
		}
		entries = append(entries, e)
	}
	return entries
}

// together unites nodes and interfaces of advertisements.
func together(ads []*advert) (e lease.OnLayer2) {
	allNodes, allInterfaces := false, false
	for _, a := range ads {
		allNodes = allNodes || a.everywhere()
		allInterfaces = allInterfaces || len(a.interfaces) == 0
		e.NodeSelectors = append(e.NodeSelectors, a.nodes...)
		e.Interfaces = append(e.Interfaces, a.interfaces...)
	}
	e.NodeSelectors, e.Interfaces = distinct(e.NodeSelectors), distinct(e.Interfaces)
	if allNodes {
		e.NodeSelectors = nil
	}
	if allInterfaces {
		e.Interfaces = nil
	}
	return e
}

// ofAll reports whether an advertisement is for all Services.
func (a *advert) ofAll() bool {
	return len(a.services) == 0 || slices.ContainsFunc(a.services, matchesAll)
}

// everywhere reports whether an advertisement is for all nodes.
func (a *advert) everywhere() bool {
	return len(a.nodes) == 0 || slices.ContainsFunc(a.nodes, matchesAll)
}

func matchesAll(s lease.Selector) bool { return len(s.MatchLabels)+len(s.MatchExpressions) == 0 }

// covers reports whether an advertisement says all that another one says of Services, nodes and
// interfaces.
func (a *advert) covers(b *advert) bool {
	return (a.ofAll() || !b.ofAll() && within(b.services, a.services)) &&
		(a.everywhere() || !b.everywhere() && within(b.nodes, a.nodes)) &&
		(len(a.interfaces) == 0 || len(b.interfaces) > 0 && within(b.interfaces, a.interfaces))
}

// within reports whether all values are among others.
func within[T any](values, others []T) bool {
	return len(distinct(slices.Concat(others, values))) == len(distinct(others))
}

// mostCompared is up to how many advertisements of a pool are compared with each other.
const mostCompared = 32

// essential leaves out the advertisements that another one covers: those that prefer nodes only if
// preferences are looked at apart.
func essential(all []*advert, apart bool) []*advert {
	if len(all) > mostCompared {
		return all
	}
	var kept []*advert
	for i, a := range all {
		covered := false
		for j, o := range all {
			covered = covered || i != j && o.covers(a) && (j < i || !a.covers(o)) && (apart || len(a.preferred) == 0)
		}
		if !covered {
			kept = append(kept, a)
		}
	}
	return kept
}

// nodesOf is what an advertisement says of nodes.
func nodesOf(a *advert) any {
	if a.everywhere() {
		return nil
	}
	return distinct(a.nodes)
}

// interfacesOf is what an advertisement says of interfaces.
func interfacesOf(a *advert) any { return distinct(a.interfaces) }

// differ reports whether the advertisements differ in something.
func differ(all []*advert, of func(*advert) any) bool {
	return slices.ContainsFunc(all, func(a *advert) bool { return key(of(a)) != key(of(all[0])) })
}
