package lease

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/health"
)

// fulfill gives the Service what it asks for.
func (d *draft) fulfill() {
	if code, text := d.impossible(); text != "" {
		d.failing().add(code, text)
		d.hold(true)
		return
	}
	d.assign()
	d.pick()
	d.settle()
	d.write("")
}

// impossible says why a request cannot be granted with this configuration, whatever is free.
func (d *draft) impossible() (health.Code, string) {
	e, pools := d.e, d.v.Pools
	switch {
	case e.wrong != nil:
		return health.RequestMalformed, e.wrong.Error()
	case d.v.Freeze && !slices.ContainsFunc(e.req.slots, func(s slot) bool { return !d.has(s) }):
		return "", "" // by a configuration that others have
	}
	if code, text := d.unallocated(); text != "" {
		return code, text
	}
	if e.req.pool != "" {
		q := pools.byName[e.req.pool]
		if q == nil {
			return health.PoolUnknown, fmt.Sprintf("annotation %s asks for pool %q, which does not exist", d.e.req.poolFrom, clip(e.req.pool))
		}
		if why := d.refusal(q); why != "" {
			return health.PoolRefuses, fmt.Sprintf("annotation %s asks for pool %q, which %s", d.e.req.poolFrom, q.Name, why)
		}
	}
	for _, s := range e.req.slots {
		if !s.ip.IsValid() {
			continue
		}
		q := pools.of(s.ip)
		if h := e.at(s.ip); q == nil && h != nil {
			q = d.home(h)
		}
		if q == nil {
			return health.AddressInNoPool, fmt.Sprintf("%s asks for %s, which is %s", e.req.source, s.ip, pools.missing(s.ip))
		}
		if why := d.refusal(q); why != "" {
			return health.PoolRefuses, fmt.Sprintf("%s asks for %s of pool %q, which %s", e.req.source, s.ip, q.Name, why)
		}
		if e.req.pool != "" && q.Name != e.req.pool {
			return health.RequestContradicts, fmt.Sprintf("%s asks for %s, which is in pool %q, but annotation %s asks for pool %q", e.req.source, s.ip, q.Name, e.req.poolFrom, e.req.pool)
		}
	}
	return "", ""
}

// has reports whether the Service is bound to what a slot asks for.
func (d *draft) has(s slot) bool {
	return slices.ContainsFunc(d.e.holds, func(h hold) bool {
		return h.bound && family(h.ip) == s.family && (!s.ip.IsValid() || s.ip == h.ip)
	})
}

// assign fills the slots with what the Service holds already.
func (d *draft) assign() {
	for _, s := range d.e.req.slots {
		d.slots = append(d.slots, d.best(s, ""))
	}
	d.match()
}

// best fills a slot with what the Service holds, of one pool or, without a name, of any: what is
// bound before what is shown before what is claimed, then the lowest address; what has a conflict
// comes last.
func (d *draft) best(s slot, pool string) filled {
	var best *hold
	f := filled{family: s.family, asked: s.ip}
	for i := range d.e.holds {
		h := &d.e.holds[i]
		fits, left := d.fits(h, s)
		if !fits || best != nil && !d.preferred(h, best) || pool != "" && d.poolOf(h) != pool {
			continue
		}
		if outcome := d.check(h); outcome != loses {
			if outcome == passes && (left || d.undecided(h) || d.untried(h)) {
				outcome = waits
			}
			best, f.ip, f.pool, f.outcome, f.bound, f.left = h, h.ip, d.poolOf(h), outcome, h.bound, left
		}
	}
	return f
}

// fits reports whether a hold may fill a slot: because the present configuration allows it, or
// because it is left to others, who may have another one.
func (d *draft) fits(h *hold, s slot) (fits, left bool) {
	switch {
	case h.void && !d.t.off.void, family(h.ip) != s.family, s.ip.IsValid() && s.ip != h.ip, slices.Contains(d.off, h.ip):
		return false, false
	case h.bound:
	case (h.shown || h.was) && d.v.reserved(h.ip) != "", !h.shown && !h.was && d.barred(h.ip) != "":
		return false, false
	}
	if d.allows(h, s) {
		return true, false
	}
	left = d.leaves(h)
	return left, left && !d.t.off.unknown
}

