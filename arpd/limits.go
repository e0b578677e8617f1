package arpd

import (
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/claims"
)

// SetLimits keeps the addresses that the limits name to the interfaces that they
// name: there and nowhere else they are answered, announced and listened for. It
// replaces all earlier limits. Addresses that it does not name may be everywhere.
// The limits must not change afterwards.
func (r *Responder) SetLimits(limits []netif.Limit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.EqualFunc(r.limits, limits, netif.Limit.Equal) {
		return
	}
	was, now := r.limits, time.Now()
	r.limits = limits
	var changes []grant
	for _, ip := range moved(was, limits) {
		if role := r.roles[ip]; role != 0 {
			changes = append(changes, grant{ip: ip, role: role})
			r.schedule.Again(ip, now)
		}
	}
	r.patch(changes)
	poke(r.due)
	poke(r.changed)
}

// moved are the addresses to which other interfaces are left now than before,
// sorted.
func moved(was, is []netif.Limit) []netip.Addr {
	var out []netip.Addr
	for i := range max(len(was), len(is)) {
		var a, b netif.Limit
		if i < len(was) {
			a = was[i]
		}
		if i < len(is) {
			b = is[i]
		}
		if a.Alike(b) {
			out = append(out, claims.Differing(a.VIPs, b.VIPs)...)
		} else {
			out = slices.Concat(out, a.VIPs, b.VIPs)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.DeleteFunc(slices.Compact(out), func(ip netip.Addr) bool {
		a, before := netif.Allowed(was, ip)
		b, after := netif.Allowed(is, ip)
		return before == after && a.Alike(b)
	})
}
