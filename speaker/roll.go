package speaker

import (
	"net/netip"
	"time"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/watcher"
)

// roll is the outcome of the last turn and what it depended on. A turn elects anew for the addresses of which
// something changed, and when the members did it shifts all: so an edit among many addresses costs little more
// than looking at each of them, and the death of a member hardly more than comparing what it owned.
type roll struct {
	vips   []lease.VIP
	seats  []*seat // of vips, in the same order
	voters *owner.Electorate
	scopes scopes
	poll   *owner.Poll  // among the voters
	shift  *owner.Shift // from the poll of the turn before; nil: it is the same, or the first
	room   []seat       // for those of this turn
}

// seatsAtOnce is how many seats share a piece of memory. All of it is kept as long as one of them is.
const seatsAtOnce = 64

// seat is a bound address at its election. Views show it, so after its turn it is not changed, but replaced.
type seat struct {
	candidate owner.VIP
	elected   owner.Verdict  // by the members
	left      *owner.Verdict // what holds instead; nil: elected
	since     time.Time      // since when the owner is it
	stale     bool           // the candidate is of an earlier turn
	warned    bool           // that nobody is eligible
	from      string         // the owner before
	cause     string         // of the change, see cause
}

// verdict is what holds: as the members elected, or the address is left to another node.
func (t *seat) verdict() owner.Verdict {
	if t.left != nil {
		return *t.left
	}
	return t.elected
}

// leave makes v what holds.
func (t *seat) leave(v owner.Verdict) {
	if t.left = nil; v != t.elected {
		kept := v // Else every verdict would be put on the heap.
		t.left = &kept
	}
}

// seated is the roll's seats for another list of addresses, nil where there is none yet, and the addresses that
// are in the list no more. The table hands out an entry again as it is when nothing of it changed.
func (r *roll) seated(vips []lease.VIP) (seats []*seat, gone []netip.Addr) {
	seats = make([]*seat, len(vips))
	at := 0
	for i := range vips {
		v := &vips[i]
		for at < len(r.vips) && r.vips[at].IP.Less(v.IP) {
			gone = append(gone, r.vips[at].IP)
			at++
		}
		if at == len(r.vips) || r.vips[at].IP != v.IP {
			continue
		}
		seats[i] = r.seats[at]
		if was := &r.vips[at]; was.Pool != v.Pool || &was.Services[0] != &v.Services[0] {
			seats[i] = seats[i].outdated()
		}
		at++
	}
	for _, v := range r.vips[at:] {
		gone = append(gone, v.IP)
	}
	return seats, gone
}

func (t *seat) copied() *seat {
	next := *t
	return &next
}

// outdated is the seat with a candidate that must be made again.
func (t *seat) outdated() *seat {
	next := t.copied()
	next.stale = true
	return next
}

// call brings the roll up to the world and marks the seats whose candidates must be made again.
func (s *Speaker) call(w *world) {
	r := &s.roll
	w.seats, w.gone = r.seated(w.vips)
	for _, k := range w.edited {
		for _, ip := range s.table.Bound(k) {
			if i, ok := w.find(ip); ok && w.seats[i] != nil {
				w.seats[i] = w.seats[i].outdated()
			}
		}
	}
	r.vips, r.seats, r.shift, r.room = w.vips, w.seats, nil, nil
	if r.poll != nil && r.voters.Equal(w.voters) && r.scopes.equal(w.scopes) {
		return // the scopes that the poll knows stay
	}
	poll := w.voters.Poll()
	if r.poll != nil {
		r.shift = poll.Since(r.poll)
	}
	r.voters, r.scopes, r.poll = w.voters, w.scopes, poll
}

// vote holds the election of one address, if it may come out otherwise than the last time, and returns its seat:
// the same, or a new one.
func (s *Speaker) vote(w *world, i int) *seat {
	old, r := w.seats[i], &s.roll
	if old != nil && !old.stale && r.shift == nil {
		return old
	}
	before := old
	if old == nil {
		before = &seat{}
	}
	t := *before
	if old == nil || old.stale {
		t.candidate, t.stale = s.candidate(w, w.vips[i]), false
	}
	t.candidate.Scope = r.scopes.of(w.vips[i].Pool)
	if r.shift == nil {
		t.elected = r.poll.Elect(t.candidate)
	} else {
		t.elected = r.shift.Elect(t.candidate, before.candidate, before.elected)
	}
	if old != nil && !old.stale && t.elected == before.elected && t.candidate.Scope == before.candidate.Scope {
		return old
	}
	return r.make(&t)
}

// make puts a seat into memory. When the members change nearly all seats do, so they are made many at a time.
func (r *roll) make(t *seat) *seat {
	if r.shift == nil {
		return t.copied()
	}
	if len(r.room) == 0 {
		r.room = make([]seat, seatsAtOnce)
	}
	next := &r.room[0]
	r.room = r.room[1:]
	*next = *t
	return next
}

// candidate joins the Services of an address into what election needs.
func (s *Speaker) candidate(w *world, v lease.VIP) owner.VIP {
	c := owner.VIP{IP: v.IP, Scope: w.scopes.of(v.Pool)}
	for _, k := range v.Services {
		nodes := w.cluster.Endpoints[watcherKey(k)].Nodes
		if len(nodes) == 0 {
			continue // has no say where the others go
		}
		c.Serving = true
		if svc, ok := s.table.Get(k); ok && svc.Local {
			c.Local = append(c.Local, nodes)
		}
	}
	return c
}

// edited are the Services that the changes may have moved.
func edited(c watcher.Changes) []lease.Key {
	keys := keys(c.Endpoints)
	for _, s := range c.Put {
		keys = append(keys, lease.Key(s.Key()))
	}
	return keys // who is deleted has no address any more
}
