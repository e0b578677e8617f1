package lease

import (
	"net/netip"
	"slices"
)

// A lease is text that whoever may edit the Service can write. So an address in it that ingress
// does not show, and ingress is no text of theirs, counts as a hold only where a speaker of this
// installation may bind it as the Service is now:
//
//	lease                                    of it counts what ingress shows, and
//	of another installation                  nothing else
//	of a later version of the format         nothing else
//	of a Service that is no load balancer    nothing else
//	any other                                one address of each family that the Service has:
//	                                         the first that it says is bound, else the first
//
// The rest is void: nobody is kept from it, nobody binds it, and the next write takes it out of a
// lease of ours. That is safe, since what is void depends on the revision alone: a bind lands only
// on the revision that it was decided on, and if that is changed so that an address is not void any
// more, then whoever decides about it sees all claims of others.
//
// A release that writes another version has to wait with it until every member reads it, as with
// all news in the lease.

// sift finds out what of the lease is void.
func (e *entry) sift(installation string, off *guards) {
	dead := e.foreign(installation) && !off.foreign || e.s.Type != typeLoadBalancer && !off.idle
	for i := range e.holds {
		h := &e.holds[i]
		h.void = h.leased && (!h.shown && (dead || !off.many && h != e.leader(family(h.ip))) || off.shown && dead)
	}
}

// leader is the hold of a family that counts although ingress does not show it, or nil.
func (e *entry) leader(f int) (first *hold) {
	if !slices.Contains(familiesOf(e.s), f) {
		return nil
	}
	for i := range e.holds {
		h := &e.holds[i]
		switch {
		case !h.leased || h.shown || family(h.ip) != f:
		case h.said:
			return h
		case first == nil:
			first = h
		}
	}
	return first
}

// has reports whether a Service holds an address so that others must not have it.
func (e *entry) has(ip netip.Addr) bool {
	h := e.at(ip)
	return h != nil && !h.void
}
