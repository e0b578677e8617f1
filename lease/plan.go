package lease

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// plan is what is to be done about one Service, decided from the table and a View, no matter by
// which speaker: at most one write, or else what is missing.
type plan struct {
	kind       string // "" when there is nothing to write
	pool       string // whose rank acts
	lease      []LeaseIP
	ingress    []netip.Addr
	setIngress bool
	bound      []string // pools of the bound addresses
	picks      []netip.Addr
	events     []Event
	fail       *failure // what is missing and cannot be had, or nil
	waiting    string   // which rival a claim waits for, or ""
}

// failure says what is missing and when to try again: when one of the addresses changes, when its
// turn comes in a queue, at a time; else when the Service or the configuration changes.
type failure struct {
	texts []string // for the user; none if it will be over in a moment
	ips   []netip.Addr
	queue string
	pools []string // of the queue
	count string   // the pool in whose count it is, or ""
	wake  time.Time
}

func (f *failure) say(text string) {
	if text != "" && !slices.Contains(f.texts, text) {
		f.texts = append(f.texts, text)
	}
}

func (f *failure) text() string { return strings.Join(f.texts, "; ") }

// draft is a plan in the making.
type draft struct {
	t     *Table
	v     *View
	e     *entry
	slots []filled
	outs  []out
	wake  time.Time // when a released address will have rested
	lacks []string  // what no pool could give
	plan
}

// failing returns the failure of the plan, which there is from now on.
func (d *draft) failing() *failure {
	if d.fail == nil {
		d.fail = &failure{}
	}
	return d.fail
}

// filled is a slot and what fills it: a hold, a pick, or nothing (an invalid address).
type filled struct {
	family  int
	asked   netip.Addr
	ip      netip.Addr
	pool    string
	verdict verdict
	bound   bool
	fresh   bool // picked now
}

// out is an address as the Service holds it after the write.
type out struct {
	ip                   netip.Addr
	pool                 string
	leased, bound, shown bool
}

// plan decides about a Service.
func (t *Table) plan(e *entry, v *View) plan {
	d := &draft{t: t, v: v, e: e}
	switch {
	case e.foreign(v):
		d.leaveAlone()
	case !e.managed(v):
		d.giveUp()
	case e.s.Deleting:
		d.hold()
	default:
		d.serve()
	}
	return d.plan
}

// leaveAlone explains why a Service that is ours gets no address.
func (d *draft) leaveAlone() {
	if !d.e.managed(d.v) || slices.ContainsFunc(d.e.holds, func(h hold) bool { return h.bound }) {
		return
	}
	text := fmt.Sprintf("its lease belongs to the installation %q, not to this one: remove the annotation %s if that one is gone", clip(d.e.lease.By), LeaseAnnotation)
	if d.e.lease.By == d.v.Installation {
		text = fmt.Sprintf("its lease has version %d, of a later release", d.e.lease.V)
	}
	d.failing().say(text)
}

// giveUp releases what our lease holds of a Service that is not ours any more.
func (d *draft) giveUp() {
	if len(d.e.lease.IPs) == 0 || d.e.lease.By != d.v.Installation {
		return
	}
	for _, h := range d.e.holds {
		if !h.leased {
			d.outs = append(d.outs, out{ip: h.ip, shown: true})
		}
	}
	d.write("the Service is no load balancer of ours any more")
}

// hold keeps what is bound or shown and gives up claims, for Services that go away or whose wish
// cannot be read.
func (d *draft) hold() {
	for i := range d.e.holds {
		h := &d.e.holds[i]
		if verdict, _ := d.check(h); verdict != loses && (h.bound || h.shown) {
			d.outs = append(d.outs, kept(h))
		}
	}
	d.write("")
}

// serve gives the Service what it wishes.
func (d *draft) serve() {
	if text := d.refusal(); text != "" {
		d.hold()
		d.failing().say(text)
		return
	}
	d.assign()
	d.pick()
	d.settle()
	d.write("")
}

// refusal says why a wish can never be granted with this configuration.
func (d *draft) refusal() string {
	e, pools := d.e, d.v.Pools
	if e.wrong != nil {
		return e.wrong.Error()
	}
	if e.req.pool != "" && pools.byName[e.req.pool] == nil {
		return fmt.Sprintf("annotation %s asks for pool %q, which does not exist", d.e.req.poolFrom, clip(e.req.pool))
	}
	for _, s := range e.req.slots {
		if !s.ip.IsValid() {
			continue
		}
		q := pools.of(s.ip)
		if q == nil {
			return fmt.Sprintf("%s asks for %s, which is in no pool", e.req.source, s.ip)
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
			if verdict, _ := d.check(h); verdict != loses {
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
	q := d.v.Pools.of(h.ip)
	if q == nil {
		return h.bound && d.v.Freeze
	}
	if d.e.req.pool != "" && q.Name != d.e.req.pool {
		return false
	}
	if !h.bound && d.v.reserved(h.ip) != "" {
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

// check is the check of a hold; a claim that has waited too long for its rival gives up.
func (d *draft) check(h *hold) (verdict, *entry) {
	verdict, rival := d.t.check(d.e, h)
	if verdict == waits && !h.bound {
		d.waiting = fmt.Sprintf("%s is held by %s too, which has to give it up", h.ip, rival.key)
		if !h.shown && d.e.impatient(d.v.Now) {
			verdict = loses
		}
	}
	return verdict, rival
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
		if verdict, _ := d.check(h); verdict != loses {
			d.outs = append(d.outs, kept(h))
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

func kept(h *hold) out {
	return out{ip: h.ip, pool: h.pool, leased: h.leased, bound: h.bound, shown: h.shown}
}

// poolOf names the pool of a hold, by the configuration or else by the lease.
func (d *draft) poolOf(h *hold) string {
	if q := d.v.Pools.of(h.ip); q != nil {
		return q.Name
	}
	return h.pool
}

func joined(names []string) string {
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ",")
}
