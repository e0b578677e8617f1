package elect

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
)

// Scopes are where the addresses of pools may be announced on layer 2, by name of the pool; a pool
// that is not in it has no limits.
type Scopes map[string]*Scope

// Scope is what the rule of a pool leaves of the members. It belongs to one goroutine, but for all.
type Scope struct {
	rule  lease.Scope
	left  []left // by each entry of the rule
	pool  string
	all   *Place            // by all entries
	some  map[string]*Place // by some, named by their indices; made when they are asked for
	alike bool              // the entries are for all Services alike
}

// left is what one entry leaves.
type left struct {
	any     bool     // all nodes, whatever the members say of themselves
	nodes   []string // sorted
	weights map[string]int
}

// Place is where addresses may be announced whose Services the same entries of a pool are for.
type Place struct {
	Pool  string
	Rule  lease.Scope  // these entries
	Nodes *owner.Scope // what they leave
}

// ScopesOf finds for each pool with a rule the nodes that this leaves of the members, which are
// sorted by name. Labels are those of a node.
func ScopesOf(rules map[string]lease.Scope, members []mesh.Member, labels func(node string) map[string]string) Scopes {
	c := Scopes{}
	for pool, rule := range rules {
		s := &Scope{rule: rule, pool: pool, some: map[string]*Place{}, alike: !rule.BySelectors()}
		every := make([]int, len(rule.Entries))
		for i, e := range rule.Entries {
			s.left = append(s.left, confine(pool, e, members, labels))
			every[i] = i
		}
		s.all = s.join(every, len(rule.Paths) > 0)
		c[pool] = s
	}
	return c
}

// confine finds the nodes that an entry leaves.
func confine(pool string, e lease.Layer2Entry, members []mesh.Member, labels func(node string) map[string]string) left {
	l := left{any: len(e.NodeSelectors) == 0 && len(e.Interfaces) == 0, weights: map[string]int{}}
	for _, m := range members {
		labels := labels(m.Name)
		if !e.Node(labels) || slices.Contains(m.Meta.Mute, MuteName(pool, e)) {
			continue
		}
		l.nodes = append(l.nodes, m.Name)
		if weight, said := e.Weight(labels); said {
			l.weights[m.Name] = weight
		}
	}
	return l
}

// MuteName is what a node tells the others if it uses no interface that an entry wants: the pool,
// or the interfaces themselves, which several entries may have in common.
func MuteName(pool string, e lease.Layer2Entry) uint32 {
	if e.Name == "" {
		return mesh.ShortName(pool)
	}
	return mesh.ShortName("interfaces " + strings.Join(slices.Compact(slices.Sorted(slices.Values(e.Interfaces))), " "))
}

// join finds what some entries leave together. ByBGP says whether the addresses are announced by
// BGP as well.
func (s *Scope) join(entries []int, byBGP bool) *Place {
	p := &Place{Pool: s.pool, Nodes: &owner.Scope{Weights: map[string]int{}, Elsewhere: byBGP && len(entries) == 0}}
	given := map[string][]int{}
	for _, i := range entries {
		p.Rule.Entries = append(p.Rule.Entries, s.rule.Entries[i])
		l := s.left[i]
		p.Nodes.Any = p.Nodes.Any || l.any
		p.Nodes.Nodes = append(p.Nodes.Nodes, l.nodes...)
		for node, weight := range l.weights {
			given[node] = append(given[node], weight)
		}
	}
	slices.Sort(p.Nodes.Nodes)
	p.Nodes.Nodes = slices.Compact(p.Nodes.Nodes)
	for node, weights := range given {
		if weight := lease.Weight(weights...); weight != owner.DefaultWeight {
			p.Nodes.Weights[node] = weight
		}
	}
	p.Nodes.Rule, p.Nodes.Nobody = s.ruleName(p.Rule), s.nobody(p.Rule, byBGP)
	return p
}

// ruleName says in words what keeps nodes from announcing addresses.
func (s *Scope) ruleName(rule lease.Scope) string {
	var names []string
	for _, e := range rule.Entries {
		what := "node selectors and interfaces"
		switch {
		case e.Name != "":
			names = append(names, e.Name)
			continue
		case len(e.Interfaces) == 0:
			what = "node selectors"
		case len(e.NodeSelectors) == 0:
			what = "interfaces"
		}
		return fmt.Sprintf("the %s of pool %q", what, s.pool)
	}
	return fmt.Sprintf("%s of pool %q", strings.Join(names, " or "), s.pool)
}

// nobody says why nobody announces addresses on layer 2 that no entry is for; "" for others.
func (s *Scope) nobody(rule lease.Scope, byBGP bool) string {
	switch {
	case len(rule.Entries) > 0:
		return ""
	case byBGP:
		return fmt.Sprintf("pool %q announces it by BGP alone", s.pool)
	case len(s.rule.Entries) == 0:
		return fmt.Sprintf("no bgp entry of pool %q is for its Service", s.pool)
	}
	return fmt.Sprintf("no entry of announce of pool %q is for its Service", s.pool)
}

// Of is the rule for the election of an address of a pool that no Service has.
func (c Scopes) Of(pool string) *owner.Scope { return c[pool].whole().Scope() }

// Place is where a bound address may be announced, nil for anywhere. Labels are those of a Service,
// as lease.Service has them.
func (c Scopes) Place(v lease.VIP, labels func(lease.Key) string) *Place {
	s := c[v.Pool]
	if s == nil || s.alike {
		return s.whole()
	}
	services := make([]string, len(v.Services))
	for i, k := range v.Services {
		services[i] = labels(k)
	}
	entries, byBGP := s.rule.For(services)
	name := fmt.Sprint(entries, byBGP)
	p, known := s.some[name]
	if !known {
		p = s.join(entries, byBGP)
		s.some[name] = p
	}
	return p
}

// whole is what all entries leave; nil: anything.
func (s *Scope) whole() *Place {
	if s == nil {
		return nil
	}
	return s.all
}

// Scope is the rule for the election of an address of the place.
func (p *Place) Scope() *owner.Scope {
	if p == nil {
		return nil
	}
	return p.Nodes
}

// For returns the entries by which a node with these labels may announce; nil for none, and for no
// limits.
func (p *Place) For(labels lease.Labels) (entries []lease.Layer2Entry) {
	if p == nil {
		return nil
	}
	for _, e := range p.Rule.Entries {
		if e.Node(labels) {
			entries = append(entries, e)
		}
	}
	return entries
}

// weighed reports whether some nodes are preferred to others.
func (c Scopes) weighed(pool string) bool {
	s := c[pool]
	return s != nil && s.rule.Weighed()
}

// equal reports whether elections come out the same, and by the same entries.
func (c Scopes) equal(o Scopes) bool {
	return maps.EqualFunc(c, o, func(a, b *Scope) bool {
		return a.rule.Same(b.rule) && slices.EqualFunc(a.left, b.left, left.equal)
	})
}

func (l left) equal(o left) bool {
	return l.any == o.any && slices.Equal(l.nodes, o.nodes) && maps.Equal(l.weights, o.weights)
}
