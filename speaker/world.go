package speaker

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/proxy"
	"github.com/starling-lb/starling/watcher"
)

// world is everything one turn decides upon, taken once at its beginning.
type world struct {
	self     string // name of this node
	now      time.Time
	draining bool
	cluster  watcher.State
	wire     arpd.State
	proxy    proxy.State
	pools    *lease.Pools
	gossip   []mesh.Member     // as the mesh has them
	members  []mesh.Member     // as gossip and the wire together have them, this node as of this turn
	meta     mesh.Meta         // what this node says of itself
	names    map[string]string // node by MAC, see names
	vips     []lease.VIP
	edited   []lease.Key // Services that have changed, or whose endpoints have

	reasons []string // why this node is not ready
	voters  *owner.Electorate
	writers *owner.Electorate      // who may take lease steps: also nodes that may not announce
	seats   []*seat                // of vips, in the same order
	gone    []netip.Addr           // were in vips in the last turn
	moves   []move                 // of owners
	rules   map[string]lease.Scope // in force, of the pools that have some
	scopes  scopes                 // where the addresses of pools may be announced
	yields  map[netip.Addr]yielding
	ask     []arpd.Question // about addresses: to those that are to have them

	steps []lease.Step
	wake  time.Time
	due   time.Time // when the wire watch has something to do; zero: not by time
}

// look takes the snapshot. What this node says of itself is part of it, so that
// its own election does not lag behind what it tells the others.
func (s *Speaker) look(now time.Time) *world {
	w := &world{self: s.cfg.Node, now: now, draining: !s.drain.IsZero(), yields: map[netip.Addr]yielding{}}
	changes := s.cfg.Cluster.Drain() // before the state, which may then only be newer
	w.edited = edited(changes)
	s.table.Apply(changes.Reset, services(changes.Put), keys(changes.Deleted), now)
	w.cluster, w.wire, w.pools = s.cfg.Cluster.State(), s.cfg.Wire.State(), s.cfg.Settings.Pools()
	s.wake(w.wire.Stop)
	w.vips = s.table.VIPs(s.terms(w))
	w.gossip = s.cfg.Mesh.Members()
	if s.cfg.Proxy != nil {
		w.proxy = s.cfg.Proxy.State()
	}
	w.reasons = s.unready(w)
	own := segments(w.wire)
	w.names = names(w.gossip, w.cluster.Nodes, w.wire.Speakers)
	for _, mac := range macs(w.wire) {
		w.names[mac] = s.cfg.Node
	}
	w.members = judge(w.gossip, w.names, w.wire, own, s.dead, now)
	s.keepWatch(w)
	rules := s.rules(w.pools)
	s.agree(w, rules)
	s.alone = alone(w.members, s.cfg.Node, s.alone)
	meta := mesh.Meta{
		Ready:     len(w.reasons) == 0,
		Draining:  w.draining,
		Returning: s.hold.returning(now, len(w.reasons) == 0 && !s.alone, steady(w.members, s.cfg.Node)),
		Version:   s.cfg.Version,
		Config:    rules,
		Segments:  own,
		APIAge:    s.touch.age(now, w.cluster.LastContact),
		MACs:      macs(w.wire),
		Mute:      w.muted(),
		Proxy:     w.proxy.Health == proxy.Healthy,
	}
	s.cfg.Mesh.SetMeta(meta)
	w.meta, w.members = meta, withSelf(w.members, s.cfg.Node, meta)
	w.voters, w.writers = electorates(w.members, w.cluster.Nodes, s.cfg.IgnoreExclude)
	w.confine()
	return w
}

// rules is a hash of what all members must have in common to decide alike.
func (s *Speaker) rules(p *lease.Pools) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%x %s", p.Hash(), s.cfg.Class)
	return h.Sum64()
}

// unready lists why this node may not own anything.
func (s *Speaker) unready(w *world) []string {
	var r []string
	if w.cluster.Stale && s.table.Len() == 0 { // neither a list nor a snapshot file
		r = append(r, "waiting for the Services from the Kubernetes API server")
	}
	if !s.cfg.Mesh.Settled() {
		r = append(r, "waiting for the mesh")
	}
	if !slices.ContainsFunc(w.wire.Interfaces, func(i arpd.Interface) bool { return i.Used }) {
		r = append(r, "no interface to announce on")
	} else if s.called = s.called || w.wire.Answers[arpd.Question{MAC: arpd.Everybody}].Silent; !s.called {
		r = append(r, calling)
	}
	if len(r) == 0 && s.cfg.Proxy != nil { // Then it is known whether others have one.
		if why := s.forward.lacks(w, s.cfg.Node); why != "" {
			r = append(r, why)
		}
	}
	return r
}

