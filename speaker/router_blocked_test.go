package speaker

import (
	"testing"
	"time"

	"github.com/starling-lb/starling/routes"
	"github.com/starling-lb/starling/watcher"
)

// blocked runs a story with a router of the mode few, and gossip blocked between all nodes.
func blocked(t *testing.T, count int, story func(m *model, r *modelRouter, holder string)) {
	t.Helper()
	t.Parallel()
	routed(t, count, func(m *model, r *modelRouter) {
		all := m.others("")
		_, changes := r.watch(func() {
			between(all, all, m.block)
			m.pass(2 * routes.LacksFor)
		})
		if _, sessions := r.count(); len(changes) > 0 || sessions != 3 {
			t.Errorf("the next hops changed at %v when gossip was blocked, and there are %d sessions", changes, sessions)
		}
		story(m, r, r.holder())
	})
}

// own are the next hops by the session of a node that are the node itself.
func (r *modelRouter) own(name string) (hops int) {
	r.m.mu.Lock()
	ip := r.m.address(name)
	r.m.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.sessions[name].table {
		if p.NextHop == ip {
			hops++
		}
	}
	return hops
}

// TestRouterBlockedDeath: while gossip is blocked, a holder that dies is withdrawn within a second.
// Nobody hears that another has a session in its place, so in the end all have, until gossip is
// back.
func TestRouterBlockedDeath(t *testing.T) {
	blocked(t, 6, func(m *model, r *modelRouter, dead string) {
		died := time.Now()
		least, changes := r.watch(func() {
			m.dies(dead, 500*time.Millisecond)
			m.pass(4 * routes.LacksFor)
		})
		if least != 5 || len(changes) != 1 || changes[0].Sub(died) > time.Second {
			t.Errorf("at least %d next hops, changed at %v after the death at %v", least, changes, died)
		}
		if _, sessions := r.count(); sessions != 6 { // with that of the dead one
			t.Errorf("%d sessions, want 6", sessions)
		}
		others := m.others(dead)
		between(others, others, m.unblock)
		m.pass(routes.LacksFor)
		if hops, sessions := r.count(); hops != 5 || sessions != 4 {
			t.Errorf("gossip is back: %d next hops by %d sessions, want 5 by 4", hops, sessions)
		}
	})
}

// TestRouterBlockedDrain: while gossip is blocked, others go on announcing a node that is drained,
// until its host falls silent.
func TestRouterBlockedDrain(t *testing.T) {
	blocked(t, 5, func(m *model, r *modelRouter, drained string) {
		m.setNode(drained, func(n *watcher.Node) { n.Cordoned = true })
		m.leaves(drained)
		m.pass(10 * time.Second)
		if hops, _ := r.count(); hops != 5 {
			t.Errorf("%d next hops after the drain, want 5", hops)
		}
		off := time.Now()
		_, changes := r.watch(func() {
			m.dies(drained, 500*time.Millisecond)
			m.pass(10 * time.Second)
		})
		if hops, _ := r.count(); hops != 4 || len(changes) != 1 || changes[0].Sub(off) > time.Second {
			t.Errorf("%d next hops, changed at %v after the host was off at %v", hops, changes, off)
		}
	})
}

// TestRouterBlockedRestart: a speaker that restarts while gossip is blocked knows of no other
// session, and announces its own node as well.
func TestRouterBlockedRestart(t *testing.T) {
	blocked(t, 5, func(m *model, r *modelRouter, name string) {
		if n := r.own(name); n > 0 {
			t.Errorf("%s announces itself %d times before", name, n)
		}
		_, changes := r.watch(func() {
			m.leaves(name)
			m.pass(2 * time.Second)
			m.start(name, r.plugged)
			m.pass(10 * time.Second)
		})
		if n := r.own(name); n == 0 || len(changes) > 0 {
			t.Errorf("%s announces itself %d times; the next hops changed at %v", name, n, changes)
		}
	})
}
