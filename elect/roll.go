package elect

import (
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/owner"
)

// Roll is the outcome of the last turn and what it depended on. Its zero value is ready to use.
type Roll struct {
	vips   []lease.VIP
	seats  []*Seat // of vips, in the same order
	voters *owner.Electorate
	scopes Scopes
	poll   *owner.Poll  // among the voters
	shift  *owner.Shift // from the poll of the turn before; nil: it is the same, or the first
	room   []Seat       // for those of this turn

	candidate func(lease.VIP) owner.VIP
}

// Turn is what the elections of a turn depend on.
type Turn struct {
	VIPs      []lease.VIP  // sorted
	Edited    []netip.Addr // of Services that have changed, or whose endpoints have
	Voters    *owner.Electorate
	Scopes    Scopes
	Candidate func(lease.VIP) owner.VIP // joins the Services of an address into what election needs
}

// Call brings the roll up to a turn, and returns the seats as they were before, nil for new addresses, which the caller replaces
// by those of [Roll.Vote]. Gone are the addresses of the turn before that are in this one no more, each with who was to announce it.
func (r *Roll) Call(t Turn) (seats []*Seat, gone map[netip.Addr]string) {
	seats, left := r.seated(t.VIPs)
	if len(left) > 0 {
		gone = make(map[netip.Addr]string, len(left))
	}
	for _, ip := range left {
		gone[ip] = r.owner(ip)
	}
	r.vips, r.seats, r.shift, r.room, r.candidate = t.VIPs, seats, nil, nil, t.Candidate
	for _, ip := range t.Edited {
		if i, ok := r.find(ip); ok && seats[i] != nil {
			seats[i] = seats[i].outdated()
		}
	}
	if r.poll != nil && r.voters.Equal(t.Voters) && r.scopes.equal(t.Scopes) {
		return seats, gone // the scopes that the poll knows stay
	}
	poll := t.Voters.Poll()
	if r.poll != nil {
		r.shift = poll.Since(r.poll)
	}
	r.voters, r.scopes, r.poll = t.Voters, t.Scopes, poll
	return seats, gone
}

// Vote holds the election of one address, if it may come out otherwise than the last time, and returns its seat:
// the same, or a new one.
func (r *Roll) Vote(i int) *Seat {
	old := r.seats[i]
	if old != nil && !old.stale && r.shift == nil {
		return old
	}
	before := old
	if old == nil {
		before = &Seat{}
	}
	t := *before
	if old == nil || old.stale {
		t.Candidate, t.stale = r.candidate(r.vips[i]), false
	}
	t.Candidate.Scope = r.scopes.Of(r.vips[i].Pool)
	if r.shift == nil {
		t.Elected = r.poll.Elect(t.Candidate)
	} else {
		t.Elected = r.shift.Elect(t.Candidate, before.Candidate, before.Elected)
	}
	if old != nil && !old.stale && t.Elected == before.Elected && t.Candidate.Scope == before.Candidate.Scope {
		return old
	}
	return r.make(&t)
}

// make puts a seat into memory. When the members change nearly all seats do, so they are made many at a time.
func (r *Roll) make(t *Seat) *Seat {
	if r.shift == nil {
		return t.Copied()
	}
	if len(r.room) == 0 {
		r.room = make([]Seat, seatsAtOnce)
	}
	next := &r.room[0]
	r.room = r.room[1:]
	*next = *t
	return next
}

// seatsAtOnce is how many seats share a piece of memory. All of it is kept as long as one of them is.
const seatsAtOnce = 64

// Seat is a bound address at its election. Views show it, so after its turn it is not changed, but replaced.
type Seat struct {
	Candidate owner.VIP
	Elected   owner.Verdict  // by the members
	left      *owner.Verdict // what holds instead; nil: elected
	Since     time.Time      // since when the owner is it
	stale     bool           // the candidate is of an earlier turn
	Warned    bool           // that nobody is eligible
	Unused    bool           // nobody has announced it yet
	First     time.Time      // when somebody was to announce it for the first time; zero: before this speaker knew it
	From      string         // the owner before
	Cause     string         // of the change, for people
}

// Verdict is what holds: as the members elected, or the address is left to another node.
func (t *Seat) Verdict() owner.Verdict {
	if t.left != nil {
		return *t.left
	}
	return t.Elected
}

// Leave makes v what holds.
func (t *Seat) Leave(v owner.Verdict) {
	if t.left = nil; v != t.Elected {
		kept := v // Else every verdict would be put on the heap.
		t.left = &kept
	}
}

// seated is the roll's seats for another list of addresses, nil where there is none yet, and the addresses that
// are in the list no more. The table hands out an entry again as it is when nothing of it changed.
func (r *Roll) seated(vips []lease.VIP) (seats []*Seat, gone []netip.Addr) {
	seats = make([]*Seat, len(vips))
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

// owner is who was to announce an address of the last turn.
func (r *Roll) owner(ip netip.Addr) string {
	i, known := r.find(ip)
	if !known {
		return ""
	}
	return r.seats[i].Verdict().Owner
}

// find returns where the address is in the list.
func (r *Roll) find(ip netip.Addr) (int, bool) {
	return slices.BinarySearchFunc(r.vips, ip, func(v lease.VIP, ip netip.Addr) int { return v.IP.Compare(ip) })
}

// Copied is the same seat, to be changed.
func (t *Seat) Copied() *Seat {
	next := *t
	return &next
}

// outdated is the seat with a candidate that must be made again.
func (t *Seat) outdated() *Seat {
	next := t.Copied()
	next.stale = true
	return next
}
