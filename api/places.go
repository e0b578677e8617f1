package api

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Place says on which interfaces a node announces those addresses of a pool that are on one of its
// networks. All of them are announced on the same ones, so a few places say it of thousands of
// addresses.
type Place struct {
	Pool       string   `json:"pool"`
	Network    string   `json:"network"`           // of the node, as a prefix; 0.0.0.0/0 or ::/0 for addresses on none of its networks
	Interfaces []string `json:"interfaces"`        // sorted
	Entries    []string `json:"entries,omitempty"` // of the pool, see VIP: Services may differ in these
}

// maxPlaces bounds what a speaker says of its places.
const maxPlaces = 1000

// Places are those of the addresses that this node announces, sorted.
func (s Snapshot) Places() []Place {
	type at struct {
		pool    string
		network netip.Prefix
		entries string
	}
	networks := s.networks()
	seen := map[at]bool{}
	places := []Place{}
	for _, v := range s.VIPs {
		ip, err := netip.ParseAddr(v.IP)
		if err != nil || v.Owner != s.Node || len(v.Interfaces) == 0 {
			continue
		}
		where := at{v.Pool, longest(networks, ip), strings.Join(v.Entries, " ")}
		if !seen[where] && len(places) < maxPlaces {
			seen[where] = true
			places = append(places, Place{v.Pool, where.network.String(), v.Interfaces, v.Entries})
		}
	}
	slices.SortFunc(places, func(a, b Place) int {
		return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Network, b.Network), slices.Compare(a.Entries, b.Entries))
	})
	return places
}

// networks are those that this node's interfaces are on, and one for all other addresses of each
// family.
func (s Snapshot) networks() []netip.Prefix {
	out := []netip.Prefix{netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)}
	for _, i := range s.Interfaces {
		for _, text := range i.Prefixes {
			if p, err := netip.ParsePrefix(text); err == nil && i.Used {
				out = append(out, p)
			}
		}
	}
	return out
}

// longest is the longest of the networks that contain an address.
func longest(networks []netip.Prefix, ip netip.Addr) (out netip.Prefix) {
	for _, p := range networks {
		if p.Contains(ip) && (!out.IsValid() || p.Bits() > out.Bits()) {
			out = p
		}
	}
	return out
}

// At names the interfaces on which the owner of an address announces it, by what the owner says of
// its places; none: it has not said.
func (v VIP) At(places []Place) []string {
	ip, err := netip.ParseAddr(v.IP)
	if err != nil {
		return nil
	}
	var networks []netip.Prefix
	interfaces := map[netip.Prefix][]string{}
	for _, p := range places {
		if network, err := netip.ParsePrefix(p.Network); err == nil && p.Pool == v.Pool && slices.Equal(p.Entries, v.Entries) {
			networks = append(networks, network)
			interfaces[network] = p.Interfaces
		}
	}
	return interfaces[longest(networks, ip)]
}

// Mixed reports of which pools the addresses are announced by different entries of the key
// announce. Only there the entry of an address says something.
func Mixed(vips []VIP) map[string]bool {
	first, mixed := map[string][]string{}, map[string]bool{}
	for _, v := range vips {
		if v.Owner == "" {
			continue
		}
		entries, seen := first[v.Pool]
		if !seen {
			first[v.Pool] = v.Entries
		}
		mixed[v.Pool] = mixed[v.Pool] || seen && !slices.Equal(entries, v.Entries)
	}
	return mixed
}

// Locate fills in the interfaces of addresses that other nodes announce, by what these say of their
// places.
func Locate(vips []VIP, places map[string][]Place) []VIP {
	out := slices.Clone(vips)
	for i := range out {
		if v := &out[i]; len(v.Interfaces) == 0 {
			v.Interfaces = v.At(places[v.Owner])
		}
	}
	return out
}
