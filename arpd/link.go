package arpd

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// link is an interface as the kernel lists it.
type link struct {
	name   string
	index  int
	kind   string // of netlink: "device", "veth", "bridge", "bond", "dummy" ...
	ether  bool   // speaks Ethernet
	flags  uint32 // IFF_*
	mac    hw
	master int            // index of the bridge, bond or VRF that it belongs to, 0: none
	addrs  []netip.Prefix // addresses, not masked; for point-to-point the other end's
	own    []netip.Addr   // addresses that this node's kernel has on the interface
}

func (l *link) has(flag uint32) bool { return l.flags&flag != 0 }

// up reports whether the interface is up and has a carrier.
func (l *link) up() bool { return l.has(unix.IFF_UP) && l.has(unix.IFF_RUNNING) }

// differs reports whether l has become another than was in anything that matters
// to its neighbours, or to the question whether it can be opened.
func (l *link) differs(was *link) bool {
	families := func(l *link) [2]bool {
		return [2]bool{l.speaks(netip.IPv4Unspecified()), l.speaks(netip.IPv6Unspecified())}
	}
	return l.name != was.name || l.mac != was.mac || l.up() != was.up() ||
		families(l) != families(was) || !slices.Equal(l.prefixes(), was.prefixes())
}

// prefixes are the connected networks: masked, sorted, without link-local ones
// and without single addresses, which are no network.
func (l *link) prefixes() []netip.Prefix {
	var out []netip.Prefix
	for _, p := range l.addrs {
		if !p.Addr().IsLinkLocalUnicast() && !p.IsSingleIP() {
			out = append(out, p.Masked())
		}
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out)
}

// reachable reports whether the interface has an address by which others can
// reach this node: one that is not link-local.
func (l *link) reachable() bool {
	return slices.ContainsFunc(l.addrs, func(p netip.Prefix) bool {
		return !p.Addr().IsLinkLocalUnicast() && !p.Addr().IsLoopback()
	})
}

// speaks reports whether the interface has anything to do with the family of
// ip. An interface without any address was asked for by name and speaks both.
func (l *link) speaks(ip netip.Addr) bool {
	return len(l.addrs) == 0 || slices.ContainsFunc(l.addrs, func(p netip.Prefix) bool {
		return p.Addr().Is4() == ip.Is4()
	})
}

// addr4 is an IPv4 address of the interface; zero: it has none.
func (l *link) addr4() [4]byte {
	for _, p := range l.addrs {
		if p.Addr().Is4() {
			return p.Addr().As4()
		}
	}
	return [4]byte{}
}

// routes say which interfaces an address is on.
type routes struct {
	limits   []Limit // see Confine
	links    []link
	prefixes [][]netip.Prefix // of links
}

func newRoutes(limits []Limit, links []link) routes {
	out := routes{limits: limits, links: links}
	for i := range links {
		out.prefixes = append(out.prefixes, links[i].prefixes())
	}
	return out
}

// of are the indexes of an address's interfaces: a VIP belongs to the interfaces
// whose prefix contains it and, if there is none, it is a routed one and belongs
// to all that speak its family; of all those, to the ones that are left to it.
func (r *routes) of(ip netip.Addr) (on []int) {
	names, limited := allowed(r.limits, ip)
	may := func(l *link) bool { return !limited || slices.Contains(names, l.name) }
	for i, l := range r.links {
		if may(&l) && slices.ContainsFunc(r.prefixes[i], func(p netip.Prefix) bool { return p.Contains(ip) }) {
			on = append(on, l.index)
		}
	}
	if len(on) > 0 {
		return on
	}
	for i := range r.links {
		if l := &r.links[i]; l.speaks(ip) && may(l) {
			on = append(on, l.index)
		}
	}
	return on
}
