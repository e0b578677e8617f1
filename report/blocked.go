package report

import (
	"fmt"
	"time"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
)

// blocked says which members are alive on the wire only. As long as one
// that gossip has just declared dead may have but a moment more, that is all there is to say.
func blocked(gossip, members []mesh.Member, now time.Time) []health.Condition {
	known := make(map[string]mesh.Member, len(gossip))
	for _, m := range gossip {
		known[m.Name] = m
	}
	var r []health.Condition
	for _, m := range members {
		if m.State != mesh.State(peers.Wire) {
			continue
		}
		k, port := known[m.Name], ""
		if k.State == mesh.Dead && now.Sub(k.Since) < peers.Provisional {
			r = append(r, health.New(health.GossipDeclaredDead, health.Node(m.Name), fmt.Sprintf("gossip has just declared %s dead; it has a moment to refute", m.Name)))
			continue
		}
		if k.Addr.IsValid() {
			port = fmt.Sprintf(" on %d", k.Addr.Port())
		}
		r = append(r, health.New(health.GossipBlocked, health.Node(m.Name), fmt.Sprintf("gossip to %s%s is blocked; %s is alive on the wire", m.Name, port, m.Name)))
	}
	return r
}
