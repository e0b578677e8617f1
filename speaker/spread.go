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
	pools  *lease.Pools
	scopes scopes
	terms  *lease.Spread
}

// of returns what is to be expected of the members of this turn. Endpoints do not count: a Service
// that is to get an address has none yet, or will have others.
func (s *spread) of(w *world) *lease.Spread {
	if s.voters != nil && s.voters.Equal(w.voters) && s.pools == w.pools && s.scopes.equal(w.scopes) {
		return s.terms
	}
	s.voters, s.pools, s.scopes = w.voters, w.pools, w.scopes
	f, pools, scopes := w.voters.Forecast(), w.pools, w.scopes
	s.terms = &lease.Spread{
		Nodes: f.Nodes(),
		Announcer: func(ip netip.Addr) string {
			if len(scopes) == 0 {
				return f.Owner(owner.VIP{IP: ip})
			}
			pool, _ := pools.Of(ip)
			if scopes[pool].rule.Weighed() {
				return "" // To choose so that all have equally many would undo the weights.
			}
			return f.Owner(owner.VIP{IP: ip, Scope: scopes.of(pool)})
		},
	}
	return s.terms
}
