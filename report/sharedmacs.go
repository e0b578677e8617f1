package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/watcher"
)

// most bounds the conditions of one kind, and the names in the words of one.
const most = 4

// Twins are the nodes with one machine identity. They are looked for only when the nodes have
// changed.
type Twins struct {
	nodes  []watcher.Node
	groups [][]string // names of two or more, sorted
}

// Of are a condition for each machine identity that two or more nodes with a living speaker have,
// sorted. A node without one may be what is left of a machine that has another name now.
func (t *Twins) Of(nodes []watcher.Node, alive func(node string) bool) (found []health.Condition) {
	if same := len(t.nodes) == len(nodes) && (len(nodes) == 0 || &t.nodes[0] == &nodes[0]); !same {
		t.nodes, t.groups = nodes, machines(nodes)
	}
	for _, group := range t.groups {
		names := slices.DeleteFunc(slices.Clone(group), func(name string) bool { return !alive(name) })
		if len(names) < 2 || len(found) == most {
			continue
		}
		words := fmt.Sprintf("nodes %s have the same machine identity", strings.Join(names[:min(len(names), most)], " and "))
		found = append(found, health.New(health.MachineTwice, health.Cluster(), words))
	}
	return found
}

// machines are the names of nodes that have an identity in common.
func machines(nodes []watcher.Node) (groups [][]string) {
	of := make(map[string][]string, len(nodes))
	for _, n := range nodes {
		if n.MachineID != "" {
			of[n.MachineID] = append(of[n.MachineID], n.Name)
		}
	}
	for _, names := range of {
		if len(names) > 1 {
			groups = append(groups, slices.Sorted(slices.Values(names)))
		}
	}
	slices.SortFunc(groups, slices.Compare)
	return groups
}
