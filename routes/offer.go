package routes

import (
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/lease"
)

// offer is an address that an entry of its pool announces to a router.
type offer struct {
	*Address
	entry   *lease.Announcement
	peering *Peering
}

// to reports whether an entry announces to a router.
func to(e *lease.Announcement, router string) bool {
	return len(e.Routers) == 0 || slices.Contains(e.Routers, router)
}

// prefix is what is announced of the address.
func (o *offer) prefix() netip.Prefix {
	bits := o.entry.Aggregation[0]
	if o.IP.Is6() {
		bits = o.entry.Aggregation[1]
	}
	if bits == 0 || int(bits) > o.IP.BitLen() { // never by a configuration
		bits = uint8(o.IP.BitLen())
	}
	return netip.PrefixFrom(o.IP, int(bits)).Masked()
}

// hop is the InternalIP by which the router reaches a node, and whether it is on the router's
// network; the zero one if the node has none of the family.
func (o *offer) hop(n *Node) (ip netip.Addr, near bool) {
	return n.hop(o.peering.router.Address, o.IP.Is4())
}

// session reports whether this node's own address in the session is a better next hop than ip.
func (o *offer) session(ip netip.Addr) bool {
	r := &o.peering.router
	return !o.peering.Few && r.Multihop == 0 && ip.Is4() == r.Address.Is4()
}

// bar says why a peer of the router is not announced, whatever the others are, "" if it may be.
func (o *offer) bar(n *Node) string {
	switch hop, _ := o.hop(n); {
	case n.class() == never:
		return n.objection()
	case !o.entry.Node(n.Labels):
		return "no BGP entry of pool " + o.Pool + " chooses it"
	case !o.Serving:
		return "no serving endpoint"
	case n.blind(&o.VIP):
		return n.Tier.String() + ", so its view of local endpoints does not count"
	case !n.serves(&o.VIP):
		return "no local endpoint"
	case !hop.IsValid():
		return "its Node has no InternalIP of the address's family"
	case o.peering.Few && hop.Is4() == o.peering.router.Address.Is4() && n.askew(o.peering.router):
		return "its Node has no InternalIP on the network of " + o.peering.Router
	}
	return ""
}

// best is the best class of the nodes that may be announced.
func (o *offer) best() class {
	best := never
	for _, n := range o.peering.peers {
		if c := n.class(); c < best && o.bar(n) == "" {
			best = c
		}
	}
	return best
}

// refusal says why a peer of the router is not announced, "" if it is. Best is that of the offer.
func (o *offer) refusal(n *Node, best class) string {
	if why := o.bar(n); why != "" {
		return why
	}
	if c := n.class(); c == best || c == leaving && !n.Gone {
		return ""
	}
	return n.Tier.String()
}
