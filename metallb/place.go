package metallb

import (
	"slices"

	"github.com/starling-lb/starling/lease"
)

// place gives the pool the nodes and interfaces of its advertisements together. Those for some Services
// only count if there is no other, because everything is announced that is in a pool of ours.
func (p *pool) place(l2 []*advert) {
	all := p.forAll(l2)
	ads := essential(all)
	allNodes, allInterfaces := false, false
	for _, a := range ads {
		allNodes = allNodes || a.everywhere()
		allInterfaces = allInterfaces || len(a.interfaces) == 0
		p.NodeSelectors = append(p.NodeSelectors, a.nodes...)
		p.Interfaces = append(p.Interfaces, a.interfaces...)
	}
	p.NodeSelectors, p.Interfaces = distinct(p.NodeSelectors), distinct(p.Interfaces)
	if differ(ads, nodesOf) && differ(ads, func(a *advert) any { return distinct(a.interfaces) }) {
		p.remark("pool %q: its L2Advertisements want other interfaces on other nodes; starling announces on all of the interfaces on all of the nodes", printable(p.asked))
	}
	if allNodes {
		p.NodeSelectors = nil
	}
	if allInterfaces {
		p.Interfaces = nil
	}
	p.prefer(all)
}

// forAll returns the advertisements that are for all Services, or all of them if there is none; and
// remarks on the others where they make a difference.
func (p *pool) forAll(l2 []*advert) []*advert {
	all := slices.DeleteFunc(slices.Clone(l2), func(a *advert) bool { return !a.ofAll() })
	for _, a := range l2 {
		switch {
		case a.ofAll():
		case len(all) == 0:
			a.tell("starling announces every address of a pool: give the Services that are not to be announced here a pool of their own")
		case len(l2) > mostCompared || !slices.ContainsFunc(all, func(o *advert) bool { return o.covers(a) }):
			a.tell("left out: starling announces all addresses of a pool alike, here as the other L2Advertisements say; give the Services that are to be announced otherwise a pool of their own")
		}
	}
	if len(all) == 0 {
		return l2
	}
	return all
}

// tell remarks on the serviceSelectors, once.
func (a *advert) tell(text string) {
	if !a.told {
		a.told = true
		a.forSome.remark("%s", text)
	}
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

// covers reports whether an advertisement says all that another one says of nodes and interfaces.
func (a *advert) covers(b *advert) bool {
	return (a.everywhere() || !b.everywhere() && within(b.nodes, a.nodes)) &&
		(len(a.interfaces) == 0 || len(b.interfaces) > 0 && within(b.interfaces, a.interfaces))
}

// within reports whether all values are among others.
func within[T any](values, others []T) bool {
	return len(distinct(slices.Concat(others, values))) == len(distinct(others))
}

// mostCompared is up to how many advertisements of a pool are compared with each other.
const mostCompared = 32

// essential leaves out the advertisements that another one covers.
func essential(all []*advert) []*advert {
	if len(all) > mostCompared {
		return all
	}
	var kept []*advert
	for i, a := range all {
		covered := false
		for j, o := range all {
			covered = covered || i != j && o.covers(a) && (j < i || !a.covers(o))
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

// differ reports whether the advertisements differ in something.
func differ(all []*advert, of func(*advert) any) bool {
	return slices.ContainsFunc(all, func(a *advert) bool { return key(of(a)) != key(of(all[0])) })
}
