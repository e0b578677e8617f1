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
	lease      []Item
	ingress    []netip.Addr
	setIngress bool
	bound      []string // pools of the bound addresses
	picks      []netip.Addr
	events     []Event
	fail       *failure  // what is missing and cannot be had, or nil
	waiting    string    // which rival a claim waits for, or ""
	again      time.Time // when a claim is proven to be nobody else's, or zero
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
	apart [2]bool   // families that some pool has, but not together with the other one
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
	case e.foreign(v.Installation):
		d.leaveAlone()
	case v.Freeze && e.s.Type == typeLoadBalancer && e.s.Class != v.Class: // another member may serve that class
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
	if !d.e.managed(d.v) {
		return
	}
	text := fmt.Sprintf("its lease belongs to the installation %q, not to this one: remove the annotation %s if that one is gone", clip(d.e.by), LeaseAnnotation)
	if d.e.by == d.v.Installation {
		if slices.ContainsFunc(d.e.holds, func(h hold) bool { return h.bound }) {
			return // and is announced
		}
		text = fmt.Sprintf("its lease has version %d, of a later release", d.e.v)
	}
	d.failing().say(text)
}

// giveUp releases what our lease holds of a Service that is not ours any more.
func (d *draft) giveUp() {
	if !d.e.leased() || d.e.by != d.v.Installation {
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
		if verdict := d.check(h); verdict != loses && (h.bound || h.shown) {
			d.outs = append(d.outs, kept(h))
		}
	}
	d.write("")
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
