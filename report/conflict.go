package report

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
)

// compareAddrs orders texts of addresses as addresses.
func compareAddrs(a, b string) int {
	x, _ := netip.ParseAddr(a) // they were addresses a moment ago
	y, _ := netip.ParseAddr(b)
	return x.Compare(y)
}

// Conflict is what a conflict means on the node self.
func Conflict(c api.Conflict, self string) health.Condition {
	about := health.Address(c.IP)
	switch c.Kind {
	case "node":
		return health.New(health.AddressOfNode, about, fmt.Sprintf("%s is also an address of node %s, whose kernel answers for it too", c.IP, c.Node))
	case "member":
		return health.New(health.AddressDisputed, about, fmt.Sprintf("%s (%s) also announces %s and does not yield to %s", cmp.Or(c.Node, "a node"), c.MAC, c.IP, self)).
			Do(fmt.Sprintf("compare what %s and %s say of it with `starling who %s`, and restart the speaker that is wrong", self, cmp.Or(c.Node, "that node"), c.IP)).From(c.Since)
	}
	return health.New(health.AddressTaken, about, fmt.Sprintf("%s also answers for %s on the network of node %s", c.MAC, c.IP, self)).From(c.Since)
}

// rivals lists who else uses our addresses: those on the wire, and nodes whose kernels have them.
func (w *World) rivals() []api.Conflict {
	var list []api.Conflict
	for _, c := range w.Wire.Conflicts {
		list = append(list, api.Conflict{IP: c.IP.String(), Kind: c.Kind, MAC: c.MAC, Since: c.Since, Node: w.Names[c.MAC]})
	}
	for _, ip := range slices.SortedFunc(maps.Keys(w.Kernels), netip.Addr.Compare) {
		list = append(list, api.Conflict{IP: ip.String(), Kind: "node", Node: w.NodeOf(ip)})
	}
	for i := range list {
		x := Conflict(list[i], w.Self)
		list[i].Words, list[i].Todo = x.Words, x.Advice
	}
	slices.SortStableFunc(list, func(a, b api.Conflict) int { return compareAddrs(a.IP, b.IP) })
	return list
}

// rivalry is the conditions that the rivals make.
func (w *World) rivalry() []health.Condition {
	var list []health.Condition
	for _, c := range w.rivals() {
		list = append(list, Conflict(c, w.Self))
	}
	return list
}

// NodeOf names the node that has an address.
func (w *World) NodeOf(ip netip.Addr) string {
	for _, n := range w.Cluster.Nodes {
		if slices.Contains(n.Addresses, ip) || slices.Contains(n.Others, ip) {
			return n.Name
		}
	}
	return ""
}
