package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/lease"
)

// ownerlessFor is how long an address may be without an owner before an event
// says so: a new Service usually exists before its endpoints serve.
const ownerlessFor = 10 * time.Second

// Reasons of events, besides those of lease.
const (
	// NodeAssigned tells that another node announces the address from now on, and why.
	NodeAssigned = "NodeAssigned"
	// NoEligibleNode tells that no node may announce the address for ten seconds, and why.
	NoEligibleNode = "NoEligibleNode"
)

// move is a change of owner: of which address in w.vips, from whom, and whether the address was known at all.
type move struct {
	at    int
	was   string
	known bool
}

// moved counts a change of owner, and returns what the log is to say of it, if anything. Only the new owner sends the
// event, so there is one for each change; who announces a new address first is told by the event IPAllocated, and after
// a restart there is nothing to tell.
func (s *Speaker) moved(w *world, m move) (line, bool) {
	v, t := w.vips[m.at], w.seats[m.at] // of this turn, so no view shows it yet
	was, verdict := m.was, t.verdict()
	now := verdict.Owner
	reason := cause(w, was, m.known)
	t.from, t.cause = was, reason
	s.metrics.changes.WithLabelValues(reason).Inc()
	switch {
	case now == s.cfg.Node:
		if m.known {
			s.event(v.Services, false, NodeAssigned, fmt.Sprintf("node %s announces %s: %s", now, v.IP, verdict.Reason))
		}
		return line{"announcing", "from", was, reason}, true
	case was == s.cfg.Node:
		return line{"handing over", "to", now, reason}, true
	}
	return line{}, false
}

// Why an address has another owner than before.
const (
	causeNew      = "new"         // it was not known before
	causeEligible = "eligible"    // nobody was eligible before
	causeLost     = "member-lost" // the owner is gone
	causeMoved    = "moved"       // another node is to have it now
)

// cause puts a change of owner into one of a few words.
func cause(w *world, was string, known bool) string {
	switch {
	case !known:
		return causeNew
	case was == "":
		return causeEligible
	case !alive(w.members, was):
		return causeLost
	}
	return causeMoved
}

// tell sends the events that concern this node's own view: addresses that moved,
// addresses without an owner, and strangers on the wire.
func (s *Speaker) tell(w *world) {
	s.tellMoves(w)
	for i, t := range w.seats {
		if t.verdict().Owner == "" && !t.warned {
			s.ownerless(w, i)
		}
	}
	current := make(map[netip.Addr]bool, len(w.wire.Conflicts))
	for _, c := range w.wire.Conflicts {
		current[c.IP] = true
		if s.told[c.IP] {
			continue
		}
		s.claims.Warn().Stringer("vip", c.IP).Str("mac", c.MAC).Str("node", w.names[c.MAC]).Str("reason", c.Kind).Msg("address conflict")
		if w.names[c.MAC] != "" {
			continue // the nodes settle it between them
		}
		if i, ok := w.find(c.IP); ok {
			words, todo := Conflict{IP: c.IP.String(), Kind: c.Kind, MAC: c.MAC}.explain(s.cfg.Node)
			s.event(w.vips[i].Services, true, lease.AddressConflict, words+": "+todo)
		}
	}
	s.told = current
	s.tellNodes(w)
	s.tellFaults(w)
	s.tellMute(w)
	s.tellDiffering(w)
	s.tellReady(w)
}

// tellNodes warns once, from one node, when a bound address is a node's own, as when a node joins with it:
// it is not handed out, but its Service has it, and the node's kernel answers for it too.
func (s *Speaker) tellNodes(w *world) {
	current := map[netip.Addr]bool{}
	for _, n := range w.cluster.Nodes {
		for _, ip := range slices.Concat(n.Addresses, n.Others) {
			i, bound := w.find(ip)
			if !bound {
				continue
			}
			current[ip] = true
			if !s.kernels[ip] && w.writers.Rank(s.cfg.Node, ip.String()) == 0 {
				s.event(w.vips[i].Services, true, lease.AddressConflict, fmt.Sprintf("%s is also an address of node %s: exclude it from its pool, or give the node another one", ip, n.Name))
			}
		}
	}
	s.kernels = current
}

// ownerless warns once, from one node, when an address stays without an owner.
func (s *Speaker) ownerless(w *world, i int) {
	v, t := w.vips[i], w.seats[i].copied()
	if due := t.since.Add(ownerlessFor); w.now.Before(due) {
		w.wake = earlier(w.wake, due)
		return
	}
	t.warned = true
	w.seats[i] = t
	if w.writers.Rank(s.cfg.Node, v.IP.String()) == 0 {
		s.event(v.Services, true, NoEligibleNode, fmt.Sprintf("no node may announce %s: %s", v.IP, w.why(t.verdict())))
	}
	s.log.Warn().Stringer("vip", v.IP).Str("reason", w.why(t.verdict())).Msg("nobody may announce the address")
}

// tellReady logs a change of this node's readiness.
func (s *Speaker) tellReady(w *world) {
	if slices.Equal(s.reasons, w.reasons) && s.judged {
		return
	}
	s.judged, s.reasons = true, w.reasons
	if len(w.reasons) == 0 {
		s.log.Info().Msg("ready")
		return
	}
	s.log.Info().Str("reason", strings.Join(w.reasons, "; ")).Msg("not ready")
}
