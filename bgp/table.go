package bgp

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"

	wire "github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/starling-lb/starling/routes"
)

// families are those of routes.Session, by index.
var families = [2]wire.Family{wire.RF_IPv4_UC, wire.RF_IPv6_UC}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// key is what a router tells paths apart by (RFC 7911). The number is zero where it takes one path
// for each prefix.
type key struct {
	prefix netip.Prefix
	number uint32
}

func (k key) compare(o key) int {
	return cmp.Or(k.prefix.Addr().Compare(o.prefix.Addr()), cmp.Compare(k.prefix.Bits(), o.prefix.Bits()), cmp.Compare(k.number, o.number))
}

// attributes are all else about a path. Paths with the same ones share a message.
type attributes struct {
	nextHop     netip.Addr
	localPref   uint32 // with iBGP alone
	communities string // joined by a space
}

func (a attributes) compare(o attributes) int {
	return cmp.Or(a.nextHop.Compare(o.nextHop), cmp.Compare(a.localPref, o.localPref), cmp.Compare(a.communities, o.communities))
}

// table is what a router has of us, or is to have.
type table map[key]attributes

// terms are what a session agreed on, as far as paths are concerned.
type terms struct {
	asn      uint32  // ours
	internal bool    // iBGP
	takes    [2]bool // families
	addPath  [2]bool
	narrow   bool       // the router knows AS numbers of two octets alone
	local    netip.Addr // of this node in the session
}

// options are how messages are coded.
func (t terms) options() *wire.MarshallingOption {
	o := &wire.MarshallingOption{AddPath: map[wire.Family]wire.BGPAddPathMode{}}
	for i, f := range families {
		if t.addPath[i] {
			o.AddPath[f] = wire.BGP_ADD_PATH_SEND
		}
	}
	return o
}

// wanted is the table for paths, which are sorted by prefix. Of several paths for a prefix a router
// without add-path gets the first one that is not about to go.
func (t terms) wanted(paths []routes.Path) table {
	out := make(table, len(paths))
	firm := map[key]bool{} // the path stays
	numbers := numbersOf(paths)
	for _, p := range paths {
		f := familyOf(p.Prefix.Addr())
		if !t.takes[f] {
			continue
		}
		k := key{prefix: p.Prefix}
		if t.addPath[f] {
			k.number = numbers[p.NextHop]
		}
		if _, taken := out[k]; taken && (firm[k] || p.Leaving) {
			continue
		}
		out[k], firm[k] = t.attributes(p), !p.Leaving
	}
	return out
}

// attributes of a path that is about to go ask the router to prefer any other one: by the community
// of RFC 8326, and within our AS by the lowest local preference.
func (t terms) attributes(p routes.Path) attributes {
	a := attributes{nextHop: p.NextHop}
	if p.Own && t.local.IsGlobalUnicast() && t.local.Is4() == p.NextHop.Is4() {
		a.nextHop = t.local
	}
	if t.internal {
		a.localPref = p.LocalPref
	}
	words := p.Communities
	if p.Leaving {
		a.localPref = 0
		words = append(slices.Clone(words), "graceful-shutdown")
	}
	a.communities = strings.Join(words, " ")
	return a
}

// numbersOf numbers the next hops, each by its last 32 bits, so that a speaker that restarts uses
// the same numbers. Those that clash get the next free number.
func numbersOf(paths []routes.Path) map[netip.Addr]uint32 {
	hops := map[netip.Addr]bool{}
	for _, p := range paths {
		hops[p.NextHop] = true
	}
	out, used := make(map[netip.Addr]uint32, len(hops)), map[uint32]bool{0: true}
	for _, hop := range slices.SortedFunc(maps.Keys(hops), netip.Addr.Compare) {
		b := hop.AsSlice()
		b = b[len(b)-4:]
		n := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		for used[n] {
			n++
		}
		out[hop], used[n] = n, true
	}
	return out
}

// changes are what turns one table into another one.
type changes struct {
	announce map[attributes][]key
	withdraw []key
}

func (t table) to(want table) changes {
	c := changes{announce: map[attributes][]key{}}
	for k, a := range want {
		if old, ok := t[k]; !ok || old != a {
			c.announce[a] = append(c.announce[a], k)
		}
	}
	for k := range t {
		if _, ok := want[k]; !ok {
			c.withdraw = append(c.withdraw, k)
		}
	}
	return c
}

// of returns the part of a table that is of a family.
func (t table) of(f int) table {
	out := table{}
	for k, a := range t {
		if familyOf(k.prefix.Addr()) == f {
			out[k] = a
		}
	}
	return out
}
