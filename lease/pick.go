package lease

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/starling-lb/starling/health"
)

// recheck is how often a reserved address that is asked for is looked at again.
const recheck = 10 * time.Second

// onePool is the rule for both addresses of a dual-stack Service.
const onePool = "both families have to come from one pool"

// pick fills the empty slots with free addresses: those asked for, and the others from one pool.
func (d *draft) pick() {
	for i := range d.slots {
		if s := &d.slots[i]; !s.ip.IsValid() && s.asked.IsValid() {
			d.pickAsked(s)
		}
	}
	if !d.left() { // who knows that pool picks the rest
		d.pickAny()
	}
	if d.e.req.need > 1 && len(d.open()) > 0 {
		d.unpick()
	}
}

// pickAsked picks the address that was asked for.
func (d *draft) pickAsked(s *filled) {
	q, ip := d.v.Pools.of(s.asked), s.asked
	if q == nil {
		d.failing().add(health.AddressInNoPool, fmt.Sprintf("%s asks for %s, which is %s", d.e.req.source, ip, d.v.Pools.missing(ip)))
		return
	}
	var code health.Code
	text := ""
	if serves, _ := d.serves(q); !serves {
		d.failing() // until the labels of the namespace are known
		return
	}
	if why := d.barred(ip); why != "" {
		code, text = health.AddressReserved, fmt.Sprintf("%s asks for %s, which is reserved: %s", d.e.req.source, ip, why)
		if d.v.barred(ip) != "" { // who lists it in externalIPs is known by the stream
			d.again = earliest(d.again, d.v.Now.Add(recheck))
		}
	} else if o, why := d.t.obstacle(d.e, ip); o != nil {
		code, text = health.AddressHeld, fmt.Sprintf("%s asks for %s, which is held by %s%s", d.e.req.source, ip, o.s.Key(), why)
	} else if !d.counts(q, ip) && d.exhausted(q, 0) {
		r := d.overLimit(q)
		code, text = r.code, fmt.Sprintf("%s asks for %s, and %s", d.e.req.source, ip, r.text)
		d.failing().queue, d.failing().pools = limited(d.e.s.Namespace)+ip.String(), []string{q.Name}
	} else if again := d.e.again(ip); d.v.Now.Before(again) {
		d.again = earliest(d.again, again) // who withdrew the claim tells why
	} else if !d.t.inFlight(d.e, ip) {
		s.ip, s.pool, s.fresh = ip, q.Name, true
		return
	}
	fail := d.failing()
	fail.ips = append(fail.ips, ip)
	fail.count = q.Name
	fail.add(code, text)
}

// open returns the indices of the slots that nothing fills.
func (d *draft) open() []int {
	var open []int
	for i, s := range d.slots {
		if !s.ip.IsValid() {
			open = append(open, i)
		}
	}
	return open
}

// pickAny fills the slots that nothing was asked for from the first pool that can fill all of them;
// where one family is enough, else one slot from the first pool that can: the primary family first.
func (d *draft) pickAny() {
	open := d.unasked()
	if len(open) == 0 {
		return
	}
	pools, none := d.candidates()
	switch {
	case d.pickFromAny(d.ownFirst(pools), open, len(open)):
	case d.mayMove(open):
		if pools = d.others(pools); d.wake.IsZero() {
			d.moveWhole(pools)
		}
	case len(open) > 1 && d.e.req.need == 1:
		_ = d.pickFromAny(pools, open[:1], 1) || d.pickFromAny(pools, open[1:], 1)
	}
	if open = d.unasked(); len(open) > 0 {
		d.lack(open, pools, none)
	}
}

// unasked returns the open slots for which any address is right.
func (d *draft) unasked() []int {
	return slices.DeleteFunc(d.open(), func(i int) bool { return d.slots[i].asked.IsValid() })
}

