package lease

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/health"
)

// Others write what speakers write: another load balancer, a script, somebody's hand, a manifest
// with an old lease in it. What a Service was bound to it gets back, whichever half of the bond was
// written over:
//
//	lease says bound    ingress shows    seen bound before    the Service gets
//	X                   X                -                    X
//	X                   Y                -                    X: somebody here has bound it
//	X                   nothing          -                    X
//	Z, or nothing       X                X                    X
//	Z                   X                never                Z, as in the second line
//	nothing             Y                never                Y: it is adopted
//
// Rivals that also hold X are beaten by a hold that was bound as by a bound one, since only a hand
// made it less. That is known to those who saw it; for the others it is a claim, or shown. Safety
// needs neither: an address is bound only when nobody else holds it.
//
// The first time this is put right at once, then after a wait that doubles up to 30 s, so that two
// who write against each other do not keep the API server busy. One event names the other one.
const (
	// peaceful is after how long without being overwritten a Service starts anew.
	peaceful = 10 * time.Minute
	// maxWriters bounds the writers that are remembered as reported for one Service.
	maxWriters = 4
)

// overwrites is what others did to the bonds of one Service.
type overwrites struct {
	times    int
	last     time.Time
	pending  bool     // it is not put right yet
	status   bool     // it was ingress that was overwritten
	writer   string   // of that, "" if nobody knows
	shows    string   // what was written there
	reported []string // writers that an event has named
}

// recall finds out, beside the holds of the revision before, what was bound and is not any more by
// a hand, and counts that. Speakers never do that: they give up both halves at once.
func (e *entry) recall(held []hold, now time.Time) {
	if !slices.ContainsFunc(held, func(o hold) bool { return o.bound || o.was }) {
		return
	}
	var half, whole, lease, status, more bool
	for i := range e.holds {
		h := &e.holds[i]
		o := hold{}
		if j := slices.IndexFunc(held, func(o hold) bool { return o.ip == h.ip }); j >= 0 {
			o = held[j]
		}
		h.was = (o.bound || o.was) && !h.bound && e.s.Type == typeLoadBalancer
		half, whole, more = half || h.was, whole || h.bound, more || !h.leased && !h.was
		lease = lease || h.was && o.said && !h.said
		status = status || h.was && o.shown && !h.shown || !h.leased && !h.was && !o.shown
	}
	pending := e.agenda != nil && e.over.pending
	switch {
	case !half && !whole: // nothing is left to be put right
		if pending {
			e.over.pending = false
		}
	case lease || status || pending && (half || more): // at once again, perhaps: the stream may not show what was between
		e.open()
		if now.Sub(e.over.last) >= peaceful {
			e.over = overwrites{}
		}
		e.over.times, e.over.last, e.over.pending, e.over.status = e.over.times+1, now, true, e.over.status && pending || status
		e.over.writer, e.over.shows = clip(e.s.Writer), some(e.s.Ingress, ", ")
	case pending:
		if e.over.pending = false; e.over.reports() { // by whoever put it right
			e.over.name(e.over.writer)
		}
	}
}

// name notes that an event has named a writer.
func (o *overwrites) name(writer string) {
	if !slices.Contains(o.reported, writer) && len(o.reported) < maxWriters {
		o.reported = append(slices.Clip(o.reported), writer)
	}
}

// reports reports whether an event is to name the writer. That ingress is empty once may have other
// reasons, and one that nobody knows the name of is likely the one that was named before.
func (o *overwrites) reports() bool {
	return o.status && (o.shows != "" || o.times > 1) && (o.writer != "" || len(o.reported) == 0) && len(o.reported) < maxWriters && !slices.Contains(o.reported, o.writer)
}

// calm is when a Service may be written to, of which somebody else overwrites what speakers write.
func (e *entry) calm() time.Time {
	if e.over.times < 2 {
		return time.Time{}
	}
	return e.over.last.Add(growing(e.over.times - 1))
}

// overwritten reports whether a hold is nothing but what somebody wrote into ingress over a bound
// address, or beside it.
func (e *entry) overwritten(h *hold) bool {
	return e.over.pending && e.over.status && !h.leased && !h.was
}

// by names the writer, as the end of a sentence.
func (o *overwrites) by() string {
	if o.writer == "" {
		return ""
	}
	return fmt.Sprintf(" by %q", o.writer)
}

// reportOverwritten makes the event of a write that puts ingress right.
func (d *draft) reportOverwritten(c changes) {
	right := slices.ContainsFunc(c.freed, d.e.overwritten) || slices.ContainsFunc(c.bound, func(o out) bool { return d.e.at(o.ip).was })
	if o := &d.e.over; right && o.pending && o.reports() {
		d.names = []string{o.writer}
		d.event(true, StatusOverwritten, "status.loadBalancer.ingress was set to %s%s: set back to %s",
			cmp.Or(o.shows, "nothing"), o.by(), cmp.Or(joinedAddrs(d.ingress), "nothing"))
		d.events[len(d.events)-1].Code = health.StatusOverwritten
	}
}

// rivalry says why the Service waits although it could be put right, for Waiting.
func (e *entry) rivalry() string {
	return fmt.Sprintf("its status or lease was overwritten%s %d times in a row, and is put right again in a while", e.over.by(), e.over.times)
}

func joinedAddrs(ips []netip.Addr) string {
	var texts []string
	for _, ip := range ips {
		texts = append(texts, ip.String())
	}
	return strings.Join(texts, ", ")
}
