package owner

import (
	"net/netip"
	"slices"
)

// Forecast tells who would own addresses that nobody serves yet: as if each had endpoints everywhere,
// so that only the nodes decide. It remembers who is eligible on each network, which makes it much
// faster than an election, and is no more than a guess. It belongs to one goroutine.
type Forecast struct {
	electorate *Electorate
	segments   []netip.Prefix // of all nodes
	eligible   map[place][]seat
}

// seat is an eligible node, small enough for many of them to be gone through.
type seat struct {
	hash uint64
	name string
}

// place is what addresses have in common for which the same nodes are eligible.
type place struct {
	on    string // one byte for each segment: is the address on it
	group string
}

// Forecast makes one for these nodes.
func (e *Electorate) Forecast() *Forecast {
	f := &Forecast{electorate: e, eligible: make(map[place][]seat)}
	for i := range e.nodes {
		f.segments = append(f.segments, e.nodes[i].Segments...)
	}
	slices.SortFunc(f.segments, netip.Prefix.Compare)
	f.segments = slices.Compact(f.segments)
	return f
}

// Nodes names those who own addresses of a network that they are on, as far as is known: the fit nodes
// of the best tier, sorted. Where a network has only nodes of other tiers, these own.
func (f *Forecast) Nodes() []string {
	best := Draining
	for i := range f.electorate.nodes {
		if n := &f.electorate.nodes[i]; n.Unfit == "" {
			best = min(best, n.Tier)
		}
	}
	var names []string
	for i := range f.electorate.nodes {
		if n := &f.electorate.nodes[i]; n.Unfit == "" && n.Tier == best {
			names = append(names, n.Name)
		}
	}
	return names
}

// Owner names who would own an address, "" if nobody. Of the VIP endpoints do not count; whatever
// else it says beside the address must be the same for all of one group.
func (f *Forecast) Owner(v VIP, group string) string {
	key, seats := hashAddr(v.IP), f.seats(v, group)
	best, top := -1, uint64(0)
	for i := range seats {
		if s := score(seats[i].hash, key); best < 0 || s > top {
			best, top = i, s
		}
	}
	if best < 0 {
		return ""
	}
	return seats[best].name
}

// seats are the eligible nodes, by the same rules as in an election.
func (f *Forecast) seats(v VIP, group string) []seat {
	var room [64]byte
	on := room[:0]
	for _, p := range f.segments {
		on = append(on, yes(p.Contains(v.IP)))
	}
	if all, ok := f.eligible[place{string(on), group}]; ok {
		return all
	}
	v.Serving, v.Local = true, nil
	b := f.electorate.ballot(v)
	var all []seat
	for i := range f.electorate.nodes {
		if n := &f.electorate.nodes[i]; b.left > 0 && b.eligible(n) {
			all = append(all, seat{n.hash, n.Name})
		}
	}
	f.eligible[place{string(on), group}] = all
	return all
}

func yes(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// Equal reports whether two electorates come to the same verdicts.
func (e *Electorate) Equal(o *Electorate) bool {
	return slices.EqualFunc(e.nodes, o.nodes, func(a, b voter) bool {
		return a.Name == b.Name && a.Unfit == b.Unfit && a.Tier == b.Tier && slices.Equal(a.Segments, b.Segments)
	})
}
