package owner

import (
	"net/netip"
	"slices"
	"strconv"
)

// ballot is what the rules say of one address: which of them bind, and what was
// left after each.
type ballot struct {
	vip    VIP
	routed bool   // on nobody's segment
	tier   Tier   // best tier that is not empty
	left   int    // eligible nodes
	why    string // if left is 0, the rule that left nobody
}

// ballot applies the rules of the package comment one after the other.
func (e *Electorate) ballot(v VIP) ballot {
	b := ballot{vip: v, routed: true, tier: Draining + 1}
	var fit, allowed, near, local int
	for i := range e.nodes {
		b.routed = b.routed && !onSegment(e.nodes[i].Segments, v.IP)
	}
	for i := range e.nodes {
		n := &e.nodes[i]
		if n.Unfit != "" {
			continue
		}
		fit++
		if !b.allows(n) {
			continue
		}
		allowed++
		if !b.near(n) {
			continue
		}
		near++
		if !b.serves(n) {
			continue
		}
		local++
		switch {
		case n.Tier < b.tier:
			b.tier, b.left = n.Tier, 1
		case n.Tier == b.tier:
			b.left++
		}
	}
	switch {
	case b.left > 0:
	case fit == 0:
		b.why = "no node is ready"
	case allowed == 0:
		b.why = "no ready node matches " + v.Scope.Rule
	case near == 0 && v.Scope != nil:
		b.why = "no ready node that matches " + v.Scope.Rule + " is on the network of " + v.IP.String()
	case near == 0:
		b.why = "no ready node is on the network of " + v.IP.String()
	case !v.Serving:
		b.why = "no serving endpoint"
	case local == 0:
		b.why = "no ready node has a local endpoint"
	}
	return b
}

func (b *ballot) near(n *voter) bool { return b.routed || onSegment(n.Segments, b.vip.IP) }

// allows tells whether the node may announce addresses like this one.
func (b *ballot) allows(n *voter) bool {
	if b.vip.Scope == nil {
		return true
	}
	_, ok := slices.BinarySearch(b.vip.Scope.Nodes, n.Name)
	return ok
}

// serves tells whether traffic that reaches the node finds an endpoint.
func (b *ballot) serves(n *voter) bool {
	if !b.vip.Serving || b.outdated(n) {
		return false
	}
	for _, nodes := range b.vip.Local {
		if _, ok := slices.BinarySearch(nodes, n.Name); !ok {
			return false
		}
	}
	return true
}

// outdated tells whether the node may have seen another set of local endpoints
// than the others, and so elect itself where they elect somebody else.
func (b *ballot) outdated(n *voter) bool { return len(b.vip.Local) > 0 && n.Tier == OutOfTouch }

func (b *ballot) eligible(n *voter) bool {
	return n.Unfit == "" && n.Tier == b.tier && b.allows(n) && b.near(n) && b.serves(n)
}

// objection says in words why a node may not own the address, or nothing.
func (b *ballot) objection(n *voter) string {
	switch {
	case n.Unfit != "":
		return n.Unfit
	case !b.allows(n):
		return "does not match " + b.vip.Scope.Rule
	case !b.near(n):
		return "not on the network of " + b.vip.IP.String()
	case !b.vip.Serving:
		return "no serving endpoint"
	case b.outdated(n):
		return n.Tier.String() + ", so its view of local endpoints does not count"
	case !b.serves(n):
		return "no local endpoint"
	case n.Tier != b.tier:
		return n.Tier.String()
	}
	return ""
}

// reason says in words why the owner is the owner.
func (b *ballot) reason() string {
	of := "eligible"
	if len(b.vip.Local) > 0 {
		of = "with a local endpoint"
	}
	if b.vip.Scope != nil {
		of += " by " + b.vip.Scope.Rule
	}
	r := "the only one " + of
	if b.left > 1 {
		r = "highest score of " + strconv.Itoa(b.left) + " " + of // said of every address in every turn
	}
	if b.tier != Normal {
		r += ", all " + b.tier.String()
	}
	return r
}

// onSegment tells whether one of the prefixes holds the address.
func onSegment(segments []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(segments, func(p netip.Prefix) bool { return p.Contains(ip) })
}
