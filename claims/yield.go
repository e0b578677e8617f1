package claims

import (
	"net/netip"
	"time"
)

// asking is about a member that outranks us and was heard claiming an address of ours.
type asking struct {
	holds bool      // it said that it holds on to it
	lost  time.Time // since when it does not say so any more; zero: it does, or never did
}

// ask has a member asked whether it holds on to an address; at once, if it was silent, but not
// before a crossing is over.
func (m *Machine) ask(ip netip.Addr, r *record, now time.Time) {
	if h := m.handing[ip]; h != nil && now.Before(h.from) {
		r.later = true
		m.lookAt(h.from)
		return
	}
	r.later = false
	q := m.question(ip, r.mac)
	if r.ask == nil {
		r.ask = &asking{}
		m.add(q, now)
	}
	m.asker.Again(q, now)
}

// unask has it asked no more.
func (m *Machine) unask(ip netip.Addr, r *record) {
	r.ask = nil
	m.drop(m.question(ip, r.mac))
}

// askNobody ends all questions to members about an address that is not ours any more.
func (m *Machine) askNobody(ip netip.Addr) {
	for r := range m.all(ip) {
		r.later = false
		if r.ask != nil {
			m.unask(ip, r)
		}
	}
	m.leave(ip, nil)
}

// arbitrate decides whether an address that is ours by election, or for which we are the deputy, is
// left to a member that outranks us: it is as long as that one says that it holds on to it. Of
// several the first keeps it.
func (m *Machine) arbitrate(ip netip.Addr, now time.Time) {
	was := m.yields[ip]
	var to *record
	for r := range m.all(ip) {
		if r.ask == nil {
			continue
		}
		m.answered(ip, r, now)
		if r.ask != nil && r.ask.holds && (to == nil || r == was) {
			to = r
		}
	}
	if to == was {
		return
	}
	if m.leave(ip, to); to == nil {
		m.become(ip, m.addrs[ip].duty, now)
	} else {
		m.become(ip, Watching, now)
	}
}

// answered takes what a member replied when it was asked for an address.
func (m *Machine) answered(ip netip.Addr, r *record, now time.Time) {
	switch m.keeps(ip, r) {
	case present:
		r.ask.holds, r.ask.lost = true, time.Time{}
	case silent:
		if r.ask.holds {
			r.ask.holds, r.ask.lost = false, now
		}
		if r.ask.lost.IsZero() || now.Sub(r.ask.lost) >= m.Timing.Lost {
			m.unask(ip, r)
		} else {
			m.lookAt(r.ask.lost.Add(m.Timing.Lost))
		}
	}
}

// leave leaves an address to a member; nil: to nobody.
func (m *Machine) leave(ip netip.Addr, to *record) {
	if m.yields[ip] == to {
		return
	}
	if m.yields[ip] = to; to == nil {
		delete(m.yields, ip)
	}
	m.yielding, m.ready.Changed = nil, true
}

// standing is what the replies of a station say about an address.
type standing uint8

const (
	unheard standing = iota // nothing yet
	silent                  // it does not hold on to it
	present
)

// keeps reports whether a station holds on to an address. Who died does not, though it was not
// asked often enough since to be silent: of many addresses each is asked for rarely. Who was asked
// or replied after that is judged by its replies.
func (m *Machine) keeps(ip netip.Addr, r *record) standing {
	a, asked := m.asker.Answer(m.question(ip, r.mac))
	switch died := m.members.Gone[m.members.Names[r.mac]]; {
	case !asked:
		return unheard
	case a.Silent, !a.Asked.After(died) && !a.Last.After(died):
		return silent
	case a.Last.IsZero():
		return unheard
	}
	return present
}

// Yields are the addresses that are ours by election and left to a member, with its name. The map
// is never changed.
func (m *Machine) Yields() map[netip.Addr]string {
	if m.yielding == nil {
		m.yielding = make(map[netip.Addr]string, len(m.yields))
		for ip, r := range m.yields {
			m.yielding[ip] = m.members.Names[r.mac]
		}
	}
	return m.yielding
}
