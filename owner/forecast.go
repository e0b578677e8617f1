package owner

import "slices"

// Forecast tells who would own addresses that nobody serves yet: as if each had endpoints
// everywhere, so that only the nodes decide. It is no more than a guess. It belongs to one
// goroutine.
type Forecast struct{ ranker *Ranker }

// Forecast makes one for these nodes.
func (e *Nodes) Forecast() *Forecast { return &Forecast{e.Ranker()} }

// Nodes names those who own addresses of a network that they are on, as far as is known: the fit
// nodes of the best tier, sorted. Where a network has only nodes of other tiers, these own.
func (f *Forecast) Nodes() []string {
	best := Tier(noTier)
	for i := range f.ranker.nodes.nodes {
		if n := &f.ranker.nodes.nodes[i]; n.Unfit == "" {
			best = min(best, n.Tier)
		}
	}
	var names []string
	for i := range f.ranker.nodes.nodes {
		if n := &f.ranker.nodes.nodes[i]; n.Unfit == "" && n.Tier == best {
			names = append(names, n.Name)
		}
	}
	return names
}

// Owner names who would own an address, "" if nobody. Of the VIP endpoints do not count.
func (f *Forecast) Owner(v VIP) string {
	v.Serving, v.Local = true, nil
	g := f.ranker.group(v)
	if first, _ := g.best(hashAddr(v.IP)); first >= 0 {
		return g.eligible[first].name
	}
	return ""
}

// Equal reports whether two sets of nodes come to the same results.
func (e *Nodes) Equal(o *Nodes) bool {
	return slices.EqualFunc(e.nodes, o.nodes, hashedNode.equal)
}

func (a hashedNode) equal(b hashedNode) bool {
	return a.Name == b.Name && a.Unfit == b.Unfit && a.Tier == b.Tier && slices.Equal(a.Segments, b.Segments)
}
