package report

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/routes"
)

// peerings are the BGP routers of the plan.
func (w *World) peerings() []routes.Peering {
	if w.Plan == nil {
		return nil
	}
	return w.Plan.Peerings
}

// session is this node's with a router, nil if it is to have none.
func (w *World) session(router string) *routes.Session {
	for i := range w.Sessions {
		if w.Sessions[i].Router == router {
			return &w.Sessions[i]
		}
	}
	return nil
}

// sessions names the nodes that have a session with a router.
func (w *World) sessions(router string) (up []string) {
	for _, m := range w.Members {
		if m.Up() && slices.Contains(m.Meta.Sessions, mesh.ShortName(router)) {
			up = append(up, m.Name)
		}
	}
	return up
}

// routers lists the BGP routers, with what became of this node's sessions.
func (w *World) routers() (list []api.Router) {
	for _, p := range w.peerings() {
		at := p.At()
		r := api.Router{
			Name: p.Router, Address: at.Address.String(), ASN: at.ASN, Sessions: lease.SessionsEach, Why: p.Why, Speakers: p.Holders, Up: w.sessions(p.Router),
		}
		if p.Few {
			r.Sessions = lease.SessionsFew
		}
		if s := w.session(p.Router); s != nil {
			r.Session = &api.Session{State: string(s.State), Since: s.Since, Cause: string(s.Cause), Words: s.Text, Paths: s.Sent, Flaps: s.Flaps}
		}
		list = append(list, r)
	}
	return list
}

// routesOf says how an address is announced to routers.
func routesOf(r routes.Route) (list []api.Route) {
	for _, to := range r.To {
		list = append(list, api.Route{Router: to.Router, Nodes: to.Nodes, Leaving: to.Leaving, By: to.By})
	}
	return list
}

// route is how the i-th address is announced to routers.
func (w *World) route(i int) routes.Route {
	if w.Plan == nil {
		return routes.Route{}
	}
	return w.Plan.Route(w.VIPs[i].IP)
}

// causes are the conditions of sessions that are not established.
var causes = map[routes.Cause]health.Code{
	routes.Unreachable: health.RouterUnreachable,
	routes.Refused:     health.RouterRefuses,
	routes.WrongAS:     health.RouterWrongAS,
	routes.Rejected:    health.RouterRejects,
	routes.NoAnswer:    health.RouterSilent,
	routes.Timeout:     health.RouterSilent,
	routes.Flapping:    health.RouterFlaps,
	routes.Unusable:    health.RouterUnusable,
}

// ofRouters are the conditions of BGP routers.
func (w *World) ofRouters() (list []health.Condition) {
	for _, p := range w.peerings() {
		about := health.Router(p.Router)
		at := p.Router + " (" + p.At().Address.String() + ")"
		if len(w.sessions(p.Router)) == 0 && w.Fit() {
			list = append(list, noSession(p, at))
		}
		s := w.session(p.Router)
		switch {
		case s == nil:
		case s.State != routes.Established:
			if code, known := causes[s.Cause]; known {
				list = append(list, health.New(code, about, sessionWords(w.Self, at, *s)))
			}
		case p.Few && s.OnePath():
			list = append(list, health.New(health.RouterOnePath, about, fmt.Sprintf("router %s takes one path for each prefix only, as %s has seen", at, w.Self)))
		}
		if s != nil && s.State == routes.Established {
			if s.NoBFD != "" {
				list = append(list, health.New(health.RouterNoBFD, about, fmt.Sprintf("the session of %s with router %s stands without BFD: %s", w.Self, at, s.NoBFD)))
			}
			if lacks := w.familyRefused(p.Router, *s); lacks != "" {
				list = append(list, health.New(health.RouterNoFamily, about, fmt.Sprintf("router %s takes no paths of %s from %s", at, lacks, w.Self)))
			}
		}
	}
	return append(list, w.Unread...)
}

// noSession says that no node has a session with a router, and whether any may.
func noSession(p routes.Peering, at string) health.Condition {
	c := health.New(health.NoRouterSession, health.Router(p.Router), "no node has a session with router "+at)
	if len(p.Peers) == 0 && len(p.At().NodeSelectors) > 0 {
		c.Words += ": its nodeSelectors match no node"
		return c.Do("label the nodes that may have a session as its nodeSelectors under bgp.peers say (`kubectl label nodes NODE KEY=VALUE`), or correct these")
	}
	return c
}

// reportsOfRouters are the conditions of routers that are reported as Events, each by the nodes
// that have it.
func (w *World) reportsOfRouters() (list []NodeReport) {
	for _, c := range w.ofRouters() {
		switch {
		case c.Code.Rule().Event == "":
		case c.Code.Rule().Local:
			list = append(list, newNodeReport(w.Self, c.Subject.Name+" on "+w.Self, c))
		default:
			r := newNodeReport(w.Self, c.Subject.Name, c)
			r.everywhere = true
			list = append(list, r)
		}
	}
	return list
}

// sessionWords say what became of a session.
func sessionWords(self, at string, s routes.Session) string {
	words := fmt.Sprintf("%s has no session with router %s: %s", self, at, s.Cause)
	if s.Text != "" {
		words += " (" + s.Text + ")"
	}
	return words
}

// familyRefused is the family that paths to a router have and that it does not take, "" none.
func (w *World) familyRefused(router string, s routes.Session) string {
	for _, r := range w.Plan.Set.Routers {
		if r.Name != router || len(r.Paths) == 0 {
			continue
		}
		switch first, last := r.Paths[0], r.Paths[len(r.Paths)-1]; { // those of IPv4 come first
		case first.Prefix.Addr().Is4() && !s.Takes[0]:
			return "IPv4"
		case last.Prefix.Addr().Is6() && !s.Takes[1]:
			return "IPv6"
		}
	}
	return ""
}

// unrouted are the addresses that their pools announce by BGP and that no router learns of, one
// condition for each reason. Those without an endpoint are known already.
func (w *World) unrouted() (list []health.Condition) {
	if w.Plan == nil {
		return nil
	}
	ips := map[string][]string{}
	var reasons []string
	for i := range w.VIPs {
		if w.Plan.Routed(w.VIPs[i].IP) || !w.Election(i).Candidate.Serving {
			continue
		}
		reason := w.route(i).Reason
		if reason == "" {
			continue // not by BGP
		}
		if ips[reason] == nil {
			reasons = append(reasons, reason)
		}
		ips[reason] = append(ips[reason], w.VIPs[i].IP.String())
	}
	for _, r := range reasons {
		list = append(list, health.New(health.NotRouted, health.Address(ips[r][0]), fmt.Sprintf("no router learns of %s: %s", health.Some(ips[r], 3), r)))
	}
	return list
}

// Routed counts the addresses that routers learn of, and the sessions that this node is to have and
// those that it has.
func (w *World) Routed() (addresses, wanted, have int) {
	for i := range w.VIPs {
		if w.Plan != nil && w.Plan.Routed(w.VIPs[i].IP) {
			addresses++
		}
	}
	for _, s := range w.Sessions {
		wanted++
		if s.State == routes.Established {
			have++
		}
	}
	return addresses, wanted, have
}

// notRouted says of a node why routers do not learn of it for an address, in one line; "" they do,
// or it is not known.
func notRouted(r routes.Route, node string) (why string) {
	for _, to := range r.To {
		for _, n := range to.Not {
			if n.Node == node {
				why = cmp.Or(why, n.Why)
			}
		}
	}
	return why
}
