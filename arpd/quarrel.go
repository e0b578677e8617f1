package arpd

import (
	"net/netip"
	"slices"
	"time"
)

// Timing of quarrels with other nodes of this cluster.
const (
	// quarrelPause is the least time between the first two defences; it doubles
	// up to quarrelPauseMost while the other insists.
	quarrelPause     = 500 * time.Millisecond
	quarrelPauseMost = 800 * time.Millisecond
	// quarrelShown is the defence from which on a quarrel is shown: one or two
	// are the ordinary way to agree.
	quarrelShown = 3
	// quarrelOver is how long the other must have been silent.
	quarrelOver = 30 * time.Second
)

// quarrel is an own address that another node of this cluster claims.
type quarrel struct {
	mac         hw
	since, last time.Time
	defences    int
	rest        time.Time // not defended before
	judge       time.Time // when to look whether it must be defended; zero: no
}

// quarrels are plain values of time: no clock, no goroutine.
//
// Of two nodes that both believe to own an address, the caller decides which
// one gives way; that one takes the address out of Assign. The other defends it:
// after the same grace as against strangers, because the claim is most often
// that of a successor who is faster than the news of it, and then at growing
// pauses as long as it is claimed.
// They do not grow beyond what leaves one answer after a second: of nodes that
// see things differently again and again, each time must be as short as the first.
type quarrels map[netip.Addr]*quarrel

// hear notes that a member claims ip, and returns when judge is to be called.
func (q quarrels) hear(ip netip.Addr, mac hw, now time.Time) time.Time {
	r := q[ip]
	if r == nil || now.Sub(r.last) > quarrelOver {
		r = &quarrel{since: now}
		q[ip] = r
	}
	r.mac, r.last = mac, now
	if !r.judge.IsZero() {
		return time.Time{} // the caller knows
	}
	r.judge = now.Add(disputeGrace)
	if r.judge.Before(r.rest) {
		r.judge = r.rest
	}
	return r.judge
}

// DefencePause is the least time from a defence against another node of this cluster to the next one, after so many
// of them before.
func DefencePause(before int) time.Duration {
	return min(quarrelPause<<min(before, 8), quarrelPauseMost)
}

// due returns the addresses that must be defended now, sorted, and when to call
// again; zero: not before hear says so.
func (q quarrels) due(now time.Time) (defend []netip.Addr, next time.Time) {
	for ip, r := range q {
		switch {
		case r.judge.IsZero():
		case r.judge.After(now):
			next = sooner(next, r.judge)
		default:
			defend = append(defend, ip)
			r.rest = now.Add(DefencePause(r.defences))
			r.judge = time.Time{}
			r.defences++
		}
	}
	slices.SortFunc(defend, netip.Addr.Compare)
	return defend, next
}

// forget drops what is over, and reports whether one of them was shown.
func (q quarrels) forget(now time.Time) (shown bool) {
	for ip, r := range q {
		if now.Sub(r.last) > quarrelOver {
			shown = q.drop(ip) || shown
		}
	}
	return shown
}

// drop forgets ip, and reports whether it was a shown quarrel.
func (q quarrels) drop(ip netip.Addr) (shown bool) {
	r := q[ip]
	delete(q, ip)
	return r != nil && r.defences >= quarrelShown
}

// list are the quarrels that are shown.
func (q quarrels) list() []Conflict {
	var out []Conflict
	for ip, r := range q {
		if r.defences >= quarrelShown {
			out = append(out, Conflict{IP: ip, MAC: r.mac.String(), Kind: member, Since: r.since, Last: r.last})
		}
	}
	return out
}
