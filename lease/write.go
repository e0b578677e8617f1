package lease

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// changes are the differences between what a Service holds and what it is to hold.
type changes struct {
	picked, bound   []out   // new addresses, and those that become bound
	freed           []*hold // given up, and bound or shown or once bound
	dropped         []*hold // mere claims given up
	ingress, orphan bool    // ingress changes; the lease names nobody or is none that a speaker writes
	note            bool    // the lease remembers other rules than those that it is held by
}

// write turns what the Service is to hold into a plan, or into none if it holds just that.
func (d *draft) write(reason string) {
	slices.SortStableFunc(d.outs, func(a, b out) int {
		return cmp.Or(d.position(a.ip)-d.position(b.ip), a.ip.Compare(b.ip))
	})
	c := d.compare()
	d.kind = d.kindOf(c)
	if d.kind == "" {
		return
	}
	d.choosePool(c)
	for _, o := range d.outs {
		if o.leased {
			d.lease = append(d.lease, Item{IP: o.ip, Pool: o.pool, State: state(o.bound), RevokeAfter: formatRevoke(d.revokeAfter(o.ip))})
		}
		if o.bound {
			d.bound = append(d.bound, o.pool)
		}
		if o.shown {
			d.ingress = append(d.ingress, o.ip)
		}
	}
	for _, o := range c.picked {
		d.picks = append(d.picks, o.ip)
	}
	d.conflicts = slices.DeleteFunc(slices.Clone(d.conflicts), func(x Conflict) bool {
		return slices.ContainsFunc(c.bound, func(o out) bool { return o.ip == x.IP })
	})
	d.setIngress = c.ingress
	d.reportEvents(c, reason)
}

// position is the place of an address's family in the request.
func (d *draft) position(ip netip.Addr) int {
	for i, s := range d.slots {
		if s.family == family(ip) {
			return i
		}
	}
	return len(d.slots) + family(ip)
}

func (d *draft) compare() changes {
	e := d.e
	c := changes{orphan: e.leased() && e.by == "" || e.bad != ""}
	for i := range e.holds {
		h := &e.holds[i]
		o := d.out(h.ip)
		switch {
		case o != nil && o.bound && !h.bound:
			c.bound = append(c.bound, *o)
			c.ingress = true
		case o == nil && (h.shown || h.said && (!h.void || e.s.Type != typeLoadBalancer)):
			c.freed = append(c.freed, h)
			c.ingress = c.ingress || h.shown
		case o == nil || h.leased && !o.leased:
			c.dropped = append(c.dropped, h)
		}
	}
	for _, o := range d.outs {
		h := e.at(o.ip)
		if h == nil {
			c.picked = append(c.picked, o)
			continue
		}
		c.note = c.note || o.bound && (h.revoke != d.revokeAfter(o.ip) || e.edited && d.undisputed(h))
	}
	return c
}

// undisputed reports whether nobody else has the address with whom the Service may not share it:
// its facts are then right, and the next one that is edited has to go.
func (d *draft) undisputed(h *hold) bool {
	outcome, _ := d.t.check(d.e, h)
	return outcome == passes
}

// kindOf names the write by the most telling thing that it does.
func (d *draft) kindOf(c changes) string {
	switch {
	case slices.ContainsFunc(c.freed, func(h *hold) bool { return h.bound && d.rival(h) != nil }):
		return Repair
	case len(c.bound) > 0:
		return Bind
	case len(c.picked) > 0:
		return Claim
	case len(c.freed) > 0:
		return Release
	case len(c.dropped) > 0:
		return Withdraw
	case c.orphan:
		return Repair
	case c.note && !d.e.s.Deleting:
		return Note
	}
	return ""
}

// rival returns the Service that a hold loses to, or nil.
func (d *draft) rival(h *hold) *entry {
	if outcome, rival := d.t.check(d.e, h); outcome == loses {
		return rival
	}
	return nil
}

// choosePool finds the pool whose members' rank decides who writes: that of the first address that
// the write is about, "" if it is in none.
func (d *draft) choosePool(c changes) {
	var ips []netip.Addr
	for _, o := range slices.Concat(c.picked, c.bound) {
		ips = append(ips, o.ip)
	}
	for _, h := range slices.Concat(c.freed, c.dropped) {
		ips = append(ips, h.ip)
	}
	if len(ips) == 0 && len(d.outs) > 0 {
		ips = append(ips, d.outs[0].ip)
	}
	if len(ips) > 0 {
		d.pool, _ = d.v.Pools.Of(ips[0])
	}
}

