package forward

import (
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/wake"
)

// target is a node that this one tests.
type target struct {
	Node
	places []Place // to ask for, in turn
	turn   int     // how many were asked for
	next   time.Time
	round  round
	tried  int       // nodes that it was compared with in vain
	rest   time.Time // no comparison before
	drops  *Report   // nil: it forwards, as far as is known
	say    time.Time // when to report that again
	streak int       // rounds in a row that were answered
	left   time.Time // since when it is no target any more, and all were sent the reason; zero: it is one

	page     page
	unproved time.Time // since when its speaker is absent, and nothing proves that it forwards
}

// to is who hears of the target: itself, or all if its speaker does not hear it.
func (t *target) to() string {
	if t.Absent {
		return ""
	}
	return t.Name
}

// wake is when something is due.
func (t *target) wake() (due time.Time) {
	if t.drops != nil {
		due = t.say
	}
	if !t.left.IsZero() {
		return due
	}
	due = wake.Earlier(due, t.page.wake)
	switch {
	case len(t.places) == 0:
		return due
	case t.round.asking():
		return wake.Earlier(due, t.round.end)
	}
	return wake.Earlier(due, t.next)
}

// step is how far a test is.
type step uint8

const (
	first step = iota
	second
	compare
)

// round is some questions that are asked at the same time. Its zero value is none.
type round struct {
	step   step
	end    time.Time
	other  *Node // that the target is compared with
	ids    []uint64
	own    int // answers by the target
	routed int // answers through it that it may just have routed to who announces the address
	asked  []Place
	by     []int // answers by the other node, for each of asked
}

func (r *round) asking() bool { return !r.end.IsZero() }

// ask is a question of a round.
type ask struct {
	of       *target
	place    int  // in asked
	other    bool // by the other node
	answered bool
}

// decided reports whether a round need not wait for more answers. One that was routed may be
// followed by another, through another interface.
func (r *round) decided() bool { return r.own > 0 }

// count notes an answer, the first one of those that say the same.
func (m *Machine) count(a *ask, routed bool) {
	r := &a.of.round
	switch {
	case a.answered:
	case routed && !a.other:
		r.routed++
	case routed:
	case a.other:
		a.answered = true
		r.by[a.place]++
	default:
		a.answered = true
		r.own++
	}
}

// routed reports whether an answer comes from the node that announces the address, though another
// one was asked. That one may have no rules, and have sent the packet on as any router does.
func (m *Machine) routed(a *ask, mac string) bool {
	r := &a.of.round
	asked, announcer := a.of.Name, r.asked[a.place].Owner
	if a.other {
		asked = r.other.Name
	}
	return asked != announcer && slices.ContainsFunc(m.world.Nodes, func(n Node) bool {
		return n.Name == announcer && slices.Contains(n.MACs, mac)
	})
}

// proof is an address of which the other node had each question answered; nil: there is none.
func (r *round) proof(copies int) *netip.AddrPort {
	for i, n := range r.by {
		if n == copies {
			return &r.asked[i].At
		}
	}
	return nil
}

// single begins a round of one question, for the next place.
func (m *Machine) single(t *target, s step, now time.Time) {
	m.begin(t, s, now)
	m.ask(t, t.places[t.turn%len(t.places)], nil)
	t.turn++
}

// compare begins a round that asks for the last two places by the target and by another node,
// unless there is none, or all of them were asked in vain.
func (m *Machine) compare(t *target, now time.Time) {
	places := t.lastTwo()
	others := m.others(t, places)
	switch {
	case now.Before(t.rest):
		return
	case t.tried >= min(m.cfg.Timing.Others, len(others)):
		if t.tried > 0 {
			t.rest = now.Add(m.cfg.Timing.Rest)
		}
		t.tried = 0
		return
	}
	other := others[(t.turn+t.tried)%len(others)]
	t.tried++
	m.begin(t, compare, now)
	t.round.other = &other
	for _, p := range places {
		for range m.cfg.Timing.Copies {
			m.ask(t, p, nil)
			if m.suits(&other, &p) {
				m.ask(t, p, &other)
			}
		}
	}
}

// lastTwo are the places that were asked for last; one, if there is no other.
func (t *target) lastTwo() []Place {
	n := len(t.places)
	last := []Place{t.places[(t.turn+n-1)%n]}
	if n > 1 {
		last = append(last, t.places[(t.turn+n-2)%n])
	}
	return last
}

func (m *Machine) begin(t *target, s step, now time.Time) {
	t.round = round{step: s, end: now.Add(m.cfg.Timing.Wait)}
}

// close ends a round: what is answered later does not count.
func (m *Machine) close(t *target) {
	for _, id := range t.round.ids {
		delete(m.open, id)
	}
	t.round = round{}
}

// ask adds a question to the round of a target, by itself or by another node.
func (m *Machine) ask(t *target, p Place, other *Node) {
	r, by := &t.round, &t.Node
	if other != nil {
		by = other
	}
	at := -1
	for i, known := range r.asked {
		if known.At == p.At {
			at = i
		}
	}
	if at < 0 {
		at = len(r.asked)
		r.asked, r.by = append(r.asked, p), append(r.by, 0)
	}
	m.last++
	m.open[m.last] = &ask{of: t, place: at, other: other != nil}
	r.ids = append(r.ids, m.last)
	for _, mac := range by.MACs {
		m.out.Questions = append(m.out.Questions, Question{ID: m.last, MAC: mac, To: p.At})
	}
}
