package elect

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/watcher"
)

// ExcludedByLabel is why a node that Kubernetes labels so may announce nothing. In small clusters
// whose nodes are all of the control plane all are such, see report.World.
const ExcludedByLabel = "excluded by label"

// Candidates joins what the mesh says of the members with what Kubernetes says
// of their nodes. A node that may not announce may still allocate.
func Candidates(members []mesh.Member, nodes []watcher.Node, ignoreExclude bool) (candidates, writers *owner.Nodes) {
	known := make(map[string]watcher.Node, len(nodes))
	for _, n := range nodes {
		known[n.Name] = n
	}
	touching := slices.ContainsFunc(members, func(m mesh.Member) bool {
		return m.State != mesh.Absent && unfit(m) == "" && m.Meta.APIAge == 0 && !m.Meta.NoProxy
	})
	var v, wr []owner.Node
	for _, m := range members {
		n := known[m.Name]
		c := owner.Node{Name: m.Name, Unfit: unfit(m), Segments: m.Meta.Segments, Tier: tier(m, n, touching)}
		wr = append(wr, c)
		if m.State == mesh.Absent {
			wr[len(wr)-1].Unfit = string(mesh.Absent)
		}
		c.Unfit = cmp.Or(c.Unfit, Barred(n, ignoreExclude))
		v = append(v, c)
	}
	return owner.New(v), owner.New(wr)
}

// Barred says why Kubernetes does not want a node to announce, or nothing.
func Barred(n watcher.Node, ignoreExclude bool) string {
	switch {
	case n.Excluded && !ignoreExclude:
		return ExcludedByLabel
	case n.NetworkUnavailable:
		return "network unavailable"
	}
	return ""
}

func unfit(m mesh.Member) string {
	switch {
	case !m.Owns():
		return string(m.State)
	case !m.Meta.Ready:
		return "not ready"
	}
	return ""
}

// tier is the preference class of a member. Of one without kube-proxy it does not matter whether it
// has just returned or is in touch with the API server: its reply on the wire has no room for that
// (peers.Word), so a node that gossip does not reach would be ranked by old words.
func tier(m mesh.Member, n watcher.Node, othersInTouch bool) owner.Tier {
	t := owner.Normal
	switch {
	case m.Meta.Draining:
		t = owner.Draining
	case m.Meta.Returning && !m.Meta.NoProxy:
		t = owner.Returning
	case n.Going != "":
		t = owner.Going
	case othersInTouch && m.Meta.OutOfTouch() && !m.Meta.NoProxy:
		t = owner.OutOfTouch
	}
	if m.Meta.NoProxy {
		t += owner.NoProxy
	}
	return t
}

// ConfigsDiffer reports whether live members have different pools, as they do for
// a moment whenever the configuration changes.
func ConfigsDiffer(members []mesh.Member) bool {
	var first *mesh.Member
	for i := range members {
		switch m := &members[i]; {
		case m.State != mesh.Alive:
		case first == nil:
			first = m
		case m.Meta.Config != first.Meta.Config:
			return true
		}
	}
	return false
}

// Pickers are those who may take lease steps and have this node's configuration, config, and how
// many other configurations come before it: those that more of the writers have. For who knows
// other pools cannot do what this node is to do, and is not to be waited for long.
func Pickers(members []mesh.Member, writers *owner.Nodes, config uint64) (pickers *owner.Nodes, behind int) {
	if !ConfigsDiffer(members) {
		return writers, 0
	}
	configs, have := map[string]uint64{}, map[uint64]int{}
	for _, m := range members {
		configs[m.Name] = m.Meta.Config
		if m.State != mesh.Alive { // what it has in force is not known
			configs[m.Name] = config
		}
	}
	nodes := writers.Nodes()
	for i, n := range nodes {
		c := configs[n.Name]
		if n.Unfit == "" {
			have[c]++
		}
		if c != config {
			nodes[i].Unfit = cmp.Or(n.Unfit, "another configuration")
		}
	}
	for c, n := range have {
		if mine := have[config]; n > mine || n == mine && c < config {
			behind++
		}
	}
	return owner.New(nodes), behind
}

// Deputies finds who answers for each address of a node whose speaker is away: who would own it if
// no endpoints mattered and the node was not there. Elections are those of vips.
func Deputies(candidates *owner.Nodes, members []mesh.Member, vips []lease.VIP, elections []*Election) map[netip.Addr]Deputy {
	absent := map[string]bool{}
	nodes := candidates.Nodes()
	for i, m := range members { // in the same order
		if m.State == mesh.Absent {
			absent[m.Name], nodes[i].Unfit = true, string(mesh.Absent)
		}
	}
	ranker, deputies := owner.New(nodes).Ranker(), map[netip.Addr]Deputy{}
	for i, t := range elections {
		if absent[t.Result().Owner] {
			c := owner.VIP{IP: vips[i].IP, Serving: true, Scope: t.Candidate.Scope}
			r := ranker.Elect(c)
			deputies[c.IP] = Deputy{Owner: t.Result().Owner, Node: r.Owner, Next: r.Next}
		}
	}
	return deputies
}
