package metallb

import (
	"cmp"
	"maps"
	"slices"

	"github.com/starling-lb/starling/lease"
)

// mostPreferences is of how many preferences all combinations are looked at.
const mostPreferences = 4

// preference is one of the preferredNodeSelectors of an L2Advertisement.
type preference struct {
	weight int
	nodes  lease.Selector
}

func preferences(n node) []preference {
	var all []preference
	for _, item := range n.items() {
		f := item.fields()
		f.others("weight", "preference")
		p := preference{weight: f.get("weight").count(), nodes: f.get("preference").selector()}
		if p.weight < 1 || p.weight > 100 {
			f.get("weight").fail("want a weight from 1 to 100")
		}
		all = append(all, p)
	}
	return all
}

// term is a weight that nodes have which match any of the selectors.
type term struct {
	weight int
	any    []lease.Selector
}

// prefer makes nodeWeights of the preferences. To MetalLB a node has the sum of the weights that
// match it, and an address goes to one of those that have the most. Our weights share the addresses
// out; only weight 0 is strict: such a node announces while there is no other. So what nobody
// prefers has weight 0, and of several preferences each has ten times the weight of the next one.
func (p *pool) prefer(ads []*advert) (list []lease.NodeWeight) {
	terms := termsOf(ads)
	tiers := combine(terms)
	if len(tiers) == 0 {
		return nil
	}
	weights := []int{1}
	if differ := tiers[0].weight != tiers[len(tiers)-1].weight; differ {
		weights = []int{100, 10, 1}
		p.remark("pool %q: MetalLB announces an address by the nodes that it prefers most, and by no other while there is one of them; starling by all that it prefers, those of each preference ten times as often as those of the next one", printable(p.asked))
	}
	level, last := 0, tiers[0].weight
	for _, t := range tiers {
		if t.weight != last {
			level, last = min(level+1, len(weights)-1), t.weight
		}
		w := weights[level]
		if n := len(list); n > 0 && *list[n-1].Weight == w {
			list[n-1].NodeSelectors = append(list[n-1].NodeSelectors, t.any...)
			continue
		}
		list = append(list, lease.NodeWeight{NodeSelectors: t.any, Weight: &w})
	}
	if tooMany(terms) {
		p.remark("pool %q: a node that several of its %d preferences match has the sum of their weights for MetalLB; here the largest one counts", printable(p.asked), len(terms))
	}
	return append(list, unpreferred())
}

// unpreferred is the weight of all nodes that nothing else gives one.
func unpreferred() lease.NodeWeight {
	return lease.NodeWeight{NodeSelectors: []lease.Selector{{}}, Weight: new(int)}
}

// termsOf returns the preferences of all advertisements, each for the nodes of its own one. Equal
// ones add up, and what all nodes have says nothing.
func termsOf(ads []*advert) []term {
	var terms []term
	index := map[string]int{}
	apart := differ(ads, nodesOf)
	for _, a := range ads {
		for _, pref := range a.preferred {
			t := term{weight: pref.weight, any: []lease.Selector{pref.nodes}}
			if apart && !a.everywhere() {
				t.any = both(t.any, a.nodes)
			}
			if len(t.any) == 0 || slices.ContainsFunc(t.any, matchesAll) {
				continue
			}
			k := key(t.any)
			i, there := index[k]
			if !there {
				i = len(terms)
				index[k], terms = i, append(terms, term{any: t.any})
			}
			terms[i].weight += t.weight
		}
	}
	return terms
}

// tooMany reports whether there are too many preferences to look at all combinations of them.
func tooMany(terms []term) bool {
	selectors := 0
	for _, t := range terms {
		selectors += len(t.any)
	}
	return len(terms) > mostPreferences || selectors > 4*mostPreferences
}

// combine returns the sums that nodes can have, the largest one first, and for each the nodes that
// have it or one before it.
func combine(terms []term) []term {
	tiers := slices.Clone(terms)
	if !tooMany(terms) {
		tiers = nil
		for set := 1; set < 1<<len(terms); set++ {
			t := term{any: []lease.Selector{{}}}
			for i, one := range terms {
				if set&(1<<i) != 0 {
					t.weight += one.weight
					t.any = both(t.any, one.any)
				}
			}
			if len(t.any) > 0 {
				tiers = append(tiers, t)
			}
		}
	}
	slices.SortStableFunc(tiers, func(a, b term) int { return cmp.Compare(b.weight, a.weight) })
	return tiers
}

// both returns selectors of what matches one of each list, without those that nothing can match.
func both(a, b []lease.Selector) []lease.Selector {
	var all []lease.Selector
	for _, x := range a {
		for _, y := range b {
			s := lease.Selector{MatchLabels: maps.Clone(x.MatchLabels), MatchExpressions: slices.Concat(x.MatchExpressions, y.MatchExpressions)}
			clash := false
			for k, v := range y.MatchLabels {
				old, there := s.MatchLabels[k]
				clash = clash || there && old != v
				if s.MatchLabels == nil {
					s.MatchLabels = lease.Labels{}
				}
				s.MatchLabels[k] = v
			}
			if s.MatchExpressions = distinct(s.MatchExpressions); !clash && possible(s) {
				all = append(all, s)
			}
		}
	}
	return distinct(all)
}

// possible reports whether some labels may match: it knows of values that a label must have.
func possible(s lease.Selector) bool {
	must := map[string][]string{} // one of these
	for k, v := range s.MatchLabels {
		must[k] = []string{v}
	}
	for _, x := range s.MatchExpressions {
		old, there := must[x.Key]
		switch {
		case x.Operator == "In" && !there:
			must[x.Key] = x.Values
		case x.Operator == "In":
			must[x.Key] = slices.DeleteFunc(slices.Clone(old), func(v string) bool { return !slices.Contains(x.Values, v) })
		}
	}
	for _, x := range s.MatchExpressions {
		if old, there := must[x.Key]; there && x.Operator == "NotIn" {
			must[x.Key] = slices.DeleteFunc(slices.Clone(old), func(v string) bool { return slices.Contains(x.Values, v) })
		} else if there && x.Operator == "DoesNotExist" {
			must[x.Key] = nil
		}
	}
	for _, values := range must {
		if len(values) == 0 {
			return false
		}
	}
	return true
}
