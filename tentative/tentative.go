package tentative

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/probe"
	"github.com/starling-lb/starling/wake"
)

const (
	// slack is how much longer than probing takes it is waited for.
	slack = 100 * time.Millisecond
	// rest is how long a few new addresses that may be picked next wait for more.
	rest = time.Second
	// look is how often it is looked whether the probing of a picked address is over.
	look = 20 * time.Millisecond
	// memory is for how long after its time a picked address is remembered.
	memory = 5 * time.Second
)

// Turn is what is known when it is asked.
type Turn struct {
	Now      time.Time
	Self     string
	Networks []netip.Prefix               // of this node
	Members  []mesh.Member                // all
	Names    map[string]string            // node by MAC
	Probed   map[netip.Addr]claims.Probed // as the wire has them
	Answers  map[probe.Question]probe.Answer
	Pools    *lease.Pools
	Bound    func(netip.Addr) bool // a Service has the address
}

// Addresses are those that are probed before their first use, and those that rest. Make them by
// [New].
type Addresses struct {
	lasts time.Duration            // how long probing takes; zero: addresses are used without that
	until map[netip.Addr]time.Time // when an address that was picked counts as known
	picks map[netip.Addr]bool      // the ones of them to probe
	left  map[netip.Addr]departure // released of late
	last  []netip.Addr             // what the wire was given last
	given time.Time                // and when

	// Ask are the questions to the nodes that announced released addresses, as of the last Terms.
	Ask []probe.Question
}

// departure is an address that no Service has any more.
type departure struct {
	announcer string // "" nobody
	at        time.Time
}

// New knows no address. Lasts is how long the wire takes to find out whether a station has one;
// zero: addresses are used without that.
func New(lasts time.Duration) *Addresses {
	return &Addresses{lasts: lasts, until: map[netip.Addr]time.Time{}, picks: map[netip.Addr]bool{}, left: map[netip.Addr]departure{}}
}

// Leave notes which node announced an address that was released.
func (a *Addresses) Leave(ip netip.Addr, announcer string, now time.Time) {
	if a.lasts > 0 {
		a.left[ip] = departure{announcer, now}
	}
}

// Terms adds to the view of the lease protocol what the wire says of addresses.
func (a *Addresses) Terms(t Turn, v *lease.View) {
	if a.lasts == 0 {
		return
	}
	a.Ask = nil
	maps.DeleteFunc(a.left, func(_ netip.Addr, d departure) bool { return t.Now.Sub(d.at) >= lease.Rest })
	v.Rested = func(ip netip.Addr, released time.Time) time.Time { return a.rested(t, ip, released) }
	v.Used = func(ip netip.Addr) string { return t.used(t.Probed[ip]) }
	v.Proof = func(ip netip.Addr) time.Time {
		if t.Bound(ip) {
			return time.Time{}
		}
		pool, _ := t.Pools.Of(ip)
		return a.proof(t, ip, v.Rank(pool) == 0)
	}
}

// proof is when an address that was picked counts as known; zero: it does. Mine says that this node
// picks for its pool.
func (a *Addresses) proof(t Turn, ip netip.Addr, mine bool) time.Time {
	if mine && !on(t.Networks, ip) {
		return time.Time{} // no neighbor of this node can have it
	}
	a.pick(ip, t.Now, mine)
	switch probed := t.Probed[ip]; {
	case probed.Known:
		return time.Time{}
	case probed.MAC != "": // a member, which the wire asks until it has let go or is known to have it
		return t.Now.Add(look)
	case !mine:
		return a.until[ip]
	}
	return wake.Earlier(a.until[ip], t.Now.Add(look))
}

// pick has a picked address probed, by this node or by another one.
func (a *Addresses) pick(ip netip.Addr, now time.Time, mine bool) {
	if _, asked := a.until[ip]; !asked {
		a.until[ip] = now.Add(a.lasts + slack)
		a.picks[ip] = mine
	}
}

// used puts into words that a station has an address that nobody should have.
func (t Turn) used(x claims.Probed) string {
	switch name := t.Names[x.MAC]; {
	case x.MAC == "" || !x.Known:
		return ""
	case name != "":
		return fmt.Sprintf("node %s (MAC %s) answers for it", name, x.MAC)
	}
	return fmt.Sprintf("a station with the MAC %s answers for it", x.MAC)
}

// Wanted are the addresses to probe now: what was picked, and ahead, which may be picked next. Some
// is false where addresses are used without that.
func (a *Addresses) Wanted(t Turn, ahead func() []netip.Addr) (ips []netip.Addr, some bool) {
	if a.lasts == 0 {
		return nil, false
	}
	maps.DeleteFunc(a.until, func(ip netip.Addr, at time.Time) bool {
		gone := t.Bound(ip) || t.Now.Sub(at) > memory
		if gone {
			delete(a.picks, ip)
		}
		return gone
	})
	next := ahead()
	out := slices.DeleteFunc(slices.Clone(next), func(ip netip.Addr) bool { return !on(t.Networks, ip) })
	for ip, mine := range a.picks {
		if mine {
			out = append(out, ip)
		}
	}
	if !a.news(out, len(next)/8, t.Now) {
		return a.last, true // the wire looks at the list alone
	}
	a.last, a.given = out, t.Now
	return out, true
}

// news reports whether enough has changed that the wire should have it: that costs it as much as a
// gained address. The next addresses come one by one, and the last of them are not needed soon.
func (a *Addresses) news(now []netip.Addr, few int, at time.Time) bool {
	known := make(map[netip.Addr]bool, len(a.last))
	for _, ip := range a.last {
		known[ip] = true
	}
	fresh := 0
	for _, ip := range now {
		if !known[ip] {
			if a.picks[ip] {
				return true
			}
			fresh++
		}
	}
	return fresh > few || len(now) < len(a.last)/2 || fresh > 0 && at.Sub(a.given) >= rest
}

// rested is until when an address must rest that was released at a time, or when to ask again.
func (a *Addresses) rested(t Turn, ip netip.Addr, released time.Time) time.Time {
	end := released.Add(lease.Rest)
	d, known := a.left[ip]
	if !known || !t.Now.Before(end) || !on(t.Networks, ip) {
		return end
	}
	there, ask := t.listens(d, ip)
	a.Ask = append(a.Ask, ask...)
	a.pick(ip, t.Now, true)
	if probed := t.Probed[ip]; there && probed.Known && probed.MAC == "" && !probed.Begun.Before(d.at) {
		return t.Now
	}
	return wake.Earlier(end, t.Now.Add(look))
}

// listens reports whether a node that announced an address has said on the wire since then that its
// speaker is there, and what to ask to know it.
func (t Turn) listens(d departure, ip netip.Addr) (there bool, ask []probe.Question) {
	if d.announcer == "" || d.announcer == t.Self {
		return true, nil
	}
	i := slices.IndexFunc(t.Members, func(m mesh.Member) bool { return m.Name == d.announcer })
	if i < 0 || !t.Members[i].Up() || !on(t.Members[i].Meta.Segments, ip) {
		return false, nil
	}
	for _, mac := range t.Members[i].Meta.MACs {
		q := probe.Question{MAC: mac}
		there, ask = there || t.Answers[q].Last.After(d.at), append(ask, q)
	}
	return there, ask
}

// on reports whether an address is on one of some networks.
func on(networks []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(ip) })
}
