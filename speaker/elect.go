package speaker

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/elect"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/wake"
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
	w.rules, w.ignored = map[string]lease.Scope{}, map[string]bool{}
	for _, p := range w.Pools.List() {
		ignores, known := s.agreed.IgnoresEndpoints(p.Name)
		if !known {
			ignores = p.Endpoints != ""
		}
		if ignores {
			w.ignored[p.Name] = true
		}
		rule, known := s.agreed.Scope(p.Name)
		if !known {
			rule, _ = w.Pools.Scope(p.Name)
		}
		if rule.Limited() {
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
	w.elections, w.gone = s.elections.Begin(elect.Turn{
		VIPs: w.VIPs, Edited: s.touched(w), Candidates: w.Candidates, Scopes: w.scopes,
		Candidate: func(v lease.VIP) owner.VIP { return s.candidate(w, v) }, Labels: s.labels,
	})
	for ip, announcer := range w.gone {
		s.tentative.Leave(ip, announcer, w.Now)
		s.refusals.Released(ip)
	}
	taken := s.refuse(w)
	for i, old := range w.elections {
		next, ip := s.elections.Elect(i), w.VIPs[i].IP
		was := electedOf(old)
		if anew := old == nil || was != next.Elected.Owner; anew {
			w.wake = wake.Earlier(w.wake, s.refusals.Elected(ip, next.Elected.Owner, was, w.Self, w.Now))
			w.elected = append(w.elected, i)
		} else if taken[ip] {
			w.elected = append(w.elected, i)
		}
		result := w.left(ip, s.refusals.Result(ip, next.Elected))
		if next == old && result == old.Result() {
			continue
		}
		if next == old {
			next = old.Copied() // views show the old one
		}
		next.Leave(result)
		switch {
		case old == nil:
			w.moves = append(w.moves, move{at: i})
			next.Since, next.Unused = w.Now, !w.listed && w.believed.Contact == peers.InTouch
		case old.Result().Owner != result.Owner:
			w.moves = append(w.moves, move{i, old.Result().Owner, true, old.Since})
			next.Since, next.Warned = w.Now, false
		}
		begin(next, w.Now)
		w.elections[i] = next
	}
}

// electedOf is the node that an earlier election has elected, "" if there was none.
func electedOf(e *elect.Election) string {
	if e == nil {
		return ""
	}
	return e.Elected.Owner
}

// refuse finds the addresses that their elected nodes refuse, and returns those that this node
// takes for that from now on, or no more.
func (s *Speaker) refuse(w *world) map[netip.Addr]bool {
	changed, ask, again := s.refusals.Step(s.lookout(w))
	w.ask, w.wake = append(w.ask, ask...), wake.Earlier(w.wake, again)
	return changed
}

// lookout is what is known of the other nodes when somebody may have to stand in for one.
func (s *Speaker) lookout(w *world) elect.Look {
	return elect.Look{
		Now: w.Now, Self: w.Self, OutOfTouch: w.believed.Contact == peers.OutOfTouch,
		Networks: segments(w.Wire), Members: w.Members, Names: w.Names, Heard: w.Wire.Heard, Answers: w.answers, Handing: s.handing,
		Candidates: w.Candidates, Candidate: func(ip netip.Addr) (owner.VIP, bool) {
			if i, bound := w.Find(ip); bound && w.elections[i] != nil {
				return w.elections[i].Candidate, true
			}
			return owner.VIP{}, false
		},
	}
}

// has reports whether this node has an address: it is elected, or the one that is refuses it.
func (s *Speaker) has(w *world, i int) bool {
	return w.elections[i].Elected.Owner == w.Self || s.refusals.Taken(w.VIPs[i].IP)
}

// touched are the addresses of Services that have changed, and all if their pools say something
// else of endpoints.
func (s *Speaker) touched(w *world) (ips []netip.Addr) {
	if !maps.Equal(s.ignored, w.ignored) {
		s.ignored = w.ignored
		for _, v := range w.VIPs {
			ips = append(ips, v.IP)
		}
		return ips
	}
	for _, k := range w.edited {
		ips = append(ips, s.table.Bound(k)...)
	}
	return ips
}

// candidate joins the Services of an address into what election needs.
func (s *Speaker) candidate(w *world, v lease.VIP) owner.VIP {
	c := owner.VIP{IP: v.IP}
	for _, k := range v.Services {
		if s.ignores(w, v, k) {
			c.Serving = true // on any node
			continue
		}
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

// ignores reports whether a Service or the pool of its address says that endpoints do not matter.
func (s *Speaker) ignores(w *world, v lease.VIP, k lease.Key) bool {
	svc, ok := s.table.Get(k)
	return w.ignored[v.Pool] || ok && svc.IgnoresEndpoints()
}

// labels are those of a Service.
func (s *Speaker) labels(k lease.Key) string {
	svc, _ := s.table.Get(k)
	return svc.Labels
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
func (w *world) left(ip netip.Addr, v owner.Result) owner.Result {
	to := w.Wire.Yields[ip]
	if to == "" || v.Owner != w.Self {
		return v
	}
	return owner.Result{
		Owner: to, Next: w.Self,
		Reason: fmt.Sprintf("announces it and outranks %s, which sees it otherwise", w.Self),
	}
}
