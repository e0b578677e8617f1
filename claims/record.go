package claims

import (
	"iter"
	"net/netip"
	"time"
)

// maxStrangers bounds the records of strangers for one address: what they send can be forged.
const maxStrangers = 4

// record is what is known of one station that claims, or claimed, one address.
type record struct {
	mac    MAC
	member bool      // it was that of a node of this cluster when the fight began
	heard  time.Time // when it claimed the address last; zero: that tells nothing any more
	fight  *fight    // nil: the address is not contested by it
	ask    *asking   // nil: it is not asked whether it holds on to the address
	later  bool      // it is to be, when a crossing is over
	next   *record   // of the same address
}

func (r *record) fresh(within time.Duration, now time.Time) bool { return now.Sub(r.heard) <= within }

// all are the records of an address, the one whose claim is the last first. They may be dropped
// meanwhile.
func (m *Machine) all(ip netip.Addr) iter.Seq[*record] {
	return func(yield func(*record) bool) {
		for r := m.records[ip]; r != nil; {
			next := r.next
			if !yield(r) {
				return
			}
			r = next
		}
	}
}

// record is that of a station, which becomes the first. Of too many strangers the oldest gives way
// to it, and what is to be decided of that one is decided of the new one: somebody who changes MACs
// fast gains nothing.
func (m *Machine) record(ip netip.Addr, mac MAC) *record {
	first := m.records[ip]
	if first != nil && first.mac == mac {
		return first
	}
	found, strangers := &record{mac: mac}, 0
	stranger := m.claimant(ip, mac) == Stranger
	for at := &first; *at != nil; {
		r := *at
		if r.mac == mac {
			found, *at = r, r.next
			break
		}
		if stranger && m.claimant(ip, r.mac) == Stranger {
			strangers++
		}
		if strangers == maxStrangers {
			found, *at = r, r.next
			found.mac, found.heard = mac, time.Time{}
			break
		}
		at = &r.next
	}
	found.next = first
	m.records[ip] = found
	return found
}

// tidy drops the records of an address that tell nothing any more, and notes whether it is active.
func (m *Machine) tidy(ip netip.Addr) {
	first, active := m.records[ip], m.handing[ip] != nil
	for at := &first; *at != nil; {
		switch r := *at; {
		case r.heard.IsZero() && r.fight == nil && r.ask == nil && !r.later:
			*at = r.next
		default:
			active = active || r.fight != nil || r.ask != nil
			at = &r.next
		}
	}
	if first == nil {
		delete(m.records, ip)
	} else {
		m.records[ip] = first
	}
	if active {
		m.active[ip] = true
	} else {
		delete(m.active, ip)
	}
}

// last is the record of the station that was heard last.
func (m *Machine) last(ip netip.Addr) (last *record, known bool) {
	for r := range m.all(ip) {
		if !r.heard.IsZero() {
			return r, true
		}
	}
	return nil, false
}
