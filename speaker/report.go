package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/report"
	"github.com/starling-lb/starling/wake"
	"github.com/starling-lb/starling/watcher"
)

// maxWaiting bounds the list of Services without an address.
const maxWaiting = 1000

// publish makes the result of the turn visible to requests and metrics.
func (s *Speaker) publish(w *world) {
	w.Usage, w.Elsewhere = s.table.Usage(w.Pools), s.table.Foreign()
	twins := s.twins.Of(w.Cluster.Nodes, func(node string) bool { return node == w.Self || w.alive(node) })
	w.Found = slices.Concat(s.forward.Complain(w.proxy, w.Self), s.drops(w), s.muted, twins, s.passing.conditions())
	w.Mine, w.Kernels = len(s.mine), s.kernels
	if s.mine != nil {
		w.Own = s.answer
	}
	for ip := range w.Wire.Yields {
		if s.mine[ip] {
			w.Mine--
		}
	}
	w.wake = wake.Earlier(w.wake, w.Evaluate(&s.since))
	s.view.Store(&w.World)
}

// asked is what a request asks for between two turns.
func (s *Speaker) asked() report.Look {
	s.mu.Lock()
	defer s.mu.Unlock()
	return report.Look{
		Now: s.cfg.Now(), Pings: s.cfg.Pings, LastReply: s.live.LastReply,
		Waiting: s.table.Waiting(maxWaiting), External: s.table.External(maxWaiting),
	}
}

// lacks counts the Services that wait.
func (s *Speaker) lacks() []lease.Lack {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Lacks()
}

// Snapshot is the view of the last turn.
func (s *Speaker) Snapshot() api.Snapshot {
	r := s.view.Load().Snapshot(s.asked())
	if s.cfg.Counts != nil {
		c := s.cfg.Counts()
		r.Activity = api.Activity{Writes: c.Writes, Events: c.Events}
	}
	return r
}

// Conditions are all that is wrong in the eyes of this speaker, as of the last turn, the worst
// first.
func (s *Speaker) Conditions() []health.Condition { return s.view.Load().Conditions(s.asked()) }

// Who says which node announces an address, as of the last turn.
func (s *Speaker) Who(ip netip.Addr) api.Who { return s.view.Load().Who(ip) }

// Leases lists what all Services hold, sorted by name.
func (s *Speaker) Leases() []api.Lease {
	s.mu.Lock()
	held := s.table.Held()
	s.mu.Unlock()
	list := make([]api.Lease, 0, len(held))
	for _, h := range held {
		l := api.Lease{Service: h.Service.String(), By: h.By, Foreign: h.Foreign, Holder: h.Holder, Mistake: h.Bad, IPs: []api.LeaseItem{}}
		for _, i := range h.Items {
			l.IPs = append(l.IPs, api.LeaseItem{IP: i.IP.String(), Pool: i.Pool, State: i.State})
		}
		list = append(list, l)
	}
	return list
}

// ownerlessFor is how long an address may be without an owner before an event
// says so: a new Service usually exists before its endpoints serve.
const ownerlessFor = 10 * time.Second

// Reasons of events, besides those of lease.
const (
	// NodeAssigned tells that another node announces the address from now on, and why.
	NodeAssigned = "NodeAssigned"
	// NoEligibleNode tells that no node may announce the address for ten seconds, why, and what to
	// do.
	NoEligibleNode = "NoEligibleNode"
	// UnknownAnnotation tells that an annotation looks like one of starling's and means nothing,
	// and what may have been meant.
	UnknownAnnotation = "UnknownAnnotation"
)

// move is a change of owner: of which address in w.VIPs, from whom, whether the address was known
// at all, and since when it had that owner.
type move struct {
	at    int
	was   string
	known bool
	since time.Time
}

// moved counts a change of owner, and returns what the log is to say of it, if anything. Only the
// new owner sends the event, so there is one for each change; who announces a new address first is
// told by the event IPAllocated, and after a restart there is nothing to tell.
func (s *Speaker) moved(w *world, m move) (line, bool) {
	v, t := w.VIPs[m.at], w.elections[m.at] // of this turn, so no view shows it yet
	was, result := m.was, t.Result()
	now := result.Owner
	reason := cause(w, was, m.known)
	t.From, t.Cause = was, reason
	s.metrics.changes.WithLabelValues(reason).Inc()
	switch {
	case now == s.cfg.Node:
		if m.known {
			s.event(v.Services, watcher.Event{Reason: NodeAssigned, Message: fmt.Sprintf("node %s announces %s: %s", now, v.IP, result.Reason)})
		}
		return line{"announcing", "from", was, reason}, true
	case was == s.cfg.Node:
		return line{"handing over", "to", now, reason}, true
	}
	return line{}, false
}

