package lease

import (
	"slices"
	"time"
)

// While a configuration spreads, and for as long as it does not reach some speaker, speakers have
// different pools. Each then knows holds that others do not understand:
//
//	a hold that this speaker's pools do not allow         is
//	bound, while members are known to differ              kept (View.Freeze)
//	claimed or bound by another speaker, as news          left to that one, for patience, or for grace if it is dead
//	claimed by another speaker, while members differ      the same
//	claimed by another speaker beside one of these        the same: it may be to replace that one
//	shown by another implementation, while they differ    left to those who may know its pool, for grace
//	anything else                                         given up or replaced
//
// Nobody binds what its pools do not allow: a claim is as easily forged as written. So a claim ends
// in one of three ways: those who know its pool bind it; its writer, who gets another
// configuration, gives it up; or all who know it are gone, and the others give it up when their
// time has come, and serve the Service from what they know.
const (
	// grace is how long a hold is left to those who may know its pool, but do not seem to live.
	grace = 2 * interval
	// behind is how much later than those of one configuration the speakers of the next one act.
	behind = 200 * time.Millisecond
	// hush is how long a failure must last before it is reported, while members have different
	// configurations, or another allocator may see to it.
	hush = 5 * time.Second
)

func (v *View) alive(node string) bool { return v.Alive != nil && v.Alive(node) }

// allows reports whether the present configuration lets a hold fill a slot.
func (d *draft) allows(h *hold, s slot) bool {
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
	asked := s.ip.IsValid() || d.e.req.pool != ""
	if !asked && !h.shown && !q.AutoAssign {
		return false
	}
	if h.bound {
		h.news = time.Time{}
	}
	return true
}

// leaves reports whether a hold that this configuration does not allow is left to other speakers
// for now.
func (d *draft) leaves(h *hold) bool {
	e, v := d.e, d.v
	switch {
	case h.void:
		return false
	case h.bound && v.Freeze:
		return true
	case d.t.off.others && !h.bound:
		return false
	case h.leased:
		return (v.Freeze || !h.news.IsZero()) && d.awaits(h)
	}
	return v.Freeze && !e.leased() && d.awaits(h) // else it has been decided about
}

// awaits reports whether another speaker may still be about to do something about a hold: the one
// that wrote it, or, of what is only shown, any that knows its pool.
func (d *draft) awaits(h *hold) bool {
	e, v := d.e, d.v
	if h.leased && (e.from == "" || e.from == v.Self) {
		return false
	}
	wait := grace
	if h.leased && v.alive(e.from) {
		wait = patience
	}
	if h.news.IsZero() {
		h.news = v.Now
	}
	until := h.news.Add(wait)
	if !v.Now.Before(until) {
		return false
	}
	d.again = earliest(d.again, earliest(until, v.Now.Add(grace))) // its writer may die meanwhile
	return true
}

// left reports whether a slot is filled by what is left to others.
func (d *draft) left() bool {
	return slices.ContainsFunc(d.slots, func(f filled) bool { return f.left })
}

// claims reports whether the lease has an address that is not bound.
func (e *entry) claims() bool {
	return slices.ContainsFunc(e.holds, func(h hold) bool { return h.leased && !h.bound })
}
