package netif

import (
	"net/netip"
	"slices"
)

// Limit keeps addresses to some interfaces of the node.
type Limit struct {
	Interfaces []string     // names; none: nowhere
	Named      []string     // those of them that announce the addresses whatever networks they are on
	VIPs       []netip.Addr // sorted
}

// Equal reports whether both name the same interfaces and addresses.
func (l Limit) Equal(o Limit) bool { return l.Alike(o) && slices.Equal(l.VIPs, o.VIPs) }

// Alike reports whether both leave the same interfaces.
func (l Limit) Alike(o Limit) bool {
	return slices.Equal(l.Interfaces, o.Interfaces) && slices.Equal(l.Named, o.Named)
}

// Allowed are the interfaces that the limits leave to an address, if they name it: those of all
// that do.
func Allowed(limits []Limit, ip netip.Addr) (left Limit, limited bool) {
	for _, l := range limits {
		if _, named := slices.BinarySearchFunc(l.VIPs, ip, netip.Addr.Compare); named {
			left.Interfaces, left.Named = append(left.Interfaces, l.Interfaces...), append(left.Named, l.Named...)
			limited = true
		}
	}
	return left, limited
}
