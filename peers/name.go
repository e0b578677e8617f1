package peers

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/probe"
)

// nameMACs says which node is at a MAC: what members say of themselves, and for nodes that this one
// has never met by gossip the name that their speakers proved, as far as Kubernetes or gossip knows
// it. Where the mesh has no key, it is the address that they gave, looked up in the same way. A MAC
// that is not in it is a stranger's.
func (p *Peers) nameMACs() map[string]string {
	byAddr := make(map[netip.Addr]string)
	for _, n := range p.nodes {
		for _, a := range n.Addrs {
			byAddr[a] = n.Name
		}
	}
	for i := range p.gossip {
		if a := p.gossip[i].Addr; a.IsValid() {
			byAddr[a.Addr()] = p.gossip[i].Name
		}
	}
	r := make(map[string]string, len(p.gossip))
	for mac, s := range p.stations {
		if name := p.nameOf(s, byAddr); name != "" {
			r[mac] = name
		}
	}
	for _, live := range []bool{false, true} { // a MAC that moved belongs to the member that lives
		for i := range p.gossip {
			for _, mac := range p.gossip[i].MACs {
				if (p.gossip[i].State == Alive) == live {
					r[mac] = p.gossip[i].Name
				}
			}
		}
	}
	for _, mac := range p.me.MACs {
		r[mac] = p.self
	}
	return r
}

// nameOf is the node of a station; "": none known.
func (p *Peers) nameOf(s Station, byAddr map[netip.Addr]string) (name string) {
	for _, a := range s.Addrs {
		name = cmp.Or(byAddr[a], name)
	}
	if s.Node == 0 || probe.Hash(name) == s.Node {
		return name
	}
	for _, n := range p.nodes {
		if probe.Hash(n.Name) == s.Node {
			return n.Name
		}
	}
	for i := range p.gossip {
		if probe.Hash(p.gossip[i].Name) == s.Node {
			return p.gossip[i].Name
		}
	}
	return ""
}

// byName lists the MACs of every node, sorted.
func byName(names map[string]string) map[string][]string {
	r := make(map[string][]string)
	for mac, name := range names {
		r[name] = append(r[name], mac)
	}
	for _, macs := range r {
		slices.Sort(macs)
	}
	return r
}

// unnamed are the MACs of speakers that are of no node known, sorted.
func (p *Peers) unnamed() (macs []string) {
	for mac := range p.stations {
		if p.names[mac] == "" {
			macs = append(macs, mac)
		}
	}
	slices.Sort(macs)
	return macs
}