// candidates are the pools to pick from, by priority: that of the address that the Service has
// already, or the one it asks for, or all for everybody; in any case only those that serve it.
func (d *draft) candidates() (pools []*pool, none refusal) {
	name := d.e.req.pool
	for _, s := range d.slots {
		if s.ip.IsValid() {
			name = s.pool
			break
		}
	}
	if q := d.v.Pools.byName[name]; q != nil {
		if serves, _ := d.serves(q); !serves {
			return nil, refusal{health.PoolRefuses, d.refusals([]*pool{q})}
		}
		if why := q.refuseAllocation(); why != "" {
			return nil, refusal{health.PoolRefuses, fmt.Sprintf("pool %q %s", q.Name, why)}
		}
		return []*pool{q}, none
	}
	return d.served()
}

// served are the pools for everybody that serve the Service, by priority, or why there is none.
func (d *draft) served() (pools []*pool, none refusal) {
	var refused []*pool
	for _, q := range d.v.Pools.order {
		switch serves, known := d.serves(q); {
		case !q.AutoAssign:
		case !known:
			return nil, none // it might be the one
		case serves:
			pools = append(pools, q)
		default:
			refused = append(refused, q)
		}
	}
	switch {
	case len(pools) > 0:
	case len(d.v.Pools.list) == 0:
		none = refusal{health.NoPool, "no pool is configured"}
	case len(refused) > 0:
		none = refusal{health.PoolRefuses, d.refusals(refused)}
	case d.v.Pools.given():
		d.failing().late = true
		none = refusal{health.NoAutomaticPool, "every pool has allocate: false, and no other allocator has given it an address"}
	default:
		none = refusal{health.NoAutomaticPool, "every pool has autoAssign false"}
	}
	return pools, none
}

func (d *draft) pickFromAny(pools []*pool, open []int, enough int) bool {
	return slices.ContainsFunc(pools, func(q *pool) bool { return d.pickFrom(q, open, enough) })
}

// pickFrom fills the open slots from one pool if it can fill enough of them.
func (d *draft) pickFrom(q *pool, open []int, enough int) bool {
	picks := make([]netip.Addr, len(open))
	defer d.t.weighAll(picks)
	found := 0
	for i, n := range open {
		if d.exhausted(q, found) {
			if ip, ok := d.shared(q, d.slots[n].family); ok && d.counts(q, ip) {
				picks[i] = ip
				found++
				continue
			}
			d.limited = true
			d.lacks = append(d.lacks, d.overLimit(q))
			continue
		}
		ip, ok, wake := d.free(q, d.slots[n].family)
		if !ok {
			d.wake = earliest(d.wake, wake)
			d.lacks = append(d.lacks, q.lacks(d.slots[n].family))
			continue
		}
		picks[i] = ip
		found++
		if len(open) > 1 {
			d.t.expect(ip) // so that the other family goes to another node
		}
	}
	if found < enough {
		for i, n := range open {
			d.apart[d.slots[n].family] = d.apart[d.slots[n].family] || picks[i].IsValid()
		}
		return false
	}
	for i, n := range open {
		if s := &d.slots[n]; picks[i].IsValid() {
			s.ip, s.pool, s.fresh = picks[i], q.Name, true
		}
	}
	return true
}

// lack records that slots could not be filled. That the second family is missing where it need not
// be there is no news.
func (d *draft) lack(open []int, pools []*pool, none refusal) {
	fail := d.failing()
	fail.wake = earliest(fail.wake, d.wake)
	moves := d.mayMove(open)
	if len(open) == len(d.slots) || d.e.req.need > 1 || moves {
		fail.add(none.code, none.text)
		for _, r := range d.lacks {
			fail.add(r.code, r.text)
		}
		if (d.e.req.need > 1 || moves) && (d.apart == [2]bool{true, true} || len(open) < len(d.slots)) {
			fail.add(health.FamiliesApart, onePool)
		}
		if len(pools) > 0 {
			fail.count = pools[0].Name
		}
	}
	if fail.queue = d.queueName(open, pools); d.limited {
		fail.queue = limited(d.e.s.Namespace) + fail.queue
	}
	for _, q := range pools {
		fail.pools = append(fail.pools, q.Name)
	}
}

