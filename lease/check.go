package lease

// outcome is the outcome of the check of a hold.
type outcome int

const (
	passes outcome = iota // nobody else holds the address who may not share it
	waits                 // somebody does, and has to give it up
	loses                 // somebody does, and comes first
)

// strength orders holds: bound comes before what was bound until a hand made it less, that before
// shown in ingress, and that before a mere claim. Against a Service that nobody here may change,
// what was bound is no more than what it is now: it could wait forever.
func (t *Table) strength(h *hold, against *entry) int {
	switch {
	case h.bound:
		return 3
	case h.was && !t.off.outdone && t.serves(against):
		return 2
	case h.shown:
		return 1
	}
	return 0
}

// serves reports whether a Service is for the speakers here to serve.
func (t *Table) serves(e *entry) bool {
	return e.s.Type == typeLoadBalancer && t.seen.classes.Has(e.s.Class) && !e.foreign(t.seen.installation)
}

// check compares a hold with all others on its address and returns the rival that decided. Of two
// holds that may not share, the stronger wins, of two that are bound the one that was not edited,
// of equals the older Service: a total order, so somebody always keeps the address and nobody waits
// in a circle.
func (t *Table) check(e *entry, h *hold) (outcome, *entry) {
	if t.off.check {
		return passes, nil
	}
	result, by := passes, (*entry)(nil)
	for _, o := range t.holds[h.ip] {
		if o == e {
			continue
		}
		r := o.at(h.ip)
		if t.ignores(o, r) || t.clash(e, o, h.ip) == "" {
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
	if a, b := t.strength(r, e), t.strength(h, o); a != b {
		return a > b
	}
	if t.off.tie {
		return true
	}
	if h.bound && o.edited != e.edited && !t.off.edited {
		return e.edited
	}
	return older(o, e) < 0
}

// ignores is never true outside tests, which take away the rule that this is a hold.
func (t *Table) ignores(o *entry, r *hold) bool {
	return t.off.claims && !r.bound && !r.shown ||
		t.off.ingress && !r.leased ||
		t.off.types && o.s.Type != typeLoadBalancer
}
