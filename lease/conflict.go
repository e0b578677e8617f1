package lease

import (
	"net/netip"
	"slices"
	"time"
)

// maxConflicts is how often a Service is moved off an address that a station answers for. Where
// more than one station does, or one for several addresses (a router with proxy ARP, kube-proxy in
// IPVS mode without strictARP), another address is no better, and a pool is soon used up.
const maxConflicts = 3

// Conflict is an address that a Service was given and moved off at once, since a station answers
// for it.
type Conflict struct {
	IP  netip.Addr `json:"ip"`
	MAC string     `json:"mac"` // of the station
}

// A Service is moved off an address by the one speaker that hears the station, whoever picks for
// the pool: it claims another one beside it, and notes the conflict in the lease. From then on
// everybody prefers the claim to the address, although that is bound; so the claim is checked and
// bound like any other, and the old address is given up with it. Should the claim be lost, the
// Service still has its address.

// evade plans to move a Service off addresses with a conflict. It reports false where there is
// nothing to evade, or no other address: then the Service keeps what it has.
func (t *Table) evade(e *entry, v *View) (plan, bool) {
	e.evading = false
	if v.Freeze {
		return plan{}, false // the other members may not know the pool of another address
	}
	d := newDraft(t, v, e)
	for _, h := range e.holds {
		mac := v.Conflicts[h.ip]
		if mac == "" || !h.bound || t.askedFor(h.ip) || !e.mayEvade(h.ip, mac) {
			continue
		}
		d.off = append(d.off, h.ip)
		if e.conflict(h.ip) == nil {
			d.conflicts = append(slices.Clip(d.conflicts), Conflict{IP: h.ip, MAC: mac})
		}
	}
	if len(d.off) == 0 {
		return plan{}, false
	}
	d.fulfill()
	if d.fail == nil {
		d.alone, e.evading = true, d.kind == Claim
		return d.plan, e.evading
	}
	t.setTimer(e, d.fail.wake) // an address may be about to be free
	e.evading = !d.fail.wake.IsZero() && d.fail.wake.Sub(v.Now) < time.Second
	return plan{}, false
}

// askedFor reports whether a Service that holds an address asks for that very one.
func (t *Table) askedFor(ip netip.Addr) bool {
	return slices.ContainsFunc(t.holds[ip], func(e *entry) bool { return e.asks(ip) })
}

// mayEvade reports whether a station is a reason to move the Service off an address.
func (e *entry) mayEvade(ip netip.Addr, mac string) bool {
	if c := e.conflict(ip); c != nil {
		return true // and the claim was lost
	}
	return len(e.conflicts) < maxConflicts && !slices.ContainsFunc(e.conflicts, func(c Conflict) bool { return c.MAC == mac })
}

// conflict returns what the lease notes of an address, or nil.
func (e *entry) conflict(ip netip.Addr) *Conflict {
	for i := range e.conflicts {
		if e.conflicts[i].IP == ip {
			return &e.conflicts[i]
		}
	}
	return nil
}

// Evaded are the conflicts because of which a Service was moved to other addresses, the oldest
// first.
func (t *Table) Evaded(k Key) []Conflict {
	if e := t.entries[k]; e != nil {
		return slices.Clone(e.conflicts)
	}
	return nil
}

// Evading reports whether a Service is being moved off an address because of a station.
func (t *Table) Evading(ip netip.Addr) bool {
	return slices.ContainsFunc(t.holds[ip], func(e *entry) bool {
		return e.evading && t.conflicts[ip] != "" || e.conflict(ip) != nil && slices.ContainsFunc(e.holds, func(h hold) bool {
			return family(h.ip) == family(ip) && h.leased && !h.said
		})
	})
}

// strike has the Services looked at that hold an address with a new conflict.
func (t *Table) strike(now map[netip.Addr]string) {
	for ip, mac := range now {
		if t.conflicts[ip] != mac {
			for _, e := range t.holds[ip] {
				t.mark(e)
			}
		}
	}
	t.conflicts = now
}