// cause puts a change of owner into one of a few words.
func cause(w *world, was string, known bool) string {
	switch {
	case !known:
		return report.CauseNew
	case was == "":
		return report.CauseEligible
	case !w.alive(was):
		return report.CauseLost
	}
	return report.CauseMoved
}

// reportAll sends the events that concern this node's own view: addresses that moved,
// addresses without an owner, and strangers on the wire.
func (s *Speaker) reportAll(w *world) {
	s.reportMoves(w)
	for i, t := range w.elections {
		if r := t.Result(); r.Owner == "" && !r.Elsewhere && !t.Warned {
			s.ownerless(w, i)
		}
	}
	current := make(map[netip.Addr]bool, len(w.Wire.Conflicts))
	for _, c := range w.Wire.Conflicts {
		if s.table.Evading(c.IP) {
			continue
		}
		current[c.IP] = true
		if s.reportedConflicts[c.IP] {
			continue
		}
		s.claims.Warn().Stringer("vip", c.IP).Str("mac", c.MAC).Str("node", w.Names[c.MAC]).Str("reason", c.Kind).Msg("address conflict")
		if w.Names[c.MAC] != "" {
			continue // the nodes settle it between them
		}
		if i, ok := w.Find(c.IP); ok {
			c := report.Conflict(api.Conflict{IP: c.IP.String(), Kind: c.Kind, MAC: c.MAC}, s.cfg.Node)
			s.warn(w.VIPs[i].Services, c.Do(c.Advice+stays(s.table.Evaded(w.VIPs[i].Services[0]))))
		}
	}
	s.reportedConflicts = current
	s.reportUnknown(w)
	s.reportNodes(w)
	s.reportConditions(w)
	s.reportMute(w)
	s.reportDiffering(w)
	s.reportReady(w)
}

// reportNodes warns once, from one node, when a bound address is a node's own, as when a node joins
// with it: it is not handed out, but its Service has it, and the node's kernel answers for it too.
func (s *Speaker) reportNodes(w *world) {
	current := map[netip.Addr]bool{}
	for _, n := range w.Cluster.Nodes {
		for _, ip := range slices.Concat(n.Addresses, n.Others) {
			i, bound := w.Find(ip)
			if !bound {
				continue
			}
			current[ip] = true
			if !s.kernels[ip] && w.writers.Rank(s.cfg.Node, ip.String()) == 0 {
				s.warn(w.VIPs[i].Services, report.Conflict(api.Conflict{IP: ip.String(), Kind: "node", Node: n.Name}, s.cfg.Node))
			}
		}
	}
	s.kernels = current
}

// ownerless warns once, from one node, when an address stays without an owner.
func (s *Speaker) ownerless(w *world, i int) {
	v, t := w.VIPs[i], w.elections[i].Copied()
	if due := t.Since.Add(ownerlessFor); w.Now.Before(due) {
		w.wake = wake.Earlier(w.wake, due)
		return
	}
	t.Warned = true
	w.elections[i] = t
	code, why := w.Why(v, t.Candidate, t.Result())
	if w.writers.Rank(s.cfg.Node, v.IP.String()) == 0 {
		s.warn(v.Services, health.New(code, health.Address(v.IP.String()), fmt.Sprintf("no node may announce %s: %s", v.IP, why)))
	}
	s.log.Warn().Stringer("vip", v.IP).Str("reason", why).Msg("no node may announce the address")
}

// reportReady logs a change of this node's readiness.
func (s *Speaker) reportReady(w *world) {
	now := report.Words(w.Lacks)
	if slices.Equal(s.reasons, now) && s.evaluated {
		return
	}
	s.evaluated, s.reasons = true, now
	if len(now) == 0 {
		s.log.Info().Msg("ready")
		return
	}
	s.log.Info().Str("reason", strings.Join(now, "; ")).Msg("not ready")
}

// reportDiffering logs that members have another configuration, and that all agree again.
func (s *Speaker) reportDiffering(w *world) {
	now := w.Others()
	switch {
	case slices.Equal(now, s.differ):
	case len(now) == 0:
		s.log.Info().Msg("all members have the same configuration again")
	default:
		s.log.Warn().Strs("nodes", now).Msg("members have another configuration")
	}
	s.differ = now
}
