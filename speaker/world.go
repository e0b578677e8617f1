package speaker

import (
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/elect"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/liveness"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/probe"
	"github.com/starling-lb/starling/proxy"
	"github.com/starling-lb/starling/report"
	"github.com/starling-lb/starling/watcher"
)

// world is everything one turn decides upon, taken once at its beginning.
type world struct {
	report.World
	draining bool // this node leaves, and hands its addresses over
	leaving  bool // this speaker ends, and is to be back within the grace
	proxy    proxy.State
	believed peers.Snapshot
	answers  map[probe.Question]probe.Answer
	edited   []lease.Key // Services that have changed, or whose endpoints have
	listed   bool        // all Services were listed anew: what is bound may have been for long

	writers   *owner.Nodes           // who may take lease steps: also nodes that may not announce
	elections []*elect.Election      // of VIPs, in the same order
	gone      map[netip.Addr]string  // were in VIPs in the last turn, with who was to announce them
	moves     []move                 // of owners
	rules     map[string]lease.Scope // in force, of the pools that have some
	ignored   map[string]bool        // the pools whose addresses are announced whatever endpoints there are
	scopes    elect.Scopes           // where the addresses of pools may be announced
	elected   []int                  // addresses whose elected owner is another one than in the last turn
	ask       []probe.Question       // about addresses: to those that are to have them

	steps []lease.Step
	wake  time.Time
}

// look takes the snapshot. What this node says of itself is part of it, so that
// its own election does not lag behind what it tells the others.
func (s *Speaker) look(now time.Time) *world {
	w := &world{World: report.World{Self: s.cfg.Node, Version: s.cfg.Version, Now: now}, ask: slices.Clone(s.tentative.Ask)}
	changes := s.cfg.Cluster.Drain() // before the state, which may then only be newer
	w.edited, w.listed = edited(changes), changes.Reset
	s.table.Apply(changes.Reset, changes.Put, changes.Deleted, now)
	w.Cluster, w.Wire, w.Pools = s.cfg.Cluster.State(), s.cfg.Wire.State(), s.cfg.Settings.Pools()
	s.wake(w.Wire.Stop)
	w.VIPs = s.table.VIPs(s.terms(w))
	s.live.Gossip(nodesOf(w.Cluster.Nodes))
	own := segments(w.Wire)
	w.believe(s.live, own)
	if s.cfg.Proxy != nil {
		w.proxy = s.cfg.Proxy.State()
	}
	w.Lacks = s.unready(w)
	s.parts(w)
	ready := len(w.Lacks) == 0
	s.begun = s.begun || ready
	if s.cfg.Proxy != nil {
		s.forward.Follow(w.proxy, now, ready && s.evaluated && len(s.reasons) == 0, w.othersForward())
	}
	s.live.Step(s.self(w, own))
	w.believe(s.live, own)
	rules := s.rules(w.Pools)
	s.agree(w, rules)
	up, onePath := s.sessions(w)
	meta := mesh.Meta{
		Ready:     ready,
		Draining:  w.draining,
		Returning: w.believed.Returning,
		Until:     until(w.believed),
		Recent:    w.believed.Recent,
		Version:   s.cfg.Version,
		Config:    rules,
		Segments:  own,
		APIAge:    mesh.AgeOf(w.believed.Contact),
		MACs:      macs(w.Wire),
		Mute:      w.muted(),
		Proxy:     s.forward.Has(w.proxy),
		NoProxy:   s.behind(w),
		Drops:     len(w.believed.Drops) > 0 && !s.forward.Behind,
		Away:      w.leaving || !s.begun && !w.draining,
		Deputy:    true,
		Grace:     s.cfg.Grace,
		Absent:    hashes(w.believed.Absent),
		Sessions:  up,
		OnePath:   onePath,
	}
	s.cfg.Mesh.SetMeta(meta)
	w.Peers = w.Located(s.cfg.Mesh.Conditions())
	w.Meta, w.Members = meta, withSelf(w.Members, s.cfg.Node, meta)
	s.remember(w)
	w.Candidates, w.writers = elect.Candidates(w.Members, w.Cluster.Nodes, s.cfg.IgnoreExclude)
	w.scopes = elect.ScopesOf(w.rules, w.Members, w.labels)
	w.Scope, w.Election = w.scopes.Of, func(i int) report.Election { return shown(w.elections[i]) }
	w.ProxyLost, w.Mistakes = s.forward.Lost, s.cfg.Settings.Conditions()
	s.overlap.Of(w.Pools, w.Cluster.Nodes)
	w.Overlap = s.overlap
	return w
}

