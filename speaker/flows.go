package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/flows"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/wake"
)

// rewriteEvery is how often what the kernel passes is written again: somebody may have emptied its
// tables, and what was not written for long ends.
const rewriteEvery = 30 * time.Second

// Flows is the kernel of this node, which passes packets on to others (package flows).
type Flows interface {
	Passed() ([]flows.Pass, error) // by what an earlier process of this node wrote
	Pass([]flows.Pass) error       // these and nothing else
}

// passing is what this node passes on to others, and whether it can.
type passing struct {
	table   flows.Table
	known   bool         // what an earlier process wrote
	asked   time.Time    // for that, last
	due     []flows.Pass // by the table
	passes  []flows.Pass // that the kernel has, as far as it took them
	written time.Time    // zero: never
	err     error        // of the last time
}

// pass has the kernel pass on what belongs to connections that began on other nodes. An address is
// announced after that: else this node's kernel would take its first packets for new connections.
func (s *Speaker) pass(w *world) {
	p := &s.passing
	if s.cfg.Flows == nil {
		return
	}
	if !p.known && !w.Now.Before(p.asked.Add(rewriteEvery)) {
		left, err := s.cfg.Flows.Passed()
		p.table.Adopt(left)
		p.known, p.passes, p.asked = err == nil, left, w.Now
	}
	r := p.table.Step(w.flows())
	p.due = r.Passes
	w.wake = wake.Earlier(w.wake, r.Wake)
	if s.cfg.Pace > 0 { // else no hosts are asked
		w.ask = append(w.ask, r.Ask...)
	}
	if p.adds() {
		s.writePasses(p.due, false, w.Now)
	}
}

// adds reports whether something is due that the kernel does not have. The rest can wait until this
// turn has announced what it is to.
func (p *passing) adds() bool {
	return p.err == nil && slices.ContainsFunc(p.due, func(a flows.Pass) bool {
		return !slices.ContainsFunc(p.passes, func(b flows.Pass) bool { return a.VIP == b.VIP && a.To == b.To })
	})
}

// passRest writes what pass has left: what ends, and now and then all of it.
func (s *Speaker) passRest(w *world) {
	p := &s.passing
	if s.cfg.Flows == nil {
		return
	}
	standing := len(p.due) > 0 || p.err != nil
	s.writePasses(p.due, p.written.IsZero() || standing && !w.Now.Before(p.written.Add(rewriteEvery)), w.Now)
	if standing {
		w.wake = wake.Earlier(w.wake, p.written.Add(rewriteEvery))
	}
}

// writePasses gives the kernel a set if it has another one, or must.
func (s *Speaker) writePasses(all []flows.Pass, must bool, now time.Time) {
	p := &s.passing
	same := slices.EqualFunc(all, p.passes, func(a, b flows.Pass) bool {
		return a.VIP == b.VIP && a.To == b.To && slices.Equal(a.MACs, b.MACs)
	})
	if !must && (same || p.err != nil) {
		return
	}
	err := s.cfg.Flows.Pass(all)
	switch {
	case err != nil && p.err == nil:
		s.log.Warn().Err(err).Msg("cannot keep connections when addresses move")
	case err == nil && len(all) != len(p.passes):
		s.log.Info().Int("vips", len(all)).Msg("passing on packets of connections that began on other nodes")
	}
	if p.written, p.err = now, err; err == nil {
		p.passes = all
	}
}

// stopPassing leaves in the kernel what others rely on, for the next process of this node.
func (s *Speaker) stopPassing() {
	if s.cfg.Flows != nil {
		s.writePasses(flows.Lasting(s.passing.passes), true, s.cfg.Now())
	}
}

// conditions say that connections are not kept, and why.
func (p *passing) conditions() []health.Condition {
	if p.err == nil {
		return nil
	}
	return here(health.ConnectionsNotKept, fmt.Sprintf("connections end when an address moves to this node: %v", p.err))
}

// flows is the turn in the words of package flows.
func (w *world) flows() flows.Turn {
	t := flows.Turn{
		Now: w.Now, Self: w.Self, Settled: len(w.Lacks) == 0, Networks: w.Meta.Segments, Answers: w.answers,
		Nodes: map[string]flows.Node{}, Owner: w.owner,
	}
	for _, m := range w.Members {
		if m.Name != w.Self {
			t.Nodes[m.Name] = flows.Node{Addrs: w.addrs(m), MACs: m.Meta.MACs, Owns: m.Owns(), Dead: m.State == mesh.Dead}
		}
	}
	for _, m := range w.moves {
		to := w.elections[m.at].Result().Owner
		if kept := to == w.Self && w.believed.Held; m.known && !kept { // others kept it for this node: nothing moved
			t.Moves = append(t.Moves, flows.Move{VIP: w.VIPs[m.at].IP, From: m.was, To: to})
		}
	}
	return t
}

// owner is the node that is to announce an address.
func (w *world) owner(vip netip.Addr) (node string, bound bool) {
	i, bound := w.Find(vip)
	if !bound {
		return "", false
	}
	return w.elections[i].Result().Owner, true
}

// addrs are all addresses of a member that are known.
func (w *world) addrs(m mesh.Member) (all []netip.Addr) {
	n := w.Cluster.Node(m.Name)
	all = slices.Concat(n.Addresses, n.Others)
	for _, a := range slices.Concat(m.Meta.Addrs, []netip.AddrPort{m.Addr}) {
		all = append(all, a.Addr())
	}
	return all
}
