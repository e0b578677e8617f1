package report

import (
	"fmt"
	"slices"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/routes"
)

// ranking marks who is who in a ranking.
func ranking(w *api.Who, all []owner.Candidate) (list []api.Candidate) {
	for _, c := range all {
		r := api.Candidate{Node: c.Node, Score: fmt.Sprintf("%016x", c.Score), Eligible: c.Reason == "", Reason: c.Reason}
		switch {
		case w.VIP == nil:
		case c.Node == w.VIP.Owner:
			r.Role = "announcer"
		case c.Node == w.VIP.Next:
			r.Role = "next"
		}
		list = append(list, r)
	}
	return list
}

// routed says of each node of a ranking which BGP routers learn of it.
func routed(list []api.Candidate, r routes.Route) {
	for i := range list {
		c := &list[i]
		for _, to := range r.To {
			if slices.Contains(to.Nodes, c.Node) {
				c.Routers = append(c.Routers, to.Router)
			}
		}
		if len(c.Routers) == 0 {
			c.NotRouted = notRouted(r, c.Node)
		}
	}
}

// answer puts the answer into one sentence.
func answer(w *api.Who) string {
	first := ""
	if len(w.Ranking) > 0 && w.Ranking[0].Eligible {
		first = w.Ranking[0].Node
	}
	switch {
	case w.Held && len(w.VIP.Routes) > 0 && w.VIP.Owner == "":
		return fmt.Sprintf("%s is announced by %s", w.IP, api.Routed(w.VIP.Routes))
	case w.Held && len(w.VIP.Routes) > 0:
		return fmt.Sprintf("%s announces %s: %s; it is also announced by %s", w.VIP.Owner, w.IP, w.VIP.Reason, api.Routed(w.VIP.Routes))
	case w.Held && w.VIP.Owner == "":
		return fmt.Sprintf("no node announces %s: %s", w.IP, w.VIP.Reason)
	case w.Held:
		return fmt.Sprintf("%s announces %s: %s", w.VIP.Owner, w.IP, w.VIP.Reason)
	case w.Pool == "":
		return fmt.Sprintf("%s is held by no Service and is in no pool: starling has nothing to do with it", w.IP)
	case first == "":
		return fmt.Sprintf("%s of pool %q is held by no Service, and no node could announce it", w.IP, w.Pool)
	}
	return fmt.Sprintf("%s of pool %q is held by no Service; %s would announce it", w.IP, w.Pool, first)
}