func (q *pool) lacks(f int) refusal {
	if len(q.spans[f]) == 0 {
		return refusal{health.FamilyMissing, fmt.Sprintf("pool %q has no %s range", q.Name, familyName(f))}
	}
	return refusal{health.PoolFull, fmt.Sprintf("pool %q has no free %s address", q.Name, familyName(f))}
}

// queueName tells apart what Services want.
func (d *draft) queueName(open []int, pools []*pool) string {
	words := []string{strconv.Itoa(d.e.req.need)}
	for _, i := range open {
		words = append(words, familyName(d.slots[i].family))
	}
	words = append(words, "/") // no pool is named so, but one may be named like a family
	for _, q := range pools {
		words = append(words, q.Name)
	}
	return strings.Join(words, " ")
}

// free finds an address of a pool: the one that is reserved for the Service, else the one that a
// Service of this name had, else one that those with the same sharing key have, else a free one.
func (d *draft) free(q *pool, f int) (netip.Addr, bool, time.Time) {
	if ip, ok := d.kept(q, f); ok {
		return ip, true, time.Time{}
	}
	if ip, ok := d.former(q, f); ok {
		return ip, true, time.Time{}
	}
	if ip, ok := d.shared(q, f); ok {
		return ip, true, time.Time{}
	}
	return d.t.freeLists[q.Name][f].first(&facts{
		now:      d.v.Now,
		taken:    d.t.taken,
		reserved: func(ip netip.Addr) bool { return d.v.barred(ip) != "" },
		rested:   d.v.Rested,
		loads:    d.t.counted(),
	})
}

func (d *draft) shared(q *pool, f int) (best netip.Addr, ok bool) {
	if d.e.req.share == "" {
		return netip.Addr{}, false
	}
	for ip := range d.t.keys[d.e.req.share] { // there may be thousands: the lowest one is found without sorting
		if family(ip) != f || ok && best.Less(ip) || d.v.Pools.of(ip) != q || d.barred(ip) != "" || slices.Contains(d.off, ip) {
			continue
		}
		if !d.t.hindered(d.e, ip) && !d.t.inFlight(d.e, ip) {
			best, ok = ip, true
		}
	}
	return best, ok
}

// unpick takes back the picks of a Service that needs all of its addresses or none.
func (d *draft) unpick() {
	for i := range d.slots {
		if s := &d.slots[i]; s.fresh {
			s.ip, s.pool, s.fresh = netip.Addr{}, "", false
		}
	}
}

// taken reports whether anybody holds an address or lists it in externalIPs, or has just been
// picked for it.
func (t *Table) taken(ip netip.Addr) bool {
	return len(t.flying[ip]) > 0 || len(t.externals[ip]) > 0 && !t.off.external || slices.ContainsFunc(t.holds[ip], func(o *entry) bool { return !t.ignores(o, o.at(ip)) })
}

// inFlight reports whether the address was just picked for somebody that e may not share it with.
func (t *Table) inFlight(e *entry, ip netip.Addr) bool {
	return slices.ContainsFunc(t.flying[ip], func(o *entry) bool { return t.clash(e, o, ip) != "" })
}

// hindered reports whether somebody holds the address whom e may not share it with.
func (t *Table) hindered(e *entry, ip netip.Addr) bool {
	return slices.ContainsFunc(t.holds[ip], func(o *entry) bool {
		return o != e && !t.ignores(o, o.at(ip)) && t.clash(e, o, ip) != ""
	})
}

// obstacle returns a Service that holds the address and that e may not share it with, and why not.
func (t *Table) obstacle(e *entry, ip netip.Addr) (*entry, string) {
	for _, o := range t.holds[ip] {
		if o == e || t.ignores(o, o.at(ip)) {
			continue
		}
		if t.clash(e, o, ip) != "" {
			return o, t.whyNot(e, o, ip)
		}
	}
	return nil, ""
}

// whyNot says why two Services may not share an address, as the end of a sentence, if one of them
// wants to.
func (t *Table) whyNot(e, o *entry, ip netip.Addr) string {
	if e.req.share == "" && o.req.share == "" {
		return ""
	}
	return ", and they may not share it: " + t.clash(e, o, ip)
}

// earliest is the earlier of two times, where zero means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
