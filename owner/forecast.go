package owner

import "slices"

// Forecast tells who would own addresses that nobody serves yet: as if each had endpoints everywhere,
// so that only the nodes decide. It is no more than a guess. It belongs to one goroutine.
type Forecast struct{ poll *Poll }

// Forecast makes one for these nodes.
func (e *Electorate) Forecast() *Forecast { return &Forecast{e.Poll()} }

// Nodes names those who own addresses of a network that they are on, as far as is known: the fit nodes
// of the best tier, sorted. Where a network has only nodes of other tiers, these own.
func (f *Forecast) Nodes() []string {
	best := Tier(noTier)
	for i := range f.poll.electorate.nodes {
		if n := &f.poll.electorate.nodes[i]; n.Unfit == "" {
			best = min(best, n.Tier)
		}
	}
	var names []string
	for i := range f.poll.electorate.nodes {
		if n := &f.poll.electorate.nodes[i]; n.Unfit == "" && n.Tier == best {
			names = append(names, n.Name)
		}
	}
	return names
}

// Owner names who would own an address, "" if nobody. Of the VIP endpoints do not count.
func (f *Forecast) Owner(v VIP) string {
	v.Serving, v.Local = true, nil
	g := f.poll.group(v)
	if first, _ := g.best(hashAddr(v.IP)); first >= 0 {
		return g.seats[first].name
	}
	return ""
}

// Equal reports whether two electorates come to the same verdicts.
func (e *Electorate) Equal(o *Electorate) bool {
	return slices.EqualFunc(e.nodes, o.nodes, voter.equal)
}

func (a voter) equal(b voter) bool {
	return a.Name == b.Name && a.Unfit == b.Unfit && a.Tier == b.Tier && slices.Equal(a.Segments, b.Segments)
}
