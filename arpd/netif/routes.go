package netif

import (
	"cmp"
	"net/netip"
	"slices"
)

// Network is a connected prefix, as the node's routing tables know it.
type Network struct {
	Prefix netip.Prefix
	VRF    int // whose table it is in, 0: none
}

// Networks are those that an interface is on.
func (l *Link) Networks() []Network {
	var out []Network
	for _, p := range l.Prefixes() {
		out = append(out, Network{p, l.VRF})
	}
	return out
}

// Routes says on which of this node's interfaces an address is announced. It never changes. A nil
// one knows no interface.
type Routes struct {
	limits []Limit
	via    map[Network]int  // the interface by which the kernel reaches a network that several are on
	heard  []Kin            // interfaces of which one hears the other, so they are on one network
	links  []Link           // used, sorted by index
	nets   [][]netip.Prefix // of links
}

// Kin is two interfaces on one network, by index, the lower first.
type Kin [2]int

// KinOf is the Kin of two interfaces.
func KinOf(a, b int) Kin { return Kin{min(a, b), max(a, b)} }

// NewRoutes returns the routes over the links that are used, which it sorts. The other arguments
// are the limits of addresses, the result of [Via], and the interfaces of which one hears the
// other. None of them may change afterwards.
func NewRoutes(limits []Limit, via map[Network]int, heard []Kin, links []Link) *Routes {
	slices.SortFunc(links, func(a, b Link) int { return cmp.Compare(a.Index, b.Index) })
	out := &Routes{limits: limits, via: via, heard: heard, links: links}
	for i := range links {
		out.nets = append(out.nets, links[i].Prefixes())
	}
	return out
}

// candidate is an interface that an address could be announced on.
type candidate struct {
	at   int // in links
	bits int // of its longest prefix that contains the address, -1: none does
	rank int // among interfaces on one network, the lowest first
}

// Of are the indexes of the interfaces on which an address is announced, and of
// those that only listen for it.
//
// An address belongs to the interfaces whose prefix contains it and to those that
// its limits name. If there is none it is a routed one and belongs to all that
// speak its family, as far as the limits match. Of interfaces on one network one
// announces: the one with the longest prefix that contains the address, then the
// one by which the kernel itself reaches the network, because answers to who asks
// go out there, then the one with the lowest index. The others listen.
func (r *Routes) Of(ip netip.Addr) (announce, listen []int) {
	all := r.candidates(ip)
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.bits, a.bits), cmp.Compare(a.rank, b.rank), cmp.Compare(a.at, b.at))
	})
	for i, c := range all {
		if slices.ContainsFunc(all[:i], func(o candidate) bool { return r.together(o, c) }) {
			listen = append(listen, r.links[c.at].Index)
		} else {
			announce = append(announce, r.links[c.at].Index)
		}
	}
	slices.Sort(announce)
	slices.Sort(listen)
	return announce, listen
}

// Announcing names the interfaces on which an address is announced, when this node
// does, sorted. Those of nil are not known.
func (r *Routes) Announcing(ip netip.Addr) (names []string) {
	if r == nil {
		return nil
	}
	on, _ := r.Of(ip)
	for i := range r.links {
		if slices.Contains(on, r.links[i].Index) {
			names = append(names, r.links[i].Name)
		}
	}
	slices.Sort(names)
	return names
}

// candidates are the interfaces that an address belongs to.
func (r *Routes) candidates(ip netip.Addr) (all []candidate) {
	limit, limited := Allowed(r.limits, ip)
	for i := range r.links {
		l := &r.links[i]
		bits := longest(r.nets[i], ip)
		if limited && !slices.Contains(limit.Interfaces, l.Name) {
			continue
		}
		if bits >= 0 || slices.Contains(limit.Named, l.Name) && l.carries(ip) {
			all = append(all, candidate{i, bits, r.rank(i, ip, bits)})
		}
	}
	if len(all) > 0 {
		return all
	}
	for i := range r.links {
		l := &r.links[i]
		if l.speaks(ip) && (!limited || slices.Contains(limit.Interfaces, l.Name)) {
			all = append(all, candidate{i, -1, r.rank(i, ip, -1)})
		}
	}
	return all
}

// longest is the length of the longest prefix that contains an address, -1: none
// does.
func longest(nets []netip.Prefix, ip netip.Addr) int {
	bits := -1
	for _, p := range nets {
		if p.Contains(ip) {
			bits = max(bits, p.Bits())
		}
	}
	return bits
}

// rank orders the interfaces of one network: first the one by which the kernel
// reaches the network of the address, or, if it is routed, any network that several
// interfaces are on, best one of the address's family.
func (r *Routes) rank(i int, ip netip.Addr, bits int) int {
	rank := 2
	if bits < 0 && !r.links[i].speaks(ip) {
		rank = 3
	}
	for _, p := range r.nets[i] {
		if via, several := r.via[Network{p, r.links[i].VRF}]; !several || via != r.links[i].Index {
			continue
		}
		switch {
		case bits >= 0 && (p.Bits() != bits || !p.Contains(ip)):
		case p.Addr().Is4() == ip.Is4():
			rank = 0
		default:
			rank = min(rank, 1) // unless it is 0 by another one
		}
	}
	return rank
}

// together reports whether two interfaces are on one network, as far as an address
// is concerned.
func (r *Routes) together(a, b candidate) bool {
	one, other := &r.links[a.at], &r.links[b.at]
	switch {
	case slices.Contains(r.heard, KinOf(one.Index, other.Index)):
		return true
	case one.VRF != other.VRF:
		return false
	}
	return a.bits >= 0 && b.bits >= 0 ||
		slices.ContainsFunc(r.nets[a.at], func(p netip.Prefix) bool { return slices.Contains(r.nets[b.at], p) })
}

// Via is the interface by which the kernel reaches each network that several interfaces are on.
// Those without a carrier count: the kernel may go on sending there. reach asks it for an address
// of the network that this node does not have, and is to return 0 for none.
func Via(list []Interface, links map[int]Link, reach func(Network, netip.Addr) int) map[Network]int {
	on, used, own := make(map[Network]int), make(map[Network]bool), make(map[netip.Addr]bool)
	for _, l := range links {
		for _, ip := range l.Own {
			own[ip] = true
		}
	}
	for _, i := range list {
		if !i.Used && !i.Unlinked() {
			continue
		}
		l := links[i.Index]
		for _, n := range l.Networks() {
			on[n]++
			used[n] = used[n] || i.Used
		}
	}
	out := make(map[Network]int)
	for n, count := range on {
		if count >= 2 && used[n] {
			out[n] = reach(n, neighbor(n.Prefix, own))
		}
	}
	return out
}

// neighbor is an address of a network that this node does not have.
func neighbor(p netip.Prefix, own map[netip.Addr]bool) netip.Addr {
	ip := p.Masked().Addr()
	if p.Bits() < ip.BitLen()-1 { // it is the network's own
		ip = ip.Next()
	}
	for own[ip] && p.Contains(ip.Next()) {
		ip = ip.Next()
	}
	return ip
}
