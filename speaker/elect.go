package speaker

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/elect"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/watcher"
)

// agree decides whose rules are in force: those of the present pools, but while
// live members have others than these, as they do while a change of the configuration
// spreads, the ones that all last agreed on. So all of them elect by the same
// rules, and one that reads the file late does not announce beside another.
func (s *Speaker) agree(w *world, own uint64) {
	differ := slices.ContainsFunc(w.Members, func(m mesh.Member) bool {
		return m.State == mesh.Alive && m.Name != w.Self && m.Meta.Config != own
	})
	if s.agreed == nil || !differ {
		s.agreed = w.Pools
	}
	w.rules = map[string]lease.Scope{}
	for _, p := range w.Pools.List() {
		rule, known := s.agreed.Scope(p.Name)
		if !known {
			rule, _ = w.Pools.Scope(p.Name)
		}
		if len(rule.NodeSelectors) > 0 || len(rule.Interfaces) > 0 || rule.Weighed() {
			w.rules[p.Name] = rule
		}
	}
}

// labels are those of a node, as far as Kubernetes has told.
func (w *world) labels(node string) map[string]string {
	return w.Cluster.Node(node).Labels
}

// elect names the owner of every bound address and remembers since when.
func (s *Speaker) elect(w *world) {
	w.seats, w.gone = s.roll.Call(elect.Turn{
		VIPs: w.VIPs, Edited: s.touched(w), Voters: w.Voters, Scopes: w.scopes, Candidate: func(v lease.VIP) owner.VIP { return s.candidate(w, v) },
	})
	for ip, announcer := range w.gone {
		s.trials.Leave(ip, announcer, w.Now)
	}
	for i, old := range w.seats {
		next := s.roll.Vote(i)
		if old == nil || old.Elected.Owner != next.Elected.Owner {
			w.elected = append(w.elected, i)
		}
		verdict := w.left(w.VIPs[i].IP, next.Elected)
		if next == old && verdict == old.Verdict() {
			continue
		}
		if next == old {
			next = old.Copied() // views show the old one
		}
		next.Leave(verdict)
		switch {
		case old == nil:
			w.moves = append(w.moves, move{at: i})
			next.Since, next.Unused = w.Now, !w.listed && w.believed.Contact == peers.InTouch
		case old.Verdict().Owner != verdict.Owner:
			w.moves = append(w.moves, move{i, old.Verdict().Owner, true})
			next.Since, next.Warned = w.Now, false
		}
		begin(next, w.Now)
		w.seats[i] = next
	}
}

// touched are the addresses of Services that have changed.
func (s *Speaker) touched(w *world) (ips []netip.Addr) {
	for _, k := range w.edited {
		ips = append(ips, s.table.Bound(k)...)
	}
	return ips
}

// candidate joins the Services of an address into what election needs.
func (s *Speaker) candidate(w *world, v lease.VIP) owner.VIP {
	c := owner.VIP{IP: v.IP, Scope: w.scopes.Of(v.Pool)}
	for _, k := range v.Services {
		nodes := w.Cluster.Endpoints[k].Of(v.IP).Nodes
		if len(nodes) == 0 {
			continue // has no say where the others go
		}
		c.Serving = true
		if svc, ok := s.table.Get(k); ok && svc.Local {
			c.Local = append(c.Local, nodes)
		}
	}
	return c
}

// edited are the Services that the changes may have moved, or deleted.
func edited(c watcher.Changes) []lease.Key {
	keys := slices.Concat(c.Endpoints, c.Deleted)
	for _, s := range c.Put {
		keys = append(keys, s.Key())
	}
	return keys
}

// left is the verdict on an address when the wire has the last word: one that is this node's by
// election may be left to a member, see package claims.
func (w *world) left(ip netip.Addr, v owner.Verdict) owner.Verdict {
	to := w.Wire.Yields[ip]
	if to == "" || v.Owner != w.Self {
		return v
	}
	return owner.Verdict{
		Owner: to, Next: w.Self,
		Reason: fmt.Sprintf("announces it and outranks %s, which sees it otherwise", w.Self),
	}
}
