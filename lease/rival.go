package lease

// verdict is the outcome of the check of a hold.
type verdict int

const (
	passes verdict = iota // nobody else holds the address who may not share it
	waits                 // somebody does, and has to give it up
	loses                 // somebody does, and comes first
)

// strength orders holds: bound comes before shown in ingress, and that before a mere claim.
func (h *hold) strength() int {
	switch {
	case h.bound:
		return 2
	case h.shown:
		return 1
	}
	return 0
}

// check compares a hold with all others on its address and returns the rival that decided. Of two
// holds that may not share, the stronger wins, of equals the older Service: a total order, so
// somebody always keeps the address and nobody waits in a circle.
func (t *Table) check(e *entry, h *hold) (verdict, *entry) {
	if t.off.check {
		return passes, nil
	}
	result, by := passes, (*entry)(nil)
	for _, o := range t.holds[h.ip] {
		if o == e {
			continue
		}
		r := o.at(h.ip)
		if t.ignores(o, r) || t.clash(e, o) == "" {
			continue
		}
		if t.beats(o, r, e, h) {
			return loses, o
		}
		if by == nil {
			result, by = waits, o
		}
	}
	return result, by
}

func (t *Table) beats(o *entry, r *hold, e *entry, h *hold) bool {
	if a, b := r.strength(), h.strength(); a != b {
		return a > b
	}
	if t.off.tie {
		return true
	}
	return older(o, e) < 0
}

// ignores is never true outside tests, which take away the rule that this is a hold.
func (t *Table) ignores(o *entry, r *hold) bool {
	return t.off.claims && !r.bound && !r.shown ||
		t.off.ingress && !r.leased ||
		t.off.types && o.s.Type != typeLoadBalancer
}
