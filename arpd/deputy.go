package arpd

import (
	"bytes"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/claims"
)

// A deputy answers with the MAC of the node whose address it is. A node has one for each of its
// interfaces, so it is found out on which of this node's networks each of them is heard.

// stationOf is the MAC that an interface answers with for an address of an absent node. If that
// node is not on its network, or it is not known by which MAC, the address is just watched there.
// The caller holds mu.
func (r *Responder) stationOf(ip netip.Addr, port int, is role) (packet.HW, role) {
	var all, here []claims.MAC
	for mac, name := range r.deputy.peers {
		if name != r.deputy.absent[ip] {
			continue
		}
		if all = append(all, mac); r.deputy.heardOn[mac] == port {
			here = append(here, mac)
		}
	}
	if len(all) == 1 && r.deputy.heardOn[all[0]] == 0 {
		here = all // never heard, and there is only one
	}
	if len(here) == 0 {
		return packet.HW{}, watch
	}
	slices.SortFunc(here, func(a, b claims.MAC) int { return bytes.Compare(a[:], b[:]) })
	for _, mac := range here {
		if r.others.LastClaim(ip) == mac {
			return packet.HW(mac), is
		}
	}
	return packet.HW(here[0]), is
}
