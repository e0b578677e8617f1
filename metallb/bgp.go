package metallb

import (
	"slices"

	"github.com/starling-lb/starling/lease"
)

// byBGP is what a BGPAdvertisement says, or one in an older pool, of how addresses are announced.
type byBGP struct {
	lease.ByBGP
	where       node
	communities []node
	peers       []node
}

// byBGP reads it. What goes without saying is left out.
func (in *input) byBGP(n node, s spelled) byBGP {
	b := byBGP{where: n, communities: s.of("communities").items(), peers: s.of("peers").items()}
	for _, l := range []struct {
		key   string
		usual int
		into  **int
	}{{"aggregationLength", 32, &b.AggregationLength}, {"aggregationLengthV6", 128, &b.AggregationLengthV6}} {
		key := s.of(l.key)
		if s.old && l.key == "aggregationLengthV6" {
			key = s.get("aggregation-length-v6")
		}
		if length := key.count(); length != 0 && length != l.usual {
			*l.into = &length
		}
	}
	if pref := s.of("localPref").number(); pref != 0 {
		b.LocalPref = &pref
	}
	return b
}

// entries makes entries of announce of what pools say of BGP.
func (in *input) entries(all []byBGP) (entries []lease.Announce) {
	for _, b := range all {
		entry := b.ByBGP
		for _, n := range b.communities {
			text := n.text()
			if value, named := in.communities[text]; named {
				text = value
			}
			entry.Communities = append(entry.Communities, text)
		}
		named := false
		for _, n := range b.peers {
			names := in.routers[n.text()]
			if len(names) == 0 {
				n.remark("names the peer %q, which is not in the input or was left out", printable(n.text()))
			}
			named = true
			entry.Peers = append(entry.Peers, names...)
		}
		entry.Peers = distinct(entry.Peers)
		if named && len(entry.Peers) == 0 {
			b.where.remark("none of its peers is here: it was left out")
			continue
		}
		entries = append(entries, lease.Announce{BGP: &entry})
	}
	return distinct(entries)
}

// routed returns what BGP says of a pool: the BGPAdvertisements that select it, or its own ones.
func (p *pool) routed(adverts []*advert) (all []byBGP) {
	if p.proto != "" {
		return p.own
	}
	for _, a := range adverts {
		if a.bgp && a.selects(p) {
			b := a.route
			if !a.everywhere() {
				b.NodeSelectors = distinct(a.nodes)
			}
			if !a.ofAll() {
				b.ServiceSelectors = distinct(a.services)
			}
			all = append(all, b)
		}
	}
	return all
}

// announceBy says in the pool where it is announced: in its own keys where it is on layer 2 in one
// way, else as entries.
func (p *pool) announceBy(onLayer2 []lease.OnLayer2, byBGP []lease.Announce) {
	if len(byBGP) == 0 && len(onLayer2) == 1 && len(onLayer2[0].ServiceSelectors) == 0 {
		p.NodeSelectors, p.Interfaces, p.NodeWeights = onLayer2[0].NodeSelectors, onLayer2[0].Interfaces, onLayer2[0].NodeWeights
		return
	}
	for i := range onLayer2 {
		p.Announce = append(p.Announce, lease.Announce{Layer2: &onLayer2[i]})
	}
	p.Announce = slices.Concat(p.Announce, byBGP)
}