// until is when this node is held no longer, for others to show.
func until(p peers.Snapshot) time.Time {
	if !p.Returning {
		return time.Time{}
	}
	return time.Unix(min(p.Until.Unix(), mesh.Forever.Unix()), 0)
}

// behind reports whether other nodes go first, because this one has no kube-proxy or does not
// forward.
func (s *Speaker) behind(w *world) bool { return s.forward.Behind || len(w.believed.Drops) > 0 }

// othersForward reports whether another live member has a kube-proxy.
func (w *world) othersForward() bool {
	return slices.ContainsFunc(w.Members, func(m mesh.Member) bool { return m.Name != w.Self && m.Up() && m.Meta.Proxy })
}

// rules is a hash of what all members must have in common to decide alike.
func (s *Speaker) rules(p *lease.Pools) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%x %s", p.Hash(), s.cfg.Classes)
	return h.Sum64()
}

// unready lists why this node may not own anything.
func (s *Speaker) unready(w *world) []health.Condition {
	var r []health.Condition
	if w.Cluster.Stale && s.table.Len() == 0 { // neither a list nor a snapshot file
		r = append(r, here(health.WaitingForServices, "waiting for the Services from the Kubernetes API server")...)
	}
	if !named(w.Cluster.Nodes, s.cfg.Node) {
		r = append(r, here(health.NoNode, "Kubernetes has no Node "+s.cfg.Node)...)
	}
	if !s.cfg.Mesh.Settled() {
		r = append(r, here(health.WaitingForMesh, "waiting for the mesh")...)
	}
	if !slices.ContainsFunc(w.Wire.Interfaces, func(i netif.Interface) bool { return i.Used }) {
		r = append(r, here(health.NoInterface, "no interface to announce on")...)
	} else if !w.believed.Discovered {
		r = append(r, here(health.Starting, calling)...)
	}
	if len(r) == 0 && s.cfg.Proxy != nil {
		r = s.forward.Lacks(w.proxy)
	}
	return r
}

// withSelf replaces this node's entry by what it is in this turn, or adds it.
func withSelf(members []mesh.Member, name string, meta mesh.Meta) []mesh.Member {
	i, ok := slices.BinarySearchFunc(members, name, func(m mesh.Member, n string) int { return strings.Compare(m.Name, n) })
	if !ok {
		members = slices.Insert(members, i, mesh.Member{Name: name})
	}
	meta.Keys = members[i].Meta.Keys // the mesh knows them, not we
	members[i].State, members[i].Meta = mesh.Alive, meta
	return members
}

// segments are the networks that this node speaks on, sorted.
func segments(w arpd.State) []netip.Prefix {
	var r []netip.Prefix
	for _, i := range w.Interfaces {
		if i.Used {
			r = append(r, i.Prefixes...)
		}
	}
	slices.SortFunc(r, netip.Prefix.Compare)
	return slices.Compact(r)
}

