package flows

import (
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/probe"
	"github.com/starling-lb/starling/wake"
)

const (
	// linger is for how long after a move the last of a list passes to the owner: caches of
	// neighbors are up to date by then.
	linger = 10 * time.Second
	// longest is for how long after its last move an address is passed.
	longest = 24 * time.Hour
	// maxEarlier bounds a list.
	maxEarlier = 4
	// maxPasses and maxMACs, of all passes together, bound what is passed at a time: it must fit
	// into one message to the kernel.
	maxPasses = 500
	maxMACs   = 8 * maxPasses
)

// Table says which nodes have had which address. Its zero value is ready to use.
type Table struct {
	lists   map[netip.Addr]list
	adopted []Pass // of an earlier process; the nodes are not known yet
	settled bool
}

// list are the nodes that have had an address, the last owner first.
type list struct {
	nodes []string
	lost  []string  // of these, those that know no connections any more
	moved time.Time // last
}

// Adopt takes what an earlier process of this node left in the kernel.
func (t *Table) Adopt(left []Pass) { t.adopted = left }

// Step brings the table up to a turn, and says what to pass.
func (t *Table) Step(now Turn) (r Result) {
	if t.lists == nil {
		t.lists = map[netip.Addr]list{}
	}
	for _, m := range t.moves(now) {
		t.move(m, now)
	}
	r.Passes = slices.Clone(t.adopted)
	for vip, l := range t.lists {
		if _, bound := now.Owner(vip); !bound || now.Now.Sub(l.moved) >= longest {
			delete(t.lists, vip)
			continue
		}
		l.forget(vip, now)
		t.lists[vip] = l
		r.add(vip, l, now)
	}
	slices.SortFunc(r.Passes, func(a, b Pass) int { return a.VIP.Compare(b.VIP) })
	r.Passes = bounded(slices.CompactFunc(r.Passes, func(a, b Pass) bool { return a.VIP == b.VIP }))
	return r
}

// bounded are the first passes that fit. A guard is never shortened: without all MACs a packet
// could go round.
func bounded(all []Pass) []Pass {
	macs := 0
	for i, p := range all {
		if macs += len(p.MACs); i == maxPasses || macs > maxMACs {
			return all[:i]
		}
	}
	return all
}

// forget notes which nodes beside the owner know their connections no more: one that died, or
// boots, has forgotten them, also when it is back.
func (l *list) forget(vip netip.Addr, now Turn) {
	owner, _ := now.Owner(vip)
	for _, name := range l.nodes {
		if name != now.Self && name != owner && now.Nodes[name].down(vip, now) && !slices.Contains(l.lost, name) {
			l.lost = append(slices.Clone(l.lost), name)
		}
	}
}

// down reports whether a node is dead, or its kernel was asked and is silent.
func (n Node) down(vip netip.Addr, now Turn) bool {
	if n.Owns || n.Dead {
		return n.Dead
	}
	asked := n.probes(vip, now)
	return len(asked) > 0 && !slices.ContainsFunc(asked, func(q probe.Question) bool { return !now.Answers[q].Silent })
}

// probes ask the kernel of a node whether it is there.
func (n Node) probes(vip netip.Addr, now Turn) (all []probe.Question) {
	to := n.reached(vip, now.Networks)
	for _, mac := range n.MACs {
		if to.IsValid() {
			all = append(all, probe.Question{IP: to, MAC: mac, Host: true})
		}
	}
	return all
}

// Lasting are the passes that go on when the process of this node ends.
func Lasting(all []Pass) []Pass {
	return slices.DeleteFunc(slices.Clone(all), func(p Pass) bool { return p.Brief })
}

// moves are those of a turn. Until this node is settled it only learns who has which address, and
// nothing moves but what it takes itself.
func (t *Table) moves(now Turn) []Move {
	switch {
	case t.settled:
		return now.Moves
	case !now.Settled:
		return nil
	}
	t.settle(now)
	t.settled = true
	return slices.DeleteFunc(slices.Clone(now.Moves), func(m Move) bool { return m.To != now.Self })
}

// settle finds the nodes of what was adopted.
func (t *Table) settle(now Turn) {
	for _, p := range t.adopted {
		owner, bound := now.Owner(p.VIP)
		if !bound || owner == "" {
			continue
		}
		l := list{nodes: []string{owner}, moved: now.Now}
		l.then(now.Self)
		for name, n := range now.Nodes {
			if slices.Contains(n.Addrs, p.To) {
				l.then(name)
			}
		}
		t.lists[p.VIP] = l
	}
	t.adopted = nil
}

// move notes a change of owner. A node that died takes all that its kernel knew with it.
func (t *Table) move(m Move, now Turn) {
	old := t.lists[m.VIP]
	l := list{moved: now.Now}
	l.then(m.To)
	if m.From == now.Self || now.Nodes[m.From].Owns {
		l.then(m.From)
	}
	for _, name := range old.nodes {
		if name != m.From {
			l.then(name)
		}
	}
	l.nodes = l.nodes[:min(len(l.nodes), maxEarlier)]
	l.lost = slices.DeleteFunc(slices.Clone(old.lost), func(name string) bool { return name == m.To || name == m.From })
	t.lists[m.VIP] = l
}

// then puts a node behind the others, unless it is among them.
func (l *list) then(name string) {
	if name != "" && !slices.Contains(l.nodes, name) {
		l.nodes = append(l.nodes, name)
	}
}

// add says what this node passes of an address, if anything.
func (r *Result) add(vip netip.Addr, l list, now Turn) {
	at := slices.Index(l.nodes, now.Self)
	if at < 0 {
		return
	}
	for _, name := range l.nodes[at+1:] {
		n := now.Nodes[name]
		to, probes := n.reached(vip, now.Networks), n.probes(vip, now)
		if !n.Owns { // its speaker has left
			r.Ask = append(r.Ask, probes...)
		}
		if to.IsValid() && (n.Owns || len(probes) > 0) && !slices.Contains(l.lost, name) {
			r.pass(Pass{VIP: vip, To: to, MACs: guard(at, l, name, now)}, l.moved.Add(longest))
			return
		}
	}
	end := l.moved.Add(linger)
	to := now.Nodes[l.nodes[0]].reached(vip, now.Networks)
	if at > 0 && to.IsValid() && now.Nodes[l.nodes[0]].Owns && now.Now.Before(end) {
		r.pass(Pass{VIP: vip, To: to, MACs: now.Nodes[l.nodes[0]].MACs, Brief: true}, end)
	}
}

func (r *Result) pass(p Pass, end time.Time) {
	r.Passes, r.Wake = append(r.Passes, p), wake.Earlier(r.Wake, end)
}

// guard are the MACs from which nothing is passed: that of the node that would get it, and for the
// owner those of the whole list.
func guard(at int, l list, to string, now Turn) (macs []string) {
	if at > 0 {
		return now.Nodes[to].MACs
	}
	for _, name := range l.nodes {
		macs = append(macs, now.Nodes[name].MACs...)
	}
	return macs
}

// reached is the address of a node that packets for a VIP are passed to: the one on the VIP's
// network, or on any other of this node; invalid: there is none.
func (n Node) reached(vip netip.Addr, networks []netip.Prefix) (to netip.Addr) {
	for _, network := range networks {
		for _, a := range n.Addrs {
			if a.Is4() == vip.Is4() && network.Contains(a) && (!to.IsValid() || network.Contains(vip)) {
				to = a
			}
		}
	}
	return to
}
