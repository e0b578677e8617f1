package speaker

import (
	"net/netip"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/owner"
)

// spread tells the lease protocol who would announce which address, so that it picks addresses of
// nodes that have few. It is made anew only when members, their networks or their tiers have changed:
// the table counts all addresses again after that.
type spread struct {
	voters *owner.Electorate
	terms  *lease.Spread
}

// of returns what is to be expected of the members of this turn. Endpoints do not count: a Service
// that is to get an address has none yet, or will have others.
func (s *spread) of(w *world) *lease.Spread {
	if s.voters != nil && s.voters.Equal(w.voters) {
		return s.terms
	}
	s.voters = w.voters
	f := w.voters.Forecast()
	s.terms = &lease.Spread{
		Nodes:     f.Nodes(),
		Announcer: func(ip netip.Addr) string { return f.Owner(owner.VIP{IP: ip}, "") },
	}
	return s.terms
}
