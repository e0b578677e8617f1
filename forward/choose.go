package forward

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/owner"
)

const (
	// maxTargets is how many nodes one node tests, whatever their number.
	maxTargets = 16
	// MaxPlaces is how many places of one node take turns: nobody need tell more.
	MaxPlaces = 4
)

// retarget brings the targets up to the world.
func (m *Machine) retarget(now time.Time) {
	targets := map[string]*target{}
	for i := range m.world.Nodes {
		n := &m.world.Nodes[i]
		if !m.tests(n) || len(targets) == maxTargets {
			continue
		}
		t := m.targets[n.Name]
		if t == nil {
			t = &target{next: now}
		}
		if n.Absent && !t.Absent {
			t.next, t.say, t.unproved = now, now, now
			t.page.next, t.page.missed = now, 0
		}
		t.Node, t.places, t.left = *n, m.choose(n), time.Time{}
		m.back(t)
		if len(t.places) == 0 {
			m.close(t)
			if t.drops != nil && t.drops.Other != "" {
				t.drops = nil
			}
		}
		targets[n.Name] = t
	}
	for name, t := range m.targets {
		switch {
		case targets[name] != nil:
			continue
		case t.drops == nil || !t.Absent:
			m.close(t)
			continue
		case t.left.IsZero():
			m.close(t)
			t.left = now
		}
		targets[name] = t
	}
	m.targets = targets
}

// forget ends everything about a target.
func (m *Machine) forget(t *target) {
	m.close(t)
	delete(m.targets, t.Name)
}

// tests reports whether this node is one of those that test n.
func (m *Machine) tests(n *Node) bool {
	if !n.Ready || !m.world.Ready || len(n.MACs) == 0 || !share(n.Networks, m.world.Networks) {
		return false
	}
	mine, higher := owner.ScoreKey(m.cfg.Self, n.Name), 0
	for i := range m.world.Nodes {
		o := &m.world.Nodes[i]
		if o.Name == n.Name || !o.Ready || o.Absent || !share(o.Networks, n.Networks) {
			continue
		}
		if s := owner.ScoreKey(o.Name, n.Name); s > mine || s == mine && o.Name < m.cfg.Self {
			higher++
		}
	}
	return higher < m.cfg.Timing.Testers
}

// choose are the places that n is asked for, one of each address: its own, or if it has none those
// of others, which it may just route.
func (m *Machine) choose(n *Node) []Place {
	all := m.usable(n, func(p *Place) bool { return p.Owner == n.Name })
	if len(all) == 0 {
		all = m.usable(n, func(*Place) bool { return true })
	}
	slices.SortStableFunc(all, func(a, b Place) int {
		return cmp.Or(
			less(a.Local == nil, b.Local == nil),
			cmp.Compare(owner.ScoreKey(m.cfg.Self, a.At.String()), owner.ScoreKey(m.cfg.Self, b.At.String())),
			a.At.Compare(b.At))
	})
	return all[:min(len(all), MaxPlaces)]
}

// usable are the places of those wanted that n can be asked for, and that this node can ask for.
func (m *Machine) usable(n *Node, wanted func(*Place) bool) (out []Place) {
	for _, p := range m.world.Places {
		if wanted(&p) && m.suits(n, &p) && m.on(m.world.Networks, p.At.Addr()) {
			out = append(out, p)
		}
	}
	return out
}

// less orders what is so before what is not.
func less(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// others are the nodes that a target can be compared with, for one of the places at least.
func (m *Machine) others(t *target, places []Place) []Node {
	var out []Node
	for _, n := range m.world.Nodes {
		known := m.targets[n.Name]
		if n.Name == t.Name || !n.Ready || n.Absent || n.Drops || known != nil && known.drops != nil ||
			len(n.MACs) == 0 || !share(n.Networks, m.world.Networks) {
			continue
		}
		if slices.ContainsFunc(places, func(p Place) bool { return m.suits(&n, &p) }) {
			out = append(out, n)
		}
	}
	return out
}

// suits reports whether a node can forward to a place at all.
func (m *Machine) suits(n *Node, p *Place) bool {
	if _, local := slices.BinarySearch(p.Local, n.Name); p.Local != nil && !local {
		return false
	}
	return m.on(n.Networks, p.At.Addr())
}

// on reports whether an address is on one of the networks, or on nobody's, and then of a family
// that they are of.
func (m *Machine) on(networks []netip.Prefix, ip netip.Addr) bool {
	if within(networks, ip) {
		return true
	}
	known := within(m.world.Networks, ip) || slices.ContainsFunc(m.world.Nodes, func(n Node) bool { return within(n.Networks, ip) })
	return !known && slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Addr().Is4() == ip.Is4() })
}

func within(networks []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(ip) })
}

func share(a, b []netip.Prefix) bool {
	return slices.ContainsFunc(a, func(p netip.Prefix) bool { return slices.Contains(b, p) })
}
