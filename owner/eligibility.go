package owner

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/starling-lb/starling/health"
)

// eligibility is what the rules say of one address: how many nodes were left by each.
type eligibility struct {
	vip    VIP
	routed bool // on nobody's segment
	tier   Tier // best tier that is not empty
	left   int  // eligible nodes

	fit, allowed, close, local int
}

// eligibility applies the rules of the package comment one after the other.
func (e *Nodes) eligibility(v VIP, routed bool) eligibility {
	b := eligibility{vip: v, routed: routed, tier: noTier}
	for i := range e.nodes {
		b.count(&e.nodes[i])
	}
	return b
}

func (b *eligibility) count(n *hashedNode) {
	if n.Unfit != "" {
		return
	}
	b.fit++
	if !b.allows(n) {
		return
	}
	b.allowed++
	if !b.near(n) {
		return
	}
	b.close++
	if !b.serves(n) {
		return
	}
	b.local++
	switch {
	case n.Tier < b.tier:
		b.tier, b.left = n.Tier, 1
	case n.Tier == b.tier:
		b.left++
	}
}

// why names the rule that left nobody, by its code and in words.
func (b *eligibility) why(ip netip.Addr) (health.Code, string) {
	switch {
	case b.vip.Scope.nobody() != "":
		return health.NoEligibleNode, b.vip.Scope.nobody()
	case b.fit == 0:
		return health.NoReadyNode, "no node is ready"
	case b.allowed == 0:
		return health.NoEligibleNode, "no ready node matches " + b.vip.Scope.Rule
	case b.close == 0 && b.vip.Scope != nil && !b.vip.Scope.Any:
		return health.NoEligibleNode, "no ready node that matches " + b.vip.Scope.Rule + " is on the network of " + ip.String()
	case b.close == 0:
		return health.NoEligibleNode, "no ready node is on the network of " + ip.String()
	case !b.vip.Serving:
		return health.NoServingEndpoint, "no serving endpoint"
	}
	return health.NoLocalEndpoint, "no ready node has a local endpoint"
}

func (b *eligibility) near(n *hashedNode) bool { return b.routed || onSegment(n.Segments, b.vip.IP) }

// allows reports whether the node may announce addresses like this one.
func (b *eligibility) allows(n *hashedNode) bool {
	if b.vip.Scope == nil || b.vip.Scope.Any {
		return true
	}
	_, ok := slices.BinarySearch(b.vip.Scope.Nodes, n.Name)
	return ok
}

// nobody says why no node may announce addresses like this one, "" if some may.
func (s *Scope) nobody() string {
	if s == nil {
		return ""
	}
	return s.Nobody
}

// serves reports whether traffic that reaches the node finds an endpoint.
func (b *eligibility) serves(n *hashedNode) bool {
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

// outdated reports whether the node may have seen another set of local endpoints
// than the others, and so elect itself where they elect somebody else.
func (b *eligibility) outdated(n *hashedNode) bool {
	return len(b.vip.Local) > 0 && n.Tier.base() == OutOfTouch
}

func (b *eligibility) eligible(n *hashedNode) bool {
	return n.Unfit == "" && n.Tier == b.tier && b.allows(n) && b.near(n) && b.serves(n)
}

// objection says in words why a node may not own the address, or nothing.
func (b *eligibility) objection(n *hashedNode) string {
	switch {
	case n.Unfit != "":
		return n.Unfit
	case b.vip.Scope.nobody() != "":
		return b.vip.Scope.nobody()
	case !b.allows(n):
		return "does not match " + b.vip.Scope.Rule
	case !b.near(n):
		return "not on the network of " + b.vip.IP.String()
	case !b.vip.Serving:
		return "no serving endpoint"
	case b.outdated(n):
		return n.Tier.base().String() + ", so its view of local endpoints does not count"
	case !b.serves(n):
		return "no local endpoint"
	case n.Tier != b.tier:
		return n.Tier.String()
	}
	return ""
}

// reason says in words why the owner is the owner.
func (b *eligibility) reason() string {
	of := "eligible"
	if len(b.vip.Local) > 0 {
		of = "with a local endpoint"
	}
	if b.vip.Scope != nil && !b.vip.Scope.Any {
		of += " by " + b.vip.Scope.Rule
	}
	r := "the only one " + of
	if b.left > 1 {
		r = "highest score of " + strconv.Itoa(b.left) + " " + of // said of every address in every turn
		if b.vip.Scope != nil && len(b.vip.Scope.Weights) > 0 {
			r += ", by weight"
		}
	}
	if b.tier != Normal {
		r += ", all " + b.tier.String()
	}
	return r
}

// routed reports whether the address is on no known node's network.
func (e *Nodes) routed(ip netip.Addr) bool {
	return !slices.ContainsFunc(e.nodes, func(n hashedNode) bool { return onSegment(n.Segments, ip) })
}

// onSegment reports whether one of the prefixes holds the address.
func onSegment(segments []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(segments, func(p netip.Prefix) bool { return p.Contains(ip) })
}
