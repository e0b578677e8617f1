package netif

import (
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/packet"
)

// Link is an interface as the kernel lists it (rtnetlink(7)).
type Link struct {
	Name   string
	Index  int
	Kind   string // of netlink: "device", "veth", "bridge", "bond", "dummy" ...
	Ether  bool   // speaks Ethernet
	Flags  uint32 // IFF_*
	MAC    packet.HW
	Master int            // index of the bridge, bond or VRF that it belongs to, 0: none
	VRF    int            // the same, if it is a VRF: a routing table of its own
	Addrs  []netip.Prefix // addresses, not masked; for point-to-point the other end's
	Own    []netip.Addr   // addresses that this node's kernel has on the interface
}

func (l *Link) has(flag uint32) bool { return l.Flags&flag != 0 }

// Up reports whether the interface is up and has a carrier.
func (l *Link) Up() bool { return l.has(unix.IFF_UP) && l.has(unix.IFF_RUNNING) }

// Differs reports whether l has become another than was in anything that matters
// to its neighbors, or to the question whether it can be opened.
func (l *Link) Differs(was *Link) bool {
	families := func(l *Link) [2]bool {
		return [2]bool{l.speaks(netip.IPv4Unspecified()), l.speaks(netip.IPv6Unspecified())}
	}
	return l.Name != was.Name || l.MAC != was.MAC || l.Up() != was.Up() ||
		families(l) != families(was) || !slices.Equal(l.Prefixes(), was.Prefixes())
}

// Prefixes are the connected networks: masked, sorted, without link-local ones
// and without single addresses, which are no network.
func (l *Link) Prefixes() []netip.Prefix {
	var out []netip.Prefix
	for _, p := range l.Addrs {
		if !p.Addr().IsLinkLocalUnicast() && !p.IsSingleIP() {
			out = append(out, p.Masked())
		}
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out)
}

// reachable reports whether the interface has an address by which others can
// reach this node: one that is not link-local.
func (l *Link) reachable() bool {
	return slices.ContainsFunc(l.Addrs, func(p netip.Prefix) bool {
		return !p.Addr().IsLinkLocalUnicast() && !p.Addr().IsLoopback()
	})
}

// speaks reports whether the interface has anything to do with the family of
// ip. An interface without any address was asked for by name and speaks both.
func (l *Link) speaks(ip netip.Addr) bool {
	return len(l.Addrs) == 0 || slices.ContainsFunc(l.Addrs, func(p netip.Prefix) bool {
		return p.Addr().Is4() == ip.Is4()
	})
}

// Addr4 is an IPv4 address of the interface; zero: it has none.
func (l *Link) Addr4() [4]byte {
	for _, p := range l.Addrs {
		if p.Addr().Is4() {
			return p.Addr().As4()
		}
	}
	return [4]byte{}
}

// carries reports whether an interface that is named can announce ip: for IPv6 the
// kernel must speak it there, to join the groups of those who ask.
func (l *Link) carries(ip netip.Addr) bool { return ip.Is4() || l.speaks(ip) }

// Source is the node's address on the interface from which it speaks to ip: one on the network of
// ip, or else one of its family that is not link-local; invalid: there is none.
func (l *Link) Source(ip netip.Addr) (from netip.Addr) {
	for _, p := range l.Addrs {
		a := p.Addr()
		if a.Is4() != ip.Is4() || a.IsLinkLocalUnicast() || !slices.Contains(l.Own, a) {
			continue
		}
		if p.Contains(ip) {
			return a
		}
		if !from.IsValid() {
			from = a
		}
	}
	return from
}
