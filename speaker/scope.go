package speaker

import (
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/watcher"
)

// scopes are where the addresses of pools may be announced, by name of the pool;
// a pool that is not in it has no limits.
type scopes map[string]scope

type scope struct {
	nodes *owner.Scope // nil: all nodes
	rule  lease.Scope
	wire  []string // names of this node's interfaces, if the pool has limits to them
}

// agree decides whose rules are in force: those of the present pools, but while
// live members have others than these, as they do while a change of the configuration
// spreads, the ones that all last agreed on. So all of them elect by the same
// rules, and one that reads the file late does not announce beside another.
func (s *Speaker) agree(w *world, own uint64) {
	differ := slices.ContainsFunc(w.members, func(m mesh.Member) bool {
		return m.State == mesh.Alive && m.Name != w.self && m.Meta.Config != own
	})
	if s.agreed == nil || !differ {
		s.agreed = w.pools
	}
	w.rules = map[string]lease.Scope{}
	for _, p := range w.pools.List() {
		rule, known := s.agreed.Scope(p.Name)
		if !known {
			rule, _ = w.pools.Scope(p.Name)
		}
		if len(rule.NodeSelectors) > 0 || len(rule.Interfaces) > 0 || rule.Weighed() {
			w.rules[p.Name] = rule
		}
	}
}

// confine finds for each pool with rules what these leave.
func (w *world) confine() {
	w.scopes = scopes{}
	for pool, rule := range w.rules {
		w.scopes[pool] = w.scope(pool, rule)
	}
}

// muted names, as members tell each other, the pools whose addresses this node uses no interface for: others
// do not know its interfaces.
func (w *world) muted() []uint32 {
	var mute []uint32
	for pool, rule := range w.rules {
		if len(rule.Interfaces) > 0 && !slices.ContainsFunc(w.wire.Interfaces, func(i arpd.Interface) bool { return i.Used && rule.Interface(i.Name) }) {
			mute = append(mute, muteName(pool))
		}
	}
	slices.Sort(mute)
	return mute
}

// muteName is a pool's name in the metadata, where there is little room.
func muteName(pool string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(pool))
	return h.Sum32()
}

// scope finds the nodes and interfaces that a pool's rule leaves.
func (w *world) scope(pool string, rule lease.Scope) scope {
	c := scope{rule: rule, nodes: &owner.Scope{Rule: ruleName(pool, rule), Weights: map[string]int{}}}
	c.nodes.Any = len(rule.NodeSelectors) == 0 && len(rule.Interfaces) == 0
	for _, m := range w.members { // sorted by name
		labels := w.labels(m.Name)
		if rule.Node(labels) && !slices.Contains(m.Meta.Mute, muteName(pool)) {
			c.nodes.Nodes = append(c.nodes.Nodes, m.Name)
		}
		if weight := rule.Weight(labels); weight != owner.DefaultWeight {
			c.nodes.Weights[m.Name] = weight
		}
	}
	if len(rule.Interfaces) > 0 {
		for _, i := range w.wire.Interfaces {
			if rule.Interface(i.Name) {
				c.wire = append(c.wire, i.Name)
			}
		}
	}
	return c
}

// ruleName says in words what keeps nodes from announcing a pool's addresses.
func ruleName(pool string, rule lease.Scope) string {
	what := "node selectors and interfaces"
	switch {
	case len(rule.Interfaces) == 0:
		what = "node selectors"
	case len(rule.NodeSelectors) == 0:
		what = "interfaces"
	}
	return fmt.Sprintf("the %s of pool %q", what, pool)
}

// labels are those of a node, as far as Kubernetes has told.
func (w *world) labels(node string) map[string]string {
	i, ok := slices.BinarySearchFunc(w.cluster.Nodes, node, func(n watcher.Node, name string) int { return strings.Compare(n.Name, name) })
	if !ok {
		return nil
	}
	return w.cluster.Nodes[i].Labels
}

// of is the rule for the election of an address of a pool.
func (c scopes) of(pool string) *owner.Scope { return c[pool].nodes }

