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
	was, now := r.only, time.Now()
	r.limits, r.only = limits, make(map[netip.Addr][]string)
	for _, l := range limits {
		for _, ip := range l.VIPs {
			r.only[ip] = append(r.only[ip], l.Interfaces...)
		}
	}
	r.spread()
	for ip := range r.roles {
		a, before := was[ip]
		b, after := r.only[ip]
		if before != after || !slices.Equal(a, b) {
			r.schedule.again(ip, now)
		}
	}
	poke(r.due)
}

// may reports whether an address may be on an interface.
func may(only map[netip.Addr][]string, ip netip.Addr, name string) bool {
	names, limited := only[ip]
	return !limited || slices.Contains(names, name)
}