func (d *draft) preferred(a, b *hold) bool {
	if x, y := d.e.conflict(a.ip) != nil, d.e.conflict(b.ip) != nil; x != y {
		return y
	}
	off := &d.t.off
	for _, by := range [][2]bool{{a.bound, b.bound}, {a.was && !off.was, b.was && !off.was}, {a.said && !off.said, b.said && !off.said}, {a.shown, b.shown}} {
		if by[0] != by[1] {
			return by[0]
		}
	}
	return a.ip.Less(b.ip)
}

// untried reports whether it is not known yet if a station has the address of a claim. One that the
// Service shows was in use before.
func (d *draft) untried(h *hold) bool {
	if h.bound || h.shown || h.was {
		return false
	}
	at := d.v.proof(h.ip)
	d.again = earliest(d.again, at)
	return !at.IsZero()
}

// check is the check of a hold; a claim that has waited too long for its rival gives up.
func (d *draft) check(h *hold) outcome {
	outcome, rival := d.t.check(d.e, h)
	if outcome == waits && !h.bound {
		d.waiting = fmt.Sprintf("%s is held by %s too, which has to give it up", h.ip, rival.s.Key())
		if !h.shown && d.e.impatient(d.v.Now) {
			outcome = loses
		}
	}
	return outcome
}

// settle decides what becomes bound, and what of the rest is kept until it is replaced.
func (d *draft) settle() {
	ready, missing := 0, 0
	for _, f := range d.slots {
		ready += btoi(f.bound || f.ip.IsValid() && !f.fresh && f.outcome == passes)
		missing += btoi(!f.ip.IsValid())
	}
	together := d.e.req.need > 1 || d.whole
	for _, f := range d.slots {
		if !f.ip.IsValid() {
			continue
		}
		h := d.e.at(f.ip)
		switch {
		case f.bound:
			d.outs = append(d.outs, out{ip: f.ip, pool: f.pool, leased: true, bound: true, shown: true})
		case f.fresh:
			d.outs = append(d.outs, out{ip: f.ip, pool: f.pool, leased: true})
		case f.outcome == passes && (!together || ready == len(d.slots)):
			d.outs = append(d.outs, out{ip: f.ip, pool: f.pool, leased: true, bound: true, shown: true})
		case together && missing > 0 && !h.shown && !f.left: // both or none
		default:
			d.outs = append(d.outs, kept(h))
		}
	}
	d.keepBeside()
	d.keepReplaced()
}

// keepBeside keeps what another speaker has claimed beside a hold that is left to others: it may be
// to replace that one, or, of the other family, to go with what does.
func (d *draft) keepBeside() {
	for i := range d.e.holds {
		h := &d.e.holds[i]
		if !d.left() || !h.leased || h.void || h.bound || d.out(h.ip) != nil || !d.awaits(h) {
			continue
		}
		if outcome := d.check(h); outcome != loses {
			d.outs = append(d.outs, kept(h))
		}
	}
}

// keepReplaced keeps old addresses that are in use until their family has a bound one.
func (d *draft) keepReplaced() {
	for i := range d.e.holds {
		h := &d.e.holds[i]
		if d.out(h.ip) != nil || !h.shown || !d.wants(family(h.ip)) || d.hasBound(family(h.ip)) {
			continue
		}
		if outcome := d.check(h); outcome != loses && !d.revoked(h) {
			d.outs = append(d.outs, kept(h))
			if why := d.unfit(h); why != "" && d.fail != nil && d.revokeAfter(h.ip) == never {
				d.fail.add("", fmt.Sprintf("it keeps %s for now, which %s", h.ip, why))
			}
		}
	}
}

func (d *draft) wants(f int) bool {
	return slices.ContainsFunc(d.slots, func(s filled) bool { return s.family == f })
}

func (d *draft) hasBound(f int) bool {
	return slices.ContainsFunc(d.outs, func(o out) bool {
		return family(o.ip) == f && o.bound && slices.ContainsFunc(d.slots, func(s filled) bool { return s.ip == o.ip })
	})
}

func (d *draft) out(ip netip.Addr) *out {
	for i := range d.outs {
		if d.outs[i].ip == ip {
			return &d.outs[i]
		}
	}
	return nil
}