// equal tells whether elections come out the same.
func (c scopes) equal(o scopes) bool {
	return maps.EqualFunc(c, o, func(a, b scope) bool {
		return (a.nodes == nil) == (b.nodes == nil) && (a.nodes == nil ||
			a.nodes.Any == b.nodes.Any && slices.Equal(a.nodes.Nodes, b.nodes.Nodes) && maps.Equal(a.nodes.Weights, b.nodes.Weights))
	})
}

// limits are the interfaces that bound addresses are kept to.
func (w *world) limits() []arpd.Limit {
	if len(w.scopes) == 0 {
		return nil
	}
	vips := map[string][]netip.Addr{}
	for _, v := range w.vips {
		if len(w.scopes[v.Pool].rule.Interfaces) > 0 {
			vips[v.Pool] = append(vips[v.Pool], v.IP)
		}
	}
	var limits []arpd.Limit
	for _, pool := range slices.Sorted(maps.Keys(vips)) {
		limits = append(limits, arpd.Limit{Interfaces: w.scopes[pool].wire, VIPs: vips[pool]})
	}
	return limits
}

// mute says which addresses this node owns and has no interface for: what the
// members tell of themselves has room for so many pools only, see muted, and of
// the others the election does not know.
func (w *world) mute(mine map[netip.Addr]bool) []string {
	if len(w.scopes) == 0 {
		return nil
	}
	used := map[string]bool{}
	for _, i := range w.wire.Interfaces {
		used[i.Name] = i.Used
	}
	lost := map[string][]string{}
	for _, v := range w.vips {
		c, limited := w.scopes[v.Pool]
		if mine[v.IP] && limited && len(c.rule.Interfaces) > 0 && !slices.ContainsFunc(c.wire, func(n string) bool { return used[n] }) {
			lost[v.Pool] = append(lost[v.Pool], v.IP.String())
		}
	}
	var problems []string
	for _, pool := range slices.Sorted(maps.Keys(lost)) {
		ips := lost[pool]
		more := ""
		if len(ips) > 3 {
			ips, more = ips[:3], fmt.Sprintf(" and %d more", len(ips)-3)
		}
		problems = append(problems, fmt.Sprintf("node %s uses no interface that matches %s: nobody hears of %s%s of pool %q; let its nodeSelectors choose nodes that have one",
			w.self, strings.Join(w.scopes[pool].rule.Interfaces, " "), strings.Join(ips, ", "), more, pool))
	}
	return problems
}

// tellMute logs the addresses that nobody hears of, once.
func (s *Speaker) tellMute(w *world) {
	now := w.mute(s.mine)
	for _, problem := range now {
		if !slices.Contains(s.muted, problem) {
			s.log.Warn().Str("reason", problem).Msg("addresses without an interface")
		}
	}
	s.muted = now
}

// others names the live members whose configuration is not this node's.
func (w *world) others() []string {
	var names []string
	for _, m := range w.members {
		if m.State == mesh.Alive && m.Meta.Config != w.meta.Config {
			names = append(names, m.Name)
		}
	}
	return names
}

// differing says that members have other pools or another class than this node, and what follows.
func (w *world) differing() []string {
	names := w.others()
	if len(names) == 0 {
		return nil
	}
	more := ""
	if len(names) > 5 {
		names, more = names[:5], fmt.Sprintf(" and %d more", len(names)-5)
	}
	return []string{fmt.Sprintf("other pools or another class are in force on %s%s than on %s: until all agree bound addresses stay as they are; compare --config, --pool and --lb-class, and look at these nodes' problems",
		strings.Join(names, ", "), more, w.self)}
}

// tellDiffering logs that members have another configuration, and that all agree again.
func (s *Speaker) tellDiffering(w *world) {
	now := w.others()
	switch {
	case slices.Equal(now, s.differ):
	case len(now) == 0:
		s.log.Info().Msg("all members have the same configuration again")
	default:
		s.log.Warn().Strs("nodes", now).Msg("members have another configuration")
	}
	s.differ = now
}
