package lease

import "slices"

// match lets both addresses of a dual-stack Service come from one pool, where that is still open:
// two claims of one pool come before an address in use and one claim, and a claim that matches
// nothing is given up. What is asked for, and two addresses in use, stay as they are.
func (d *draft) match() {
	if len(d.slots) < 2 || d.v.Freeze || d.asksForAny() || d.left() {
		return
	}
	a, b := &d.slots[0], &d.slots[1]
	if !a.ip.IsValid() || !b.ip.IsValid() || a.pool == b.pool || d.inUse(a) && d.inUse(b) {
		return
	}
	if d.inUse(b) {
		a, b = b, a
	}
	pools := []string{b.pool, a.pool}
	if d.inUse(a) {
		pools = pools[:1]
	}
	for _, name := range pools {
		x, y := d.best(d.e.req.slots[0], name), d.best(d.e.req.slots[1], name)
		if x.ip.IsValid() && y.ip.IsValid() {
			d.slots[0], d.slots[1], d.whole = x, y, true
			return
		}
	}
	*b = d.best(slot{family: b.family}, a.pool)
}

func (d *draft) inUse(f *filled) bool { return d.e.at(f.ip).shown }

// mayMove reports whether a Service may leave the pool that it has an address of for one that has
// both families: if it requires both, or shows an address that it may not have any more. A family
// that it never had is no reason.
func (d *draft) mayMove(open []int) bool {
	if len(open) == len(d.slots) || d.asksForAny() {
		return false
	}
	return d.e.req.need > 1 || slices.ContainsFunc(d.e.holds, func(h hold) bool {
		return h.shown && d.slots[open[0]].family == family(h.ip) && d.unfit(&h) != ""
	})
}

// asksForAny reports whether the Service asks for a pool or an address.
func (d *draft) asksForAny() bool {
	return d.e.req.pool != "" || slices.ContainsFunc(d.slots, func(s filled) bool { return s.asked.IsValid() })
}

// others adds to the pool of the address that stays those that the Service could move to.
func (d *draft) others(pools []*pool) []*pool {
	more, _ := d.served()
	return slices.Concat(pools, slices.DeleteFunc(more, func(q *pool) bool { return slices.Contains(pools, q) }))
}

// moveWhole fills all slots anew from a pool that can fill all of them, or changes nothing.
func (d *draft) moveWhole(pools []*pool) {
	stay, all := slices.Clone(d.slots), make([]int, len(d.slots))
	for i := range d.slots {
		all[i], d.slots[i] = i, filled{family: d.slots[i].family}
	}
	if d.whole = d.pickFromAny(pools, all, len(all)); !d.whole {
		copy(d.slots, stay)
	}
}
