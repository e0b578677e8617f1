package arpd

import (
	"net/netip"
	"slices"
	"time"
)

// Timing of conflicts.
const (
	// disputeGrace is how long a claim on an own address is believed to be a
	// member that takes the address over and of which the mesh has not told yet.
	disputeGrace = 200 * time.Millisecond

	// defendInterval is DEFEND_INTERVAL of RFC 5227, section 1.1.
	defendInterval = 10 * time.Second

	// disputeMemory is how long a conflict is shown after its last frame.
	disputeMemory = 10 * time.Minute
)

// Conflict is another station that claims an address of this node.
type Conflict struct {
	IP          netip.Addr
	MAC         string // of the last claim
	Kind        string // "stranger", or "member": a node of this cluster that does not give way
	Since, Last time.Time
}

// Who claims an address: a station that is no node of this cluster, or one that is.
const (
	stranger = "stranger"
	member   = "member"
)

// dispute is what is known about one own address that another station claims.
type dispute struct {
	mac         hw
	since, last time.Time
	frames      int       // heard before it was certain
	judge       time.Time // when to look whether it is a conflict that must be defended; zero: no
	told        bool      // it is a conflict, and shown
}

// disputes are plain values of time: no clock, no goroutine.
//
// RFC 5227, section 2.4 (c) lets a host defend its address for ever, but it must
// not answer a claim when the one before it is less than ten seconds old, so
// that two hosts that both insist do not flood the link. In addition a claim
// is not judged at once but a moment later, and only if the address is still
// ours then: in a take-over the successor is on the wire before the news is
// here, and a defence would win back for a moment what was just given away.
type disputes map[netip.Addr]*dispute

// hear notes that mac claims ip. It returns when judge is to be called for it
// (zero: not on its account) and how many frames of strangers that makes certain.
func (d disputes) hear(ip netip.Addr, mac hw, now time.Time) (judge time.Time, frames int) {
	r := d[ip]
	if r == nil {
		r = &dispute{since: now}
		d[ip] = r
	}
	rest := now.Sub(r.last)
	r.mac, r.last = mac, now
	if r.judge.IsZero() && rest >= defendInterval {
		r.judge = now.Add(disputeGrace)
		judge = r.judge
	}
	if r.told {
		return judge, 1
	}
	r.frames++
	return judge, 0
}

// judgement is what follows from the claims that outlived the grace.
type judgement struct {
	defend []netip.Addr // to be announced now, sorted
	fresh  []netip.Addr // those of them that are a new conflict
	frames int          // frames of strangers that became certain
	next   time.Time    // when to judge again; zero: not before hear says so
}

// judge turns the claims that are still there after the grace into conflicts.
func (d disputes) judge(now time.Time) judgement {
	var j judgement
	for ip, r := range d {
		if r.judge.After(now) {
			j.next = sooner(j.next, r.judge)
		}
		if r.judge.IsZero() || r.judge.After(now) {
			continue
		}
		j.defend = append(j.defend, ip)
		if !r.told {
			j.fresh = append(j.fresh, ip)
		}
		j.frames += r.frames
		r.judge, r.told, r.frames = time.Time{}, true, 0
	}
	slices.SortFunc(j.defend, netip.Addr.Compare)
	slices.SortFunc(j.fresh, netip.Addr.Compare)
	return j
}

// forget drops what was silent for long, and reports whether a shown conflict went.
func (d disputes) forget(now time.Time) (shown bool) {
	for ip, r := range d {
		if now.Sub(r.last) > disputeMemory {
			shown = d.drop(ip) || shown
		}
	}
	return shown
}

// drop forgets ip, and reports whether it was a shown conflict.
func (d disputes) drop(ip netip.Addr) (shown bool) {
	r := d[ip]
	delete(d, ip)
	return r != nil && r.told
}

// settle drops the claims of stations that turn out to be nodes of this cluster,
// and reports whether a shown conflict went.
func (d disputes) settle(peers map[hw]struct{}) bool {
	shown := false
	for ip, r := range d {
		if _, ok := peers[r.mac]; ok {
			shown = shown || r.told
			delete(d, ip)
		}
	}
	return shown
}

// list are the conflicts, sorted by address.
func (d disputes) list() []Conflict {
	out := make([]Conflict, 0, len(d))
	for ip, r := range d {
		if r.told {
			out = append(out, Conflict{IP: ip, MAC: r.mac.String(), Kind: stranger, Since: r.since, Last: r.last})
		}
	}
	slices.SortFunc(out, func(a, b Conflict) int { return a.IP.Compare(b.IP) })
	return out
}
