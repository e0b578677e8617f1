package speaker

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
)

// view is the outcome of one turn, immutable, from which Snapshot makes the
// public form only when somebody asks.
type view struct {
	fit       bool     // may own addresses
	reasons   []string // what keeps the node from doing its whole job
	problems  []string // what else somebody should look at
	members   []mesh.Member
	vips      []lease.VIP
	seats     []*seat // of vips, in the same order
	pools     []lease.Usage
	about     []lease.PoolInfo // the pools, in the same order
	conflicts []arpd.Conflict
	mine      int                 // addresses that this node owns
	differing int                 // members with another configuration
	ofNodes   map[string]int      // nodes' addresses in a pool, see overlap
	kernels   map[netip.Addr]bool // bound addresses that are also a node's own
	last      *world              // nil before the first turn; nobody changes it any more
}

// publish makes the outcome of the turn visible to Snapshot and the metrics.
func (s *Speaker) publish(w *world) {
	v := &view{
		fit:       len(w.reasons) == 0,
		reasons:   slices.Concat(w.reasons, w.cluster.Problems, w.wire.Problems),
		problems:  slices.Clone(s.cfg.Settings.Problems()),
		members:   w.members,
		vips:      w.vips,
		seats:     w.seats,
		pools:     s.table.Usage(w.pools),
		about:     w.pools.List(),
		conflicts: w.wire.Conflicts,
	}
	v.problems = append(v.problems, blocked(w.gossip, w.members, w.now)...)
	if v.fit {
		v.problems = append(v.problems, s.cfg.Mesh.Problems()...)
	} else {
		v.reasons = append(v.reasons, s.cfg.Mesh.Problems()...)
	}
	s.overlap.of(w)
	v.differing, v.ofNodes = len(w.others()), s.overlap.counts
	for _, f := range w.wire.Findings {
		v.problems = append(v.problems, f.String())
	}
	v.problems = slices.Concat(v.problems, s.forward.complain(w.proxy), s.muted, w.differing(), s.overlap.words, elsewhere(s.table.Elsewhere()))
	v.mine, v.kernels, v.last = len(s.mine), s.kernels, w
	s.view.Store(v)
}

// elsewhere says what leases of other installations hold of our pools.
func elsewhere(e lease.Elsewhere) []string {
	if e.Services == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d addresses of our pools are held by the leases of %d Services that another installation wrote, the oldest being %s (by %q), and are not handed out: if that installation is gone, remove the annotation %s there",
		e.Addresses, e.Services, e.First, e.By, lease.LeaseAnnotation)}
}

// ownerless counts the addresses that nobody may announce.
func (v *view) ownerless() int {
	n := 0
	for _, t := range v.seats {
		if t.verdict().Owner == "" {
			n++
		}
	}
	return n
}

// disputed counts the addresses of this node that others answer for, by kind. Both kinds are always there, so that
// their series are, too.
func (v *view) disputed() map[string]int {
	n := map[string]int{"stranger": 0, "member": 0}
	for _, c := range v.conflicts {
		n[c.Kind]++
	}
	return n
}

// onWire counts the members that only the wire reaches.
func (v *view) onWire() int {
	n := 0
	for _, m := range v.members {
		if m.State == onWire {
			n++
		}
	}
	return n
}
