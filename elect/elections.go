package elect

import (
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/owner"
)

// Elections is the outcome of the last turn and what it depended on. Its zero value is ready to
// use.
type Elections struct {
	vips       []lease.VIP
	elections  []*Election // of vips, in the same order
	candidates *owner.Nodes
	scopes     Scopes
	ranker     *owner.Ranker // among the candidates
	shift      *owner.Shift  // from the ranker of the turn before; nil: it is the same, or the first
	room       []Election    // for those of this turn

	candidate func(lease.VIP) owner.VIP
	labels    func(lease.Key) string
}

// Turn is what the elections of a turn depend on.
type Turn struct {
	VIPs       []lease.VIP  // sorted
	Edited     []netip.Addr // of Services that have changed, or whose endpoints have
	Candidates *owner.Nodes
	Scopes     Scopes
	Candidate  func(lease.VIP) owner.VIP // joins the Services of an address into what election needs, but for the scope
	Labels     func(lease.Key) string    // of a Service, as lease.Service has them
}

// Begin brings the elections up to a turn, and returns them as they were before, nil for new
// addresses, which the caller replaces by those of [Elections.Elect]. Gone are the addresses of the
// turn before that are in this one no more, each with who was to announce it.
func (r *Elections) Begin(t Turn) (elections []*Election, gone map[netip.Addr]string) {
	elections, left := r.carried(t.VIPs)
	if len(left) > 0 {
		gone = make(map[netip.Addr]string, len(left))
	}
	for _, ip := range left {
		gone[ip] = r.owner(ip)
	}
	r.vips, r.elections, r.shift, r.room, r.candidate, r.labels = t.VIPs, elections, nil, nil, t.Candidate, t.Labels
	for _, ip := range t.Edited {
		if i, ok := r.find(ip); ok && elections[i] != nil {
			elections[i] = elections[i].outdated()
		}
	}
	if r.ranker != nil && r.candidates.Equal(t.Candidates) && r.scopes.equal(t.Scopes) {
		return elections, gone // the scopes that the ranker knows stay
	}
	ranker := t.Candidates.Ranker()
	if r.ranker != nil {
		r.shift = ranker.Since(r.ranker)
	}
	r.candidates, r.scopes, r.ranker = t.Candidates, t.Scopes, ranker
	return elections, gone
}

// Elect holds the election of one address, if it may come out otherwise than the last time, and
// returns it: the same, or a new one.
func (r *Elections) Elect(i int) *Election {
	old := r.elections[i]
	if old != nil && !old.stale && r.shift == nil {
		return old
	}
	before := old
	if old == nil {
		before = &Election{}
	}
	t := *before
	if old == nil || old.stale {
		t.Candidate, t.stale = r.candidate(r.vips[i]), false
	}
	t.Place = r.scopes.Place(r.vips[i], r.labels)
	t.Candidate.Scope = t.Place.Scope()
	if r.shift == nil {
		t.Elected = r.ranker.Elect(t.Candidate)
	} else {
		t.Elected = r.shift.Elect(t.Candidate, before.Candidate, before.Elected)
	}
	if old != nil && !old.stale && t.Elected == before.Elected && t.Candidate.Scope == before.Candidate.Scope {
		return old
	}
	return r.make(&t)
}

// make puts an election into memory. When the members change nearly all elections do, so they are
// made many at a time.
func (r *Elections) make(t *Election) *Election {
	if r.shift == nil {
		return t.Copied()
	}
	if len(r.room) == 0 {
		r.room = make([]Election, electionsAtOnce)
	}
	next := &r.room[0]
	r.room = r.room[1:]
	*next = *t
	return next
}

// electionsAtOnce is how many elections share a piece of memory. All of it is kept as long as one
// of them is.
const electionsAtOnce = 64

// Election is a bound address at its election. Views show it, so after its turn it is not changed,
// but replaced.
type Election struct {
	Candidate owner.VIP
	Place     *Place        // where it may be announced; nil: anywhere
	Elected   owner.Result  // by the members
	left      *owner.Result // what holds instead; nil: elected
	Since     time.Time     // since when the owner is it
	stale     bool          // the candidate is of an earlier turn
	Warned    bool          // that nobody is eligible
	Unused    bool          // nobody has announced it yet
	First     time.Time     // when somebody was to announce it for the first time; zero: before this speaker knew it
	From      string        // the owner before
	Cause     string        // of the change, for people
}

// Result is what holds: as the members elected, or the address is left to another node.
func (t *Election) Result() owner.Result {
	if t.left != nil {
		return *t.left
	}
	return t.Elected
}

// Leave makes v what holds.
func (t *Election) Leave(v owner.Result) {
	if t.left = nil; v != t.Elected {
		kept := v // Else every result would be put on the heap.
		t.left = &kept
	}
}

// carried is the elections for another list of addresses, nil where there is none yet, and the
// addresses that are in the list no more. The table hands out an entry again as it is when nothing
// of it changed.
func (r *Elections) carried(vips []lease.VIP) (elections []*Election, gone []netip.Addr) {
	elections = make([]*Election, len(vips))
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
		elections[i] = r.elections[at]
		if was := &r.vips[at]; was.Pool != v.Pool || &was.Services[0] != &v.Services[0] {
			elections[i] = elections[i].outdated()
		}
		at++
	}
	for _, v := range r.vips[at:] {
		gone = append(gone, v.IP)
	}
	return elections, gone
}

// owner is who was to announce an address of the last turn.
func (r *Elections) owner(ip netip.Addr) string {
	i, known := r.find(ip)
	if !known {
		return ""
	}
	return r.elections[i].Result().Owner
}

// find returns where the address is in the list.
func (r *Elections) find(ip netip.Addr) (int, bool) {
	return slices.BinarySearchFunc(r.vips, ip, func(v lease.VIP, ip netip.Addr) int { return v.IP.Compare(ip) })
}

// Copied is the same election, to be changed.
func (t *Election) Copied() *Election {
	next := *t
	return &next
}

// outdated is the election with a candidate that must be made again.
func (t *Election) outdated() *Election {
	next := t.Copied()
	next.stale = true
	return next
}
