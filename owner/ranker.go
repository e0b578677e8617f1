package owner

import (
	"net/netip"
	"slices"
	"strings"
)

// Ranker elects the owners of many addresses. It remembers who is eligible for
// addresses that have all in common but themselves, so that of a further one only
// the scores remain to be compared. It belongs to one goroutine.
type Ranker struct {
	nodes    *Nodes
	segments []netip.Prefix // of all nodes, sorted
	groups   map[place]*group
	place    place  // of the last address
	last     *group // of it; most addresses are like the one before
}

// place is what addresses have in common for which the same nodes are eligible.
type place struct {
	on      string // one byte for each segment: is the address on it
	scope   *Scope
	serving bool
}

// group are the nodes that are eligible for some addresses.
type group struct {
	eligibility eligibility
	eligible    []eligibleNode // sorted by weight, the highest first, then by name
	hashes      []uint64       // of the eligible nodes, packed: an election goes through all of them
	ends        []int          // where each weight ends
	reason      string         // of an owner
	next        *group         // if there is one eligible node: who would be eligible without it
}

// eligibleNode is an eligible node, small enough for many of them to be gone through.
type eligibleNode struct {
	hash   uint64
	name   string
	weight int
}

// Ranker begins one among these nodes.
func (e *Nodes) Ranker() *Ranker {
	p := &Ranker{nodes: e, groups: make(map[place]*group)}
	for i := range e.nodes {
		for _, s := range e.nodes[i].Segments {
			if at, known := slices.BinarySearchFunc(p.segments, s, netip.Prefix.Compare); !known {
				p.segments = slices.Insert(p.segments, at, s)
			}
		}
	}
	return p
}

// Elect names the owner of an address and the next in line.
func (p *Ranker) Elect(v VIP) Result { return p.group(v).elect(v.IP) }

// group finds the eligible nodes, of a place that it knows without looking at them.
// Local endpoints differ from Service to Service and are few.
func (p *Ranker) group(v VIP) *group {
	var room [64]byte
	on := room[:0]
	for _, s := range p.segments {
		on = append(on, yes(s.Contains(v.IP)))
	}
	routed := !slices.Contains(on, 1)
	if len(v.Local) > 0 {
		return p.nodes.local(v, routed)
	}
	if p.last != nil && p.place.on == string(on) && p.place.scope == v.Scope && p.place.serving == v.Serving {
		return p.last
	}
	at := place{string(on), v.Scope, v.Serving}
	g, known := p.groups[at]
	if !known {
		g = p.nodes.group(v, routed)
		p.groups[at] = g
	}
	p.place, p.last = at, g
	return g
}

func yes(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// local makes the group of an address with local endpoints, from the nodes that have them. If none
// of these is eligible all nodes are asked, for the reason.
func (e *Nodes) local(v VIP, routed bool) *group {
	few := &Nodes{}
	for _, name := range v.Local[0] {
		if i, known := e.find(name); known {
			few.nodes = append(few.nodes, e.nodes[i])
		}
	}
	if g := few.group(v, routed); len(g.eligible) > 0 {
		return g
	}
	return e.group(v, routed)
}

// group makes the group of an address and of all that are like it.
func (e *Nodes) group(v VIP, routed bool) *group {
	g := e.without("", v, routed)
	if len(g.eligible) == 1 {
		g.next = e.without(g.eligible[0].name, v, routed)
	}
	return g
}

// without makes a group in which one node is dead. The node stays known, because its segments still
// tell which network the address is on.
func (e *Nodes) without(gone string, v VIP, routed bool) *group {
	g := &group{eligibility: eligibility{vip: v, routed: routed, tier: noTier}}
	for i := range e.nodes {
		if n := &e.nodes[i]; n.Name != gone {
			g.eligibility.count(n)
		}
	}
	if g.eligibility.left == 0 {
		return g
	}
	g.eligible, g.reason = make([]eligibleNode, 0, g.eligibility.left), g.eligibility.reason()
	for i := range e.nodes {
		if n := &e.nodes[i]; n.Name != gone && g.eligibility.eligible(n) {
			g.eligible = append(g.eligible, eligibleNode{n.hash, n.Name, v.Scope.weight(n.Name)})
		}
	}
	slices.SortStableFunc(g.eligible, func(a, b eligibleNode) int { return b.weight - a.weight })
	for i, s := range g.eligible {
		g.hashes = append(g.hashes, s.hash)
		if i+1 == len(g.eligible) || g.eligible[i+1].weight != s.weight {
			g.ends = append(g.ends, i+1)
		}
	}
	return g
}

func (g *group) elect(ip netip.Addr) Result {
	if len(g.eligible) == 0 {
		code, why := g.eligibility.why(ip)
		if s := g.eligibility.vip.Scope; s != nil && s.Elsewhere {
			return Result{Reason: why, Elsewhere: true}
		}
		return Result{Code: code, Reason: why}
	}
	key := hashAddr(ip)
	first, second := g.best(key)
	r := Result{Owner: g.eligible[first].name, Reason: g.reason}
	if second >= 0 {
		r.Next = g.eligible[second].name
	} else if len(g.next.eligible) > 0 {
		next, _ := g.next.best(key)
		r.Next = g.next.eligible[next].name
	}
	return r
}

// routed reports whether the address is on no known node's network.
func (p *Ranker) routed(ip netip.Addr) bool { return !onSegment(p.segments, ip) }

// best returns the two nodes that go before all others, -1 for one that is missing. Among nodes of
// one weight the scores decide; only the best two of each weight are compared by weight, which
// takes longer.
func (g *group) best(key uint64) (first, second int) {
	first, second = -1, -1
	from := 0
	for _, to := range g.ends {
		a, b := highest(g.hashes[from:to], key)
		for _, i := range []int{a, b} {
			switch {
			case i < 0:
			case first < 0 || g.eligible[from+i].before(g.eligible[first], key):
				first, second = from+i, first
			case second < 0 || g.eligible[from+i].before(g.eligible[second], key):
				second = from + i
			}
		}
		from = to
	}
	return first, second
}

// highest returns which two have the highest scores, -1 for one that is missing.
func highest(hashes []uint64, key uint64) (first, second int) {
	var s1, s2 uint64
	first, second = -1, -1
	for i, hash := range hashes {
		switch s := score(hash, key); {
		case first < 0 || s > s1:
			first, second, s1, s2 = i, first, s, s1
		case second < 0 || s > s2:
			second, s2 = i, s
		}
	}
	return first, second
}

// before reports whether the node goes before another.
func (s eligibleNode) before(o eligibleNode, key uint64) bool {
	a, b := score(s.hash, key), score(o.hash, key)
	return above(a, s.weight, b, o.weight) || s.name < o.name && !above(b, o.weight, a, s.weight)
}

// find returns where the node of that name is.
func (e *Nodes) find(name string) (int, bool) {
	return slices.BinarySearchFunc(e.nodes, name, func(v hashedNode, n string) int { return strings.Compare(v.Name, n) })
}
