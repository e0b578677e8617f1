package elect

import (
	"fmt"
	"maps"
	"slices"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
)

// Scopes are where the addresses of pools may be announced, by name of the pool;
// a pool that is not in it has no limits.
type Scopes map[string]Scope

// Scope is what the rule of a pool leaves.
type Scope struct {
	Nodes *owner.Scope // nil: all nodes
	Rule  lease.Scope
}

// Confine finds for each pool with a rule the nodes that this leaves of the members, which are sorted by name. Labels are those
// of a node.
func Confine(rules map[string]lease.Scope, members []mesh.Member, labels func(node string) map[string]string) Scopes {
	c := Scopes{}
	for pool, rule := range rules {
		nodes := &owner.Scope{Rule: ruleName(pool, rule), Weights: map[string]int{}, Any: len(rule.NodeSelectors) == 0 && len(rule.Interfaces) == 0}
		for _, m := range members {
			labels := labels(m.Name)
			if rule.Node(labels) && !slices.Contains(m.Meta.Mute, mesh.ShortName(pool)) {
				nodes.Nodes = append(nodes.Nodes, m.Name)
			}
			if weight := rule.Weight(labels); weight != owner.DefaultWeight {
				nodes.Weights[m.Name] = weight
			}
		}
		c[pool] = Scope{nodes, rule}
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

// Of is the rule for the election of an address of a pool.
func (c Scopes) Of(pool string) *owner.Scope { return c[pool].Nodes }

// equal tells whether elections come out the same.
func (c Scopes) equal(o Scopes) bool {
	return maps.EqualFunc(c, o, func(a, b Scope) bool {
		return (a.Nodes == nil) == (b.Nodes == nil) && (a.Nodes == nil ||
			a.Nodes.Any == b.Nodes.Any && slices.Equal(a.Nodes.Nodes, b.Nodes.Nodes) && maps.Equal(a.Nodes.Weights, b.Nodes.Weights))
	})
}
