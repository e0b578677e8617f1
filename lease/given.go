package lease

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/health"
)

// A pool with allocate: false hands out nothing. Its addresses come from another allocator, such as
// Cilium's LB IPAM or a gateway's controller, and speakers announce them as they stand: no lease is
// written, nothing is corrected, and nothing is taken back. A Service is given an address
//
//	if it is of type LoadBalancer, has no lease, and its status.loadBalancer.ingress shows the address
//	or, in a pool with externalIPs: true, if its spec.externalIPs lists it, whatever its type
//
// and if the pool serves the Service, which depends on namespaces and labels of Services alone. So
// all of it depends on one revision of the Service, and on the pools.
//
// What ingress shows no user has written. What externalIPs lists they have: whoever may edit a
// Service can list any address of the pool, also one that another Service has been given. Then the
// Services have it together, one node announces it, and kube-proxy decides.
//
// The class of the Service does not matter. One that shows such an address is the other allocator's
// also if its class is one of ours. One that has a lease of ours when its pool turns to allocate:
// false keeps both, and is served as before.

// gives reports whether an address of the pool may be given to a Service by others.
func (q *pool) gives(s *Service) bool {
	if q == nil || !q.Given || !q.ofServices.matchText(s.Labels) {
		return false
	}
	_, named := q.namespaces[s.Namespace]
	return named || len(q.namespaces) == 0
}

// shows reports whether the status of a Service shows an address that it was given, listed whether
// its externalIPs list one.
func (t *Table) shows(e *entry, ip netip.Addr) bool {
	h := e.at(ip)
	return h != nil && h.shown && !e.leased() && e.by == "" && e.s.Type == typeLoadBalancer && t.seen.pools.of(ip).gives(e.s)
}

func (t *Table) listed(e *entry, ip netip.Addr) bool {
	if !slices.Contains(e.external, ip) {
		return false
	}
	q := t.seen.pools.of(ip)
	return q.gives(e.s) && q.ExternalIPs
}

// others reports whether another allocator serves the Service, so that there is nothing to write.
func (t *Table) others(e *entry) bool {
	return slices.ContainsFunc(e.holds, func(h hold) bool { return t.shows(e, h.ip) })
}

// addGiven reads what is announced for other allocators, and refuses what makes no sense with it.
func (q *pool) addGiven(c Pool) []error {
	q.Given, q.ExternalIPs = c.Allocate != nil && !*c.Allocate, c.ExternalIPs
	wrong := func(key, text string) error { return wrongAt(errors.New(key+": "+text), key) }
	if !q.Given {
		if c.ExternalIPs {
			return []error{wrong("externalIPs", "has no effect without allocate: false; remove it, or add allocate: false")}
		}
		return nil
	}
	q.AutoAssign = false
	var errs []error
	for _, k := range []struct {
		key string
		set bool
	}{
		{"autoAssign", c.AutoAssign != nil && *c.AutoAssign},
		{"reservations", len(c.Reservations) > 0},
		{"namespaceSelectors", len(c.NamespaceSelectors) > 0},
	} {
		if !k.set {
			continue
		}
		text := "has no effect with allocate: false; remove one of the two"
		if k.key == "namespaceSelectors" {
			text = "not with allocate: false; name the namespaces in namespaces"
		}
		errs = append(errs, wrong(k.key, text))
	}
	return errs
}

// refuseAllocation says why a pool hands out nothing, or "".
func (q *pool) refuseAllocation() string {
	if !q.Given {
		return ""
	}
	return "has allocate: false, so that only other allocators hand out its addresses"
}

// given reports whether the addresses of all pools are handed out by others.
func (p *Pools) given() bool {
	return !slices.ContainsFunc(p.list, func(q *pool) bool { return !q.Given })
}

// unallocated says why a Service cannot have what it asks for: its pool hands out nothing. What it
// has already it keeps.
func (d *draft) unallocated() (health.Code, string) {
	e, pools := d.e, d.v.Pools
	if q := pools.byName[e.req.pool]; q != nil && q.Given && slices.ContainsFunc(e.req.slots, func(s slot) bool { return !d.has(s) }) {
		return health.PoolRefuses, fmt.Sprintf("annotation %s asks for pool %q, which %s", e.req.poolFrom, q.Name, q.refuseAllocation())
	}
	for _, s := range e.req.slots {
		if q := pools.of(s.ip); s.ip.IsValid() && q != nil && q.Given && !d.has(s) {
			return health.PoolRefuses, fmt.Sprintf("%s asks for %s of pool %q, which %s", e.req.source, s.ip, q.Name, q.refuseAllocation())
		}
	}
	return "", ""
}
