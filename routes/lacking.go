package routes

import (
	"slices"
	"time"

	"github.com/starling-lb/starling/mesh"
)

// LacksFor is how long a holder may be without its session before another node becomes a holder
// beside it.
const LacksFor = 30 * time.Second

// Lacking knows since when holders have been without their sessions. Its zero value knows nobody.
type Lacking struct{ clock[holding] }

// holding is a holder of a router.
type holding struct {
	node   string
	router uint32 // short name
}

// Mark notes in the nodes which sessions they have lacked for too long, and still lack.
func (l *Lacking) Mark(nodes []Node, now time.Time) {
	for i := range nodes {
		n := &nodes[i]
		for s, began := range l.since {
			long := !now.Before(began.Add(LacksFor))
			if s.node == n.Name && long && !slices.Contains(n.Sessions, s.router) {
				n.Lacks = append(n.Lacks, s.router)
			}
		}
		slices.Sort(n.Lacks)
	}
}

// Follow notes which holders of a plan are without their sessions. Next is when another will have
// been for too long; zero: none.
func (l *Lacking) Follow(p *Plan, now time.Time) (next time.Time) {
	l.begin()
	for _, peering := range p.Peerings {
		for _, name := range peering.Holders {
			if n := p.world.find(name); peering.Few && !has(n.Sessions, peering.Router) {
				l.mark(holding{name, mesh.ShortName(peering.Router)}, now, LacksFor, &next)
			}
		}
	}
	return next
}
