package lease

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/health"
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
	fail       *failure             // what is missing and cannot be had, or nil
	waiting    string               // which rival a claim waits for, or ""
	names      []string             // writers that the events name, see overwrites
	again      time.Time            // when to look again, whoever is first in a queue, or zero
	strays     map[netip.Addr]stray // what the Service has, may not have and has to give up
	conflicts  []Conflict
	alone      bool // only this speaker sees that it is needed, so it is its turn whatever its rank
}

// failure says what is missing and when to try again: when one of the addresses changes, when its
// turn comes in a queue, at a time; else when the Service or the configuration changes.
type failure struct {
	why   []refusal // for the user; none if it will be over in a moment
	ips   []netip.Addr
	queue string
	pools []string // of the queue
	count string   // the pool in whose count it is, or ""
	late  bool     // another allocator may still see to it, so that it is reported later
	wake  time.Time
}

// refusal is a rule that refused, by the code of the condition that this makes, and in words. What
// is said besides has no code.
type refusal struct {
	code health.Code
	text string
}

func (f *failure) add(code health.Code, text string) {
	if r := (refusal{code, text}); text != "" && !slices.Contains(f.why, r) {
		f.why = append(f.why, r)
	}
}

func (f *failure) text() string {
	texts := make([]string, len(f.why))
	for i, r := range f.why {
		texts[i] = r.text
	}
	return strings.Join(texts, "; ")
}

// code is that of the worst refusal, and of those that are equally bad of the first.
func (f *failure) code() (code health.Code) {
	for _, r := range f.why {
		if code == "" || r.code != "" && r.code.Rule().Severity.Compare(code.Rule().Severity) < 0 {
			code = r.code
		}
	}
	return code
}

// draft is a plan in the making.
type draft struct {
	t       *Table
	v       *View
	e       *entry
	slots   []filled
	outs    []out
	wake    time.Time    // when a released address will have rested
	lacks   []refusal    // what no pool could give
	apart   [2]bool      // families that some pool has, but not together with the other one
	whole   bool         // all slots move to another pool, and none without the others
	off     []netip.Addr // held, and to be replaced
	limited bool         // some pool gives its namespace no more
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
	outcome outcome
	bound   bool
	fresh   bool // picked now
	left    bool // to others, who may know its pool
}

// out is an address as the Service holds it after the write.
type out struct {
	ip                   netip.Addr
	pool                 string
	leased, bound, shown bool
}

// plan decides about a Service.
func (t *Table) plan(e *entry, v *View) plan {
	d := newDraft(t, v, e)
	switch {
	case e.foreign(v.Installation):
		d.leaveAlone()
	case t.others(e): // it stays as it stands
	case v.Freeze && e.s.Type == typeLoadBalancer && !v.Classes.Has(e.s.Class): // another member may serve that class
	case !e.managed(v):
		d.giveUp()
	case e.s.Deleting:
		d.hold(false)
	default:
		if p, ok := t.evade(e, v); ok {
			return p
		}
		d.fulfill()
	}
	return d.plan
}

func newDraft(t *Table, v *View, e *entry) *draft {
	return &draft{t: t, v: v, e: e, plan: plan{conflicts: e.conflicts}}
}

// leaveAlone explains why a Service that is ours gets no address.
func (d *draft) leaveAlone() {
	if !d.e.managed(d.v) {
		return
	}
	code, text := health.LeaseForeign, fmt.Sprintf("its lease belongs to the installation %q, not to this one", clip(d.e.by))
	if d.e.by == d.v.Installation {
		if slices.ContainsFunc(d.e.holds, func(h hold) bool { return h.bound }) {
			return // and is announced
		}
		code, text = health.LeaseNewer, fmt.Sprintf("its lease has version %d, of a later release", d.e.v)
	}
	d.failing().add(code, text)
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

// hold keeps what is bound or shown and gives up claims, for Services that go away or whose request
// cannot be read or granted here; of claims those that others may know how to grant stay.
func (d *draft) hold(claims bool) {
	for i := range d.e.holds {
		h := &d.e.holds[i]
		if outcome := d.check(h); outcome != loses && (h.bound || h.shown || claims && d.leaves(h)) && !d.revoked(h) {
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