// reserved names what must never be handed out.
func (w *world) reserved() func(netip.Addr) string {
	var networks []netip.Prefix
	nodes := map[netip.Addr]string{}
	for _, m := range w.Members {
		networks = append(networks, m.Meta.Segments...)
		if m.Addr.IsValid() {
			nodes[m.Addr.Addr()] = m.Name
		}
	}
	for _, n := range w.Cluster.Nodes {
		for _, a := range slices.Concat(n.Others, n.Addresses) {
			nodes[a] = n.Name
		}
	}
	return lease.Reserved(networks, nodes)
}

// here is a condition of this node.
func here(code health.Code, words string) []health.Condition {
	return []health.Condition{health.New(code, health.Node(""), words)}
}

// shown is an election as others may see it.
func shown(t *elect.Election) report.Election {
	return report.Election{Candidate: t.Candidate, Place: t.Place, Result: t.Result(), Since: t.Since, From: t.From, Cause: t.Cause}
}

// believe takes what is believed into the world.
func (w *world) believe(l *liveness.Liveness, own []netip.Prefix) {
	w.believed, w.Gossip, w.answers = l.Believed()
	w.Gossip = admitted(w.Gossip, w.Cluster.Nodes, w.Self)
	w.Names, w.Members = w.believed.Names, mesh.Believed(w.Gossip, w.believed, own)
	w.SilentKernels = nil
	for i := range w.believed.Peers {
		if q := &w.believed.Peers[i]; q.KernelSilent {
			w.SilentKernels = append(w.SilentKernels, q.Name)
		}
	}
}

// admitted are the members that Kubernetes has a Node for; as long as it is not known what Nodes
// there are, all. The others, whose Nodes went, take part in nothing.
func admitted(members []mesh.Member, nodes []watcher.Node, self string) (in []mesh.Member) {
	for i := range members {
		if m := &members[i]; named(nodes, m.Name) || m.Name == self {
			in = append(in, *m)
		}
	}
	return in
}

// named reports whether Kubernetes has a Node of a name, or it is not known what Nodes there are.
// They are sorted.
func named(nodes []watcher.Node, name string) bool {
	_, known := slices.BinarySearchFunc(nodes, name, func(n watcher.Node, name string) int { return strings.Compare(n.Name, name) })
	return known || len(nodes) == 0
}

// nodesOf are the nodes of Kubernetes, in the words of package peers.
func nodesOf(nodes []watcher.Node) peers.Nodes {
	r := make(peers.Nodes, len(nodes))
	for i, n := range nodes {
		r[i] = peers.Node{Name: n.Name, Addrs: n.Addresses}
	}
	return r
}

// self is what this node is to its peers.
func (s *Speaker) self(w *world, own []netip.Prefix) peers.Self {
	node := w.Cluster.Node(s.cfg.Node)
	return peers.Self{
		Networks: own, MACs: macs(w.Wire), Fit: len(w.Lacks) == 0, Behind: s.behind(w), Contact: w.Cluster.LastContact,
		Asked: node.Return, Cordoned: node.Cordoned, Synced: w.Cluster.Synced,
		Only: len(w.Cluster.Nodes) == 1 && w.Cluster.Nodes[0].Name == s.cfg.Node,
	}
}

// calling is why a node that has not yet asked everybody on the wire, and waited
// for the answers, is not ready: it may be alone in the mesh and not on the wire.
const calling = "asking the wire who is there"

// macs are those of this node's used interfaces, sorted.
func macs(w arpd.State) []string {
	var r []string
	for _, i := range w.Interfaces {
		if i.Used {
			r = append(r, i.MAC)
		}
	}
	slices.Sort(r)
	return slices.Compact(r)
}

// wake looks whether the process was stopped for so long that it must begin
// anew: it answers for nothing then, so there is nothing to hand over either.
func (s *Speaker) wake(stop arpd.Stop) {
	if stop.End.Equal(s.stopped) {
		return
	}
	s.stopped = stop.End
	if stop.Length >= claims.Times().Muted {
		s.mine, s.handing, s.deputy = nil, nil, nil
		s.refusals.Again(s.cfg.Now())
	}
}
