package routes

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
)

// World is what a plan depends on.
type World struct {
	Self      string
	BGP       *lease.BGP        // nil: nothing is announced by BGP
	Passwords map[string]string // by name of the router
	Restart   time.Duration     // how long routers are to keep the routes while a speaker is away
	OnePath   OnePath           // what is known of routers
	Nodes     []Node            // all members, sorted by name
	Addresses []Address         // sorted
}

// Node is a member, as far as routes are concerned.
type Node struct {
	owner.Node              // as elections know it
	Labels     lease.Labels // of the Node
	Addresses  []netip.Addr // its InternalIPs
	Ready      bool         // its speaker is there and ready, so that it may have sessions
	Going      bool         // its speaker is about to end
	Gone       bool         // it has been leaving, or out of touch, for long enough that all know
	Sessions   []uint32     // short names of routers to which it has announced everything
	Lacks      []uint32     // short names of routers without whose session it has been a holder for too long
	OnePath    []uint32     // short names of routers that take one path for each prefix only, as it has seen
}

// Address is a bound address, with the BGP entries of its pool that match its Services.
type Address struct {
	owner.VIP
	Pool    string
	Entries []lease.Announcement
}

// class is how much a node's paths are wanted, the best first.
type class uint8

const (
	steady    class = iota
	leaving         // announced as leaving, then not at all
	returning       // not announced
	never
)

// class of the node. All but never are announced where there is none of a better one.
func (n *Node) class() class {
	switch {
	case n.Unfit != "", n.Tier >= owner.NoProxy:
		return never
	case n.Tier == owner.Going, n.Tier == owner.Draining:
		return leaving
	case n.Tier == owner.Returning:
		return returning
	}
	return steady
}

// objection says why the node is announced for nothing, "" if it may be.
func (n *Node) objection() string {
	switch {
	case n.Unfit != "":
		return n.Unfit
	case n.Tier >= owner.NoProxy:
		return n.Tier.String()
	}
	return ""
}

// blind reports whether the node may know other local endpoints than there are.
func (n *Node) blind(v *owner.VIP) bool { return len(v.Local) > 0 && n.outOfTouch() }

// outOfTouch reports whether the node lacks the API server, and others do not.
func (n *Node) outOfTouch() bool { return n.Tier%owner.NoProxy == owner.OutOfTouch }

// serves reports whether the node has an endpoint where one is needed.
func (n *Node) serves(v *owner.VIP) bool {
	for _, nodes := range v.Local {
		if _, ok := slices.BinarySearch(nodes, n.Name); !ok {
			return false
		}
	}
	return v.Serving
}

// on reports whether the node is on the network of an address.
func (n *Node) on(ip netip.Addr) bool {
	return slices.ContainsFunc(n.Segments, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// has reports whether a list of short names has the router's.
func has(names []uint32, router string) bool {
	return slices.Contains(names, mesh.ShortName(router))
}

// hop is the InternalIP of the node by which the router reaches it, of a family: one on the
// router's network, which is near, else the first; the zero address if it has none of the family.
func (n *Node) hop(router netip.Addr, four bool) (first netip.Addr, near bool) {
	for _, a := range n.Addresses {
		if a.Is4() != four {
			continue
		}
		if slices.ContainsFunc(n.Segments, func(p netip.Prefix) bool { return p.Contains(router) && p.Contains(a) }) {
			return a, true
		}
		if !first.IsValid() {
			first = a
		}
	}
	return first, false
}

// askew reports whether the node is on the network of a router, and its InternalIP on another one.
// The router would not take that for a next hop.
func (n *Node) askew(r lease.Router) bool {
	a, near := n.hop(r.Address, r.Address.Is4())
	return r.Multihop == 0 && n.on(r.Address) && a.IsValid() && !near
}

// routerID is the identifier of a speaker (RFC 6286): its IPv4 address, else a hash of its name, in
// the range of unicast addresses, since some routers refuse others.
func (n *Node) routerID() netip.Addr {
	for _, a := range n.Addresses {
		if a.Is4() {
			return a
		}
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(n.Name)) // cannot fail
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], max(h.Sum32()%(224<<24), 1))
	return netip.AddrFrom4(b)
}

// address is a bound address of the world, nil if it has none such.
func (w *World) address(ip netip.Addr) *Address {
	i, ok := slices.BinarySearchFunc(w.Addresses, ip, func(a Address, ip netip.Addr) int { return a.IP.Compare(ip) })
	if !ok {
		return nil
	}
	return &w.Addresses[i]
}

// find is the node of a name, nil if it is none of the members.
func (w *World) find(name string) *Node {
	i, ok := slices.BinarySearchFunc(w.Nodes, name, func(n Node, name string) int { return strings.Compare(n.Name, name) })
	if !ok {
		return nil
	}
	return &w.Nodes[i]
}
