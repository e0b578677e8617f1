package claims

import (
	"net/netip"
	"slices"
	"time"
)

// Conflict is another station that claims an address of this node.
type Conflict struct {
	IP          netip.Addr
	MAC         string // of the last claim
	Kind        string // "stranger", or "member": a node of this cluster that does not give way
	Since, Last time.Time
}

// The kinds of conflicts.
const (
	OfStranger = "stranger"
	OfMember   = "member"
)

// fight is about an own address that another station claims.
type fight struct {
	since, last time.Time
	look        time.Time // when to look whether it is over; zero: no
	defend      bool      // then, if the claimant is a stranger
	shown       bool      // a stranger that outlived the grace
	frames      int       // of a stranger, before that
	defenses    int       // against a member
	rest        time.Time // not defended against a member before
}

// shown reports whether the record is shown as a conflict.
func (r *record) shown(t *Timing) bool {
	return r.fight != nil && (r.fight.shown || r.fight.defenses >= t.Insists)
}

// memory is for how long a fight is remembered when the other is silent.
func (r *record) memory(t *Timing) time.Duration {
	if r.member {
		return t.Over
	}
	return t.Memory
}

// contested takes a claim of a member on an own address. Of two nodes that both believe to own it
// one gives way, by the rank of the two or because the news was late. So it is defended after the
// grace, and then at growing pauses as long as it is claimed.
func (m *Machine) contested(r *record, now time.Time) {
	if r.fight == nil || !r.member || now.Sub(r.fight.last) > m.Timing.Over {
		r.fight, r.member = &fight{since: now}, true
	}
	f := r.fight
	f.last = now
	if f.look.IsZero() {
		if f.look = now.Add(m.Timing.Grace); f.look.Before(f.rest) {
			f.look = f.rest
		}
		m.lookAt(f.look)
	}
}

// dispute is a claim of a stranger on an own address. RFC 5227, section 2.4 (c), lets a host defend
// its address without end, but not against a claim when the one before it is less than ten seconds
// old.
func (m *Machine) dispute(ip netip.Addr, r *record, now time.Time) {
	before := time.Time{}
	for o := range m.all(ip) {
		if o.fight != nil && !o.member && o.fight.last.After(before) {
			before = o.fight.last
		}
	}
	if r.fight == nil || r.member {
		r.fight, r.member = &fight{since: now}, false
	}
	f := r.fight
	f.last = now
	if rested := now.Sub(before) >= m.Timing.DefendInterval; f.look.IsZero() && (rested || !f.shown) {
		f.look, f.defend = now.Add(m.Timing.Grace), rested
		m.lookAt(f.look)
	}
	if f.shown {
		m.ready.Frames++
	} else {
		f.frames++
	}
}

// fights defends an address against the claims that outlived the grace.
func (m *Machine) fights(ip netip.Addr, now time.Time) {
	for r := range m.all(ip) {
		switch f := r.fight; {
		case f == nil || f.look.IsZero():
		case f.look.After(now):
			m.lookAt(f.look)
		case r.member:
			m.defendAgainstMember(ip, f, now)
		default:
			m.defendAgainstStranger(ip, r)
		}
	}
}

// end ends the fight with a station, if there is one.
func (m *Machine) end(r *record) {
	m.ready.Changed = m.ready.Changed || r.shown(&m.Timing)
	r.fight = nil
}

func (m *Machine) defendAgainstMember(ip netip.Addr, f *fight, now time.Time) {
	f.look, f.rest = time.Time{}, now.Add(m.Timing.pause(f.defenses))
	f.defenses++
	m.ready.Defend, m.ready.Changed = append(m.ready.Defend, ip), true
	for r := range m.all(ip) { // who gives way will not be heard; who does not, will be again
		r.heard = time.Time{}
	}
	m.heard.note(ip)
}

func (m *Machine) defendAgainstStranger(ip netip.Addr, r *record) {
	f := r.fight
	if !f.shown {
		m.ready.Fresh = append(m.ready.Fresh, r.conflict(ip))
	}
	if f.defend && m.Role(ip) == Owner {
		m.ready.Defend = append(m.ready.Defend, ip)
	}
	m.ready.Frames += f.frames
	m.ready.Changed = true
	f.look, f.defend, f.shown, f.frames = time.Time{}, false, true, 0
}

func (r *record) conflict(ip netip.Addr) Conflict {
	kind := OfStranger
	if r.member {
		kind = OfMember
	}
	return Conflict{IP: ip, MAC: r.mac.String(), Kind: kind, Since: r.fight.since, Last: r.fight.last}
}

// Conflicts are those that are shown, sorted by address.
func (m *Machine) Conflicts() []Conflict {
	var out []Conflict
	for ip := range m.active {
		for _, member := range []bool{false, true} {
			if c, shown := m.conflict(ip, member); shown {
				out = append(out, c)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Conflict) int { return a.IP.Compare(b.IP) })
	return out
}

// conflict is that of an address with members or strangers: with the one heard last, since the
// first.
func (m *Machine) conflict(ip netip.Addr, member bool) (c Conflict, shown bool) {
	for r := range m.all(ip) {
		if r.member != member || !r.shown(&m.Timing) {
			continue
		}
		is := r.conflict(ip)
		if shown && !is.Last.After(c.Last) {
			is.MAC, is.Last = c.MAC, c.Last
		}
		if shown && c.Since.Before(is.Since) {
			is.Since = c.Since
		}
		c, shown = is, true
	}
	return c, shown
}

// stranger is the station that is shown as a conflict with strangers about an address.
func (m *Machine) stranger(ip netip.Addr) (mac MAC, known bool) {
	for r := range m.all(ip) {
		if !r.member && r.shown(&m.Timing) {
			return r.mac, true
		}
	}
	return MAC{}, false
}
