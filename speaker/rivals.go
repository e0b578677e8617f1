package speaker

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// rivals lists who else uses our addresses: those on the wire, and nodes whose kernels have them.
func (v *view) rivals(self string) []Conflict {
	var list []Conflict
	for _, c := range v.conflicts {
		list = append(list, Conflict{IP: c.IP.String(), Kind: c.Kind, MAC: c.MAC, Since: c.Since, Node: v.last.names[c.MAC]})
	}
	for _, ip := range slices.SortedFunc(maps.Keys(v.kernels), netip.Addr.Compare) {
		list = append(list, Conflict{IP: ip.String(), Kind: "node", Node: v.last.nodeOf(ip)})
	}
	for i := range list {
		list[i].Words, list[i].Todo = list[i].explain(self)
	}
	slices.SortStableFunc(list, func(a, b Conflict) int { return compareAddrs(a.IP, b.IP) })
	return list
}

// compareAddrs orders texts of addresses as addresses.
func compareAddrs(a, b string) int {
	x, _ := netip.ParseAddr(a) // they were addresses a moment ago
	y, _ := netip.ParseAddr(b)
	return x.Compare(y)
}

// explain puts a conflict into words, and what to do about it.
func (c Conflict) explain(self string) (words, todo string) {
	switch c.Kind {
	case "node":
		return fmt.Sprintf("%s is also an address of node %s, whose kernel answers for it too", c.IP, c.Node),
			"exclude it from its pool, or give the node another address"
	case "member":
		return fmt.Sprintf("%s (%s) announces %s too and does not give way to %s", cmp.Or(c.Node, "a node"), c.MAC, c.IP, self),
			fmt.Sprintf("compare what %s and %s say of it with `starling who %s`, and restart the speaker that is wrong", self, cmp.Or(c.Node, "that node"), c.IP)
	}
	return fmt.Sprintf("%s also answers for %s on the network of node %s", c.MAC, c.IP, self),
		"find the machine with this hardware address and give it another address, or exclude the address from its pool"
}

// nodeOf names the node that has an address.
func (w *world) nodeOf(ip netip.Addr) string {
	for _, n := range w.cluster.Nodes {
		if slices.Contains(n.Addresses, ip) || slices.Contains(n.Others, ip) {
			return n.Name
		}
	}
	return ""
}
