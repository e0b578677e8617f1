package lease

import (
	"fmt"
	"net/netip"
	"slices"
)

// serve gives the Service what it wishes.
func (d *draft) serve() {
	if text := d.never(); text != "" {
		d.hold()
		d.failing().say(text)
		return
	}
	d.assign()
	d.pick()
	d.settle()
	d.write("")
}

// never says why a wish cannot be granted with this configuration, whatever is free.
func (d *draft) never() string {
	e, pools := d.e, d.v.Pools
	if e.wrong != nil {
		return e.wrong.Error()
	}
	if e.req.pool != "" {
		q := pools.byName[e.req.pool]
		if q == nil {
			return fmt.Sprintf("annotation %s asks for pool %q, which does not exist", d.e.req.poolFrom, clip(e.req.pool))
		}
		if why := d.refusal(q); why != "" {
			return fmt.Sprintf("annotation %s asks for pool %q, which %s", d.e.req.poolFrom, q.Name, why)
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
			return fmt.Sprintf("%s asks for %s, which is %s", e.req.source, s.ip, pools.missing(s.ip))
		}
		if why := d.refusal(q); why != "" {
			return fmt.Sprintf("%s asks for %s of pool %q, which %s", e.req.source, s.ip, q.Name, why)
		}
		if e.req.pool != "" && q.Name != e.req.pool {
			return fmt.Sprintf("%s asks for %s, which is in pool %q, but annotation %s asks for pool %q", e.req.source, s.ip, q.Name, e.req.poolFrom, e.req.pool)
		}
	}
	return ""
}

// assign fills the slots with what the Service holds already: what is bound before what is shown
// before what is claimed, then the lowest address.
func (d *draft) assign() {
	for _, s := range d.e.req.slots {
		var best *hold
		f := filled{family: s.family, asked: s.ip}
		for i := range d.e.holds {
			h := &d.e.holds[i]
			if !d.fits(h, s) || best != nil && !preferred(h, best) {
				continue
			}
			if verdict := d.check(h); verdict != loses {
				if verdict == passes && (d.undecided(h) || d.untried(h)) {
					verdict = waits
				}
				best, f.ip, f.pool, f.verdict, f.bound = h, h.ip, d.poolOf(h), verdict, h.bound
			}
		}
		d.slots = append(d.slots, f)
	}
}

// fits reports whether a hold may fill a slot under the present configuration.
func (d *draft) fits(h *hold, s slot) bool {
	if family(h.ip) != s.family || s.ip.IsValid() && s.ip != h.ip {
		return false
	}
	if h.bound && d.v.Freeze {
		return true
	}
	q := d.home(h)
	if q == nil {
		return false
	}
	if serves, known := d.serves(q); known && !serves {
		return false
	}
	if d.e.req.pool != "" && q.Name != d.e.req.pool {
		return false
	}
	switch {
	case h.bound:
	case h.shown && d.v.reserved(h.ip) != "", !h.shown && d.v.barred(h.ip) != "":
		return false
	}
	asked := s.ip.IsValid() || d.e.req.pool != ""
	return asked || h.shown || q.AutoAssign
}

func preferred(a, b *hold) bool {
	if x, y := a.strength(), b.strength(); x != y {
		return x > y
	}
	return a.ip.Less(b.ip)
}

// untried reports whether it is not known yet if a station has the address of a claim. One that the
// Service shows was in use before.
func (d *draft) untried(h *hold) bool {
	if h.bound || h.shown {
		return false
	}
	at := d.v.proof(h.ip)
	d.again = earliest(d.again, at)
	return !at.IsZero()
}

// check is the check of a hold; a claim that has waited too long for its rival gives up.
func (d *draft) check(h *hold) verdict {
	verdict, rival := d.t.check(d.e, h)
	if verdict == waits && !h.bound {
		d.waiting = fmt.Sprintf("%s is held by %s too, which has to give it up", h.ip, rival.s.Key())
		if !h.shown && d.e.impatient(d.v.Now) {
			verdict = loses
		}
	}
	return verdict
}

// settle decides what becomes bound, and what of the rest is kept until it is replaced.
func (d *draft) settle() {
	ready, missing := 0, 0
	for _, f := range d.slots {
		ready += btoi(f.bound || f.ip.IsValid() && !f.fresh && f.verdict == passes)
		missing += btoi(!f.ip.IsValid())
	}
	together := d.e.req.need > 1
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
		case f.verdict == passes && (!together || ready == len(d.slots)):
			d.outs = append(d.outs, out{ip: f.ip, pool: f.pool, leased: true, bound: true, shown: true})
		case together && missing > 0 && !h.shown: // both or none
		default:
			d.outs = append(d.outs, kept(h))
		}
	}
	d.keepReplaced()
}

// keepReplaced keeps old addresses that are in use until their family has a bound one.
func (d *draft) keepReplaced() {
	for i := range d.e.holds {
		h := &d.e.holds[i]
		if d.out(h.ip) != nil || !h.shown || !d.wants(family(h.ip)) || d.hasBound(family(h.ip)) {
			continue
		}
		if verdict := d.check(h); verdict != loses {
			d.outs = append(d.outs, kept(h))
			if why := d.unfit(h); why != "" && d.fail != nil {
				d.fail.say(fmt.Sprintf("it keeps %s for now, which %s", h.ip, why))
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