// reportEvents makes the events of a write: of what users see, once for each change of it.
func (d *draft) reportEvents(c changes, reason string) {
	if d.e.bad != "" {
		d.event(true, AddressConflict, "annotation %s is written anew: %s", LeaseAnnotation, d.e.bad)
	}
	for _, o := range c.bound {
		switch h := d.e.at(o.ip); {
		case h.said, h.leased && h.shown && d.e.bad != "":
		case h.leased && h.shown: // no speaker leaves it like that
			d.event(true, AddressConflict, "annotation %s is written anew: it did not say that %s is bound", LeaseAnnotation, o.ip)
		case h.shown:
			d.event(false, IPAllocated, "%s from pool %q, adopted: the Service showed it already", o.ip, o.pool)
		default:
			d.event(false, IPAllocated, "%s from pool %q", o.ip, o.pool)
			d.events[len(d.events)-1].IP = o.ip
		}
	}
	d.reportOverwritten(c)
	c.freed = slices.DeleteFunc(c.freed, d.e.overwritten) // no address that the Service had
	for _, h := range c.freed {
		d.reportConflict(c, h)
	}
	for i, h := range c.freed {
		if i == maxReported {
			d.event(false, IPReleased, "%d more addresses", len(c.freed)-i)
			break
		}
		why := reason
		rival := d.rival(h)
		successor, replaced := c.successor(h.ip)
		switch {
		case rival != nil:
			why = fmt.Sprintf("%s holds it%s", rival.s.Key(), d.t.whyNot(d.e, rival, h.ip))
		case why == "" && replaced:
			why = "replaced by " + successor.String()
			switch because := d.unfit(h); {
			case because != "":
				why += ": the old one " + because
			case d.whole:
				why += ": " + onePool
			}
		case why == "" && d.strays[h.ip].ripe:
			why = fmt.Sprintf("given up after %s without another one: it %s", shortDuration(d.revokeAfter(h.ip)), d.unfit(h))
		case why == "":
			why = "the Service does not ask for it any more"
		}
		if h.bound && rival != nil {
			d.event(true, AddressConflict, "%s was bound to %s too, which keeps it", h.ip, rival.s.Key())
		}
		d.event(false, IPReleased, "%s: %s", h.ip, why)
	}
}

// successor is the address that becomes bound in the place of another one, if there is any.
func (c *changes) successor(ip netip.Addr) (netip.Addr, bool) {
	for _, o := range c.bound {
		if family(o.ip) == family(ip) {
			return o.ip, true
		}
	}
	return netip.Addr{}, false
}

// reportConflict makes the event of a Service that was moved off an address because of a station.
func (d *draft) reportConflict(c changes, h *hold) {
	x := d.e.conflict(h.ip)
	successor, replaced := c.successor(h.ip)
	if x == nil || !h.bound || !replaced {
		return
	}
	d.event(true, AddressConflict, "%s was given to the Service a moment ago, and %s: it has %s instead; give that machine another address, or exclude %s from pool %q",
		h.ip, stationHas(x.MAC), successor, h.ip, h.pool)
}

// stationHas says that a station answers for an address, as the end of a sentence.
func stationHas(mac string) string {
	return fmt.Sprintf("a station with the MAC %s answers for it", mac)
}

func (d *draft) event(warning bool, reason, format string, args ...any) {
	d.events = append(d.events, Event{Warning: warning, Reason: reason, Message: fmt.Sprintf(format, args...)})
}

func state(bound bool) string {
	if bound {
		return stateBound
	}
	return stateClaimed
}

// step makes the write of a plan.
func (p *plan) step(e *entry, v *View) Step {
	s := Step{Kind: p.kind, Service: e.s.Key(), UID: e.s.UID, Version: e.s.Version, Annotations: map[string]string{}, Events: p.events, names: p.names}
	lease := ""
	if len(p.lease) > 0 {
		lease = Lease{V: codecVersion, By: v.Installation, Holder: v.Self, IPs: p.lease, Conflicts: p.conflicts, Sharing: e.sharing()}.Encode()
	}
	s.set(e, LeaseAnnotation, lease)
	s.set(e, PoolAnnotation, joined(p.bound))
	if s.SetIngress = p.setIngress; s.SetIngress {
		s.Ingress = make([]string, 0, len(p.ingress))
		for _, ip := range p.ingress {
			s.Ingress = append(s.Ingress, ip.String())
		}
	}
	return s
}

// set writes an annotation if it differs.
func (s *Step) set(e *entry, key, value string) {
	if old, ok := e.s.annotation(key); old != value || ok && value == "" {
		s.Annotations[key] = value
	}
}
