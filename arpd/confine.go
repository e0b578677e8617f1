package arpd

import (
	"net/netip"
	"slices"
	"time"
)

// Limit keeps addresses to some interfaces of the node.
type Limit struct {
	Interfaces []string     // names; none: nowhere
	VIPs       []netip.Addr // sorted
}

func (l Limit) equal(o Limit) bool {
	return slices.Equal(l.Interfaces, o.Interfaces) && slices.Equal(l.VIPs, o.VIPs)
}

// Confine keeps the addresses that the limits name to the interfaces that they
// name: there and nowhere else they are answered, announced and listened for. It
// replaces all earlier limits. Addresses that it does not name may be everywhere.
// The limits must not change afterwards.
func (r *Responder) Confine(limits []Limit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.EqualFunc(r.limits, limits, Limit.equal) {
		return
	}
	was, now := r.limits, time.Now()
	r.limits = limits
	var changes []grant
	for _, ip := range moved(was, limits) {
		if role := r.roles[ip]; role != 0 {
			changes = append(changes, grant{ip, role})
			r.schedule.again(ip, now)
		}
	}
	r.patch(changes)
	poke(r.due)
}

// allowed are the interfaces that the limits leave to an address, if they name it.
func allowed(limits []Limit, ip netip.Addr) (names []string, limited bool) {
	for _, l := range limits {
		if _, named := slices.BinarySearchFunc(l.VIPs, ip, netip.Addr.Compare); named {
			names, limited = append(names, l.Interfaces...), true
		}
	}
	return names, limited
}

// moved are the addresses to which other interfaces are left now than before,
// sorted.
func moved(was, is []Limit) []netip.Addr {
	var out []netip.Addr
	for i := range max(len(was), len(is)) {
		var a, b Limit
		if i < len(was) {
			a = was[i]
		}
		if i < len(is) {
			b = is[i]
		}
		if slices.Equal(a.Interfaces, b.Interfaces) {
			out = append(out, differing(a.VIPs, b.VIPs)...)
		} else {
			out = slices.Concat(out, a.VIPs, b.VIPs)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.DeleteFunc(slices.Compact(out), func(ip netip.Addr) bool {
		a, before := allowed(was, ip)
		b, after := allowed(is, ip)
		return before == after && slices.Equal(a, b)
	})
}