// steady tells whether another node may own addresses and does not return itself.
func steady(members []mesh.Member, self string) bool {
	return slices.ContainsFunc(members, func(m mesh.Member) bool {
		return m.Name != self && unfit(m) == "" && !m.Meta.Draining && !m.Meta.Returning
	})
}

// electorates joins what the mesh says of the members with what Kubernetes says
// of their nodes. A node that may not announce may still allocate.
func electorates(members []mesh.Member, nodes []watcher.Node, ignoreExclude bool) (voters, writers *owner.Electorate) {
	known := make(map[string]watcher.Node, len(nodes))
	for _, n := range nodes {
		known[n.Name] = n
	}
	touching := slices.ContainsFunc(members, func(m mesh.Member) bool { return unfit(m) == "" && m.Meta.APIAge == inTouch })
	var v, wr []owner.Node
	for _, m := range members {
		n := known[m.Name]
		c := owner.Node{Name: m.Name, Unfit: unfit(m), Segments: m.Meta.Segments, Tier: tier(m, n, touching)}
		wr = append(wr, c)
		c.Unfit = cmp.Or(c.Unfit, barred(n, ignoreExclude))
		v = append(v, c)
	}
	return owner.New(v), owner.New(wr)
}

// Why a node that Kubernetes labels so may announce nothing, and why nobody announces where all nodes are such, as in small
// clusters whose nodes are all of the control plane.
const (
	excludedByLabel = "excluded by label"
	allExcluded     = "all nodes that are ready are excluded by the label node.kubernetes.io/exclude-from-external-load-balancers"
)

// why is the reason of a verdict, in words that help where the members' health does not explain it.
func (w *world) why(v owner.Verdict) string {
	if v.Reason == owner.NoneReady && w.voters.Unfit(excludedByLabel) {
		return allExcluded
	}
	return v.Reason
}

// barred says why Kubernetes does not want a node to announce, or nothing.
func barred(n watcher.Node, ignoreExclude bool) string {
	switch {
	case n.Excluded && !ignoreExclude:
		return excludedByLabel
	case n.NetworkUnavailable:
		return "network unavailable"
	}
	return ""
}

func unfit(m mesh.Member) string {
	switch {
	case !reachable(m):
		return string(m.State)
	case !m.Meta.Ready:
		return "not ready"
	}
	return ""
}

func tier(m mesh.Member, n watcher.Node, othersInTouch bool) owner.Tier {
	switch {
	case m.Meta.Draining:
		return owner.Draining
	case m.Meta.Returning:
		return owner.Returning
	case n.Cordoned:
		return owner.Cordoned
	case othersInTouch && m.Meta.APIAge >= outOfTouch:
		return owner.OutOfTouch
	}
	return owner.Normal
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

// reserved names what must never be handed out: the addresses of nodes, and of
// their segments the network and broadcast addresses of IPv4 and, for IPv6, the
// one that every router answers for (RFC 4291, section 2.6.1).
func (w *world) reserved() func(netip.Addr) string {
	taken := map[netip.Addr]string{}
	for _, m := range w.members {
		for _, p := range m.Meta.Segments {
			switch {
			case p.Addr().Is4() && p.Bits() < 31:
				taken[p.Masked().Addr()] = "the network address of " + p.String()
				taken[broadcast(p)] = "the broadcast address of " + p.String()
			case p.Addr().Is6() && p.Bits() < 127:
				taken[p.Masked().Addr()] = "the routers' anycast address of " + p.String()
			}
		}
	}
	for _, m := range w.members {
		if m.Addr.IsValid() {
			taken[m.Addr.Addr()] = "an address of node " + m.Name
		}
	}
	for _, n := range w.cluster.Nodes {
		for _, a := range slices.Concat(n.Others, n.Addresses) {
			taken[a] = "an address of node " + n.Name
		}
	}
	return func(ip netip.Addr) string { return taken[ip] }
}

func broadcast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}

// find returns where the address is among the bound ones.
func (w *world) find(ip netip.Addr) (int, bool) {
	return slices.BinarySearchFunc(w.vips, ip, func(v lease.VIP, ip netip.Addr) int { return v.IP.Compare(ip) })
}

// services are the very Services of the watcher, for both tables keep all of them.
func services(in []*watcher.Service) []*lease.Service {
	out := make([]*lease.Service, len(in))
	for i, s := range in {
		out[i] = (*lease.Service)(s)
	}
	return out
}

func keys(in []watcher.Key) []lease.Key {
	out := make([]lease.Key, len(in))
	for i, k := range in {
		out[i] = lease.Key(k)
	}
	return out
}
