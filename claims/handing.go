package claims

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/probe"
)

// handing is an address on its way to another node. It is answered until the successor, or another
// member that claims it, replies that it has it, so that no packet finds nobody. A claim alone is
// not enough: that member may be handing the address over as well, and have announced it a moment
// before.
type handing struct {
	heir       string
	from       time.Time // when anybody is asked first, see Timing.Crossing
	ask, until time.Time
	questions  []probe.Question // to the heir
}

// beginHanding has an address handed over, or notes that another node is to have it.
func (m *Machine) beginHanding(ip netip.Addr, heir string, now time.Time) {
	h := m.handing[ip]
	if h == nil {
		h = &handing{ask: now.Add(m.Timing.AskHeir), until: now.Add(m.limit())}
		m.handing[ip], m.ready.Changed = h, true
		if m.rechecks.gained(ip, m.Timing.Fresh, now) {
			h.from = now.Add(m.Timing.Crossing)
		}
	}
	if h.heir != heir {
		m.dropAll(h)
		m.askNobody(ip)
		if h.heir = heir; !now.Before(h.until) { // the one before refused it
			h.until = now.Add(m.limit())
		}
	}
	for r := range m.all(ip) { // the successor may be faster than the news of it
		if r.fresh(m.Timing.Fresh, now) && m.Rules[HandingOver][m.claimant(ip, r.mac)]&Ask != 0 {
			m.ask(ip, r, now)
		}
	}
}

// limit is for how long an heir is waited for.
func (m *Machine) limit() time.Duration {
	if m.members.Draining {
		return m.Timing.Drain
	}
	return m.Timing.Limit
}

// endHanding ends the hand-over of an address, if there is one.
func (m *Machine) endHanding(ip netip.Addr) {
	if h := m.handing[ip]; h != nil {
		m.dropAll(h)
		m.askNobody(ip)
		delete(m.handing, ip)
		m.ready.Changed = true
	}
}

// dropAll ends the questions of a hand-over.
func (m *Machine) dropAll(h *handing) {
	for _, q := range h.questions {
		m.drop(q)
	}
	h.questions = nil
}

// handOver falls silent for an address once the successor replied that it has it, or the limit has
// passed. The limit is for nodes that do not hear each other. A successor that replies on the wire,
// but not for the address, sees things differently: it does not take it, so this node keeps it,
// unless it is leaving.
func (m *Machine) handOver(ip netip.Addr, now time.Time) {
	h := m.handing[ip]
	if h == nil {
		return
	}
	taken := slices.ContainsFunc(h.questions, func(q probe.Question) bool { return q.Kind() == probe.Owner && m.replies(q) })
	for r := range m.all(ip) {
		if r.later {
			m.ask(ip, r, now)
		}
		if r.ask != nil {
			m.answered(ip, r, now)
			taken = taken || r.ask != nil && r.ask.holds
		}
	}
	if taken || !now.Before(h.until) && (m.members.Draining || !m.refused(ip, h)) {
		m.endHanding(ip)
		m.become(ip, Watching, now)
		return
	}
	if now.Before(h.until) {
		m.lookAt(h.until)
	}
	if now.Before(h.ask) {
		m.lookAt(h.ask)
		return
	}
	if h.questions == nil {
		for _, mac := range m.macs[h.heir] {
			h.questions = append(h.questions, m.question(ip, mac), probe.Question{MAC: m.heard.text(mac)})
		}
		for _, q := range h.questions {
			m.add(q, now)
		}
	}
}

// refused reports whether the successor is there and has not the address, and no other member was
// heard to have it.
func (m *Machine) refused(ip netip.Addr, h *handing) bool {
	there, silent := false, true
	for _, q := range h.questions {
		if q.Kind() == probe.Owner {
			a, _ := m.asker.Answer(q)
			silent = silent && a.Silent
		} else {
			there = there || m.replies(q)
		}
	}
	last, known := m.last(ip)
	return there && silent && (!known || m.claimant(ip, last.mac) == Stranger)
}

// replies reports whether a question is replied to.
func (m *Machine) replies(q probe.Question) bool {
	a, _ := m.asker.Answer(q)
	return !a.Last.IsZero() && !a.Silent
}

// Handing are the addresses that are handed over and still answered, sorted.
func (m *Machine) Handing() []netip.Addr {
	return slices.SortedFunc(maps.Keys(m.handing), netip.Addr.Compare)
}
