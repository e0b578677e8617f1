package owner

import (
	"slices"
	"strings"
)

// Shift brings the results of one ranker up to those of another, at the cost of what has changed
// between the two. It belongs to one goroutine.
//
//	owner and next in line   among those that became eligible   ->
//	both still eligible      none has a higher score            as it was
//	both still eligible      some have                          these go before
//	one is not               -                                  elected anew
type Shift struct {
	from, to    *Ranker
	changed     []string // nodes that are not the same in both, sorted
	differences map[[2]*group]difference
	pair        [2]*group  // of the last address
	last        difference // of these; most addresses are like the one before
	agrees      map[[2]*Scope]bool
}

// difference is how two groups differ.
type difference struct {
	anew bool // every address is to be elected anew
	came []eligibleNode
	left map[string]bool
}

// Since compares a ranker with an earlier one.
func (p *Ranker) Since(before *Ranker) *Shift {
	return &Shift{
		from: before, to: p, changed: differing(before.nodes.nodes, p.nodes.nodes),
		differences: make(map[[2]*group]difference), agrees: make(map[[2]*Scope]bool),
	}
}

// Elect is [Ranker.Elect] of the later ranker. The earlier one came to the result that is given, of
// the address as it was then; a zero VIP means that there was none.
func (s *Shift) Elect(v, before VIP, was Result) Result {
	switch {
	case v.IP != before.IP || v.Serving != before.Serving || !slices.EqualFunc(v.Local, before.Local, slices.Equal[[]string]):
		return s.to.Elect(v)
	case len(v.Local) > 0:
		return s.local(v, before, was)
	}
	from, to := s.from.group(before), s.to.group(v)
	t := s.difference(from, to)
	if t.anew || t.left[was.Owner] || t.left[was.Next] {
		return to.elect(v.IP)
	}
	r := Result{Owner: was.Owner, Next: was.Next, Reason: to.reason}
	if len(t.came) > 0 {
		r.challenge(v, t.came)
	}
	return r
}

// difference compares two groups once.
func (s *Shift) difference(from, to *group) difference {
	pair := [2]*group{from, to}
	if pair == s.pair {
		return s.last
	}
	t, known := s.differences[pair]
	if !known {
		t = compare(from, to)
		s.differences[pair] = t
	}
	s.pair, s.last = pair, t
	return t
}

// challenge compares the owner and the next in line with others.
func (r *Result) challenge(v VIP, others []eligibleNode) {
	key := hashAddr(v.IP)
	first, second := v.eligibleNode(r.Owner), v.eligibleNode(r.Next)
	for _, o := range others {
		switch {
		case o.before(first, key):
			first, second = o, first
		case o.before(second, key):
			second = o
		}
	}
	r.Owner, r.Next = first.name, second.name
}

// eligibleNode is that of an eligible node.
func (v VIP) eligibleNode(name string) eligibleNode {
	return eligibleNode{hashString(name), name, v.Scope.weight(name)}
}

// compare finds out what has become of a group. Where fewer than two are eligible, others count as
// well.
func compare(from, to *group) difference {
	if len(from.eligible) < 2 || len(to.eligible) < 2 {
		return difference{anew: true}
	}
	t := difference{left: make(map[string]bool)}
	had := make(map[eligibleNode]bool, len(from.eligible))
	for _, old := range from.eligible {
		had[old] = true
	}
	for _, now := range to.eligible {
		if !had[now] {
			t.came = append(t.came, now)
		}
		delete(had, now)
	}
	for old := range had {
		t.left[old.name] = true // Also if it came, with another weight.
	}
	return t
}

// local keeps the result of an address with local endpoints, unless a node with one has changed.
func (s *Shift) local(v, before VIP, was Result) Result {
	touched := slices.ContainsFunc(s.changed, func(name string) bool {
		_, has := slices.BinarySearch(v.Local[0], name)
		return has
	})
	if touched || was.Owner == "" || !s.agree(before.Scope, v.Scope) || s.from.routed(v.IP) != s.to.routed(v.IP) {
		return s.to.Elect(v)
	}
	return was
}

// agree reports whether two scopes say the same of all nodes that are the same.
func (s *Shift) agree(a, b *Scope) bool {
	if a == b {
		return true
	}
	if a == nil || b == nil {
		return false
	}
	same, known := s.agrees[[2]*Scope{a, b}]
	if !known {
		same = a.Rule == b.Rule && a.Nobody == b.Nobody && a.Elsewhere == b.Elsewhere && a.Any == b.Any && slices.Equal(s.steady(a.Nodes), s.steady(b.Nodes)) && s.weighAlike(a, b)
		s.agrees[[2]*Scope{a, b}] = same
	}
	return same
}

// weighAlike reports whether two scopes give the same weights to all nodes that are the same.
func (s *Shift) weighAlike(a, b *Scope) bool {
	for _, weights := range []map[string]int{a.Weights, b.Weights} {
		for name := range weights {
			if _, changed := slices.BinarySearch(s.changed, name); !changed && a.weight(name) != b.weight(name) {
				return false
			}
		}
	}
	return true
}

// steady leaves out the nodes that have changed.
func (s *Shift) steady(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, changed := slices.BinarySearch(s.changed, name)
		return changed
	})
}

// differing names the nodes that are in only one of two sorted lists, or not the same in both.
func differing(a, b []hashedNode) []string {
	var names []string
	for len(a) > 0 || len(b) > 0 {
		order := 0
		switch {
		case len(a) == 0:
			order = 1
		case len(b) == 0:
			order = -1
		default:
			order = strings.Compare(a[0].Name, b[0].Name)
		}
		switch {
		case order < 0:
			names, a = append(names, a[0].Name), a[1:]
		case order > 0:
			names, b = append(names, b[0].Name), b[1:]
		default:
			if !a[0].equal(b[0]) {
				names = append(names, a[0].Name)
			}
			a, b = a[1:], b[1:]
		}
	}
	return names
}
