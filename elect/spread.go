package elect

import (
	"net/netip"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/owner"
)

// Spread tells the lease protocol who would announce which address, so that it picks addresses of
// nodes that have few. It is made anew only when members, their networks or their tiers have
// changed: the table counts all addresses again after that.
type Spread struct {
	candidates *owner.Nodes
	pools      *lease.Pools
	scopes     Scopes
	terms      *lease.Spread
}

// Of returns what is to be expected of the members of this turn. Endpoints do not count: a Service
// that is to get an address has none yet, or will have others.
func (s *Spread) Of(candidates *owner.Nodes, pools *lease.Pools, scopes Scopes) *lease.Spread {
	if s.candidates != nil && s.candidates.Equal(candidates) && s.pools == pools && s.scopes.equal(scopes) {
		return s.terms
	}
	s.candidates, s.pools, s.scopes = candidates, pools, scopes
	f := candidates.Forecast()
	s.terms = &lease.Spread{
		Nodes: f.Nodes(),
		Announcer: func(ip netip.Addr) string {
			if len(scopes) == 0 {
				return f.Owner(owner.VIP{IP: ip})
			}
			pool, _ := pools.Of(ip)
			if scopes.weighed(pool) {
				return "" // To choose so that all have equally many would undo the weights.
			}
			return f.Owner(owner.VIP{IP: ip, Scope: scopes.Of(pool)})
		},
	}
	return s.terms
}
