package speaker

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/lease"
)

// trialSlack is how much longer than a trial takes it is waited for; then an
// address counts as nobody's: allocation must not depend on the wire alone.
const trialSlack = 100 * time.Millisecond

// trials are the addresses that are tried out before their first use: those
// that were picked, and those that are likely to be picked next, so that
// Services need not wait. Only who picks for a pool sends probes; the others
// leave it the time.
type trials struct {
	lasts time.Duration            // how long a trial takes; zero: addresses are not tried out
	until map[netip.Addr]time.Time // when an address that was picked counts as known
	picks map[netip.Addr]bool      // the ones of them to probe
	last  []netip.Addr             // what the wire was given last
	given time.Time                // and when
}

// terms adds to the view of the lease protocol what the wire says of addresses.
func (t *trials) terms(w *world, v *lease.View) {
	if t.lasts == 0 {
		return
	}
	own := segments(w.wire)
	v.Used = func(ip netip.Addr) string { return w.used(w.wire.Trials[ip]) }
	v.Proof = func(ip netip.Addr) time.Time {
		if _, bound := w.find(ip); bound {
			return time.Time{}
		}
		pool, _ := w.pools.Of(ip)
		mine := v.Rank(pool) == 0
		if mine && !slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			return time.Time{} // no neighbour of this node can have it
		}
		if _, asked := t.until[ip]; !asked {
			t.until[ip] = w.now.Add(t.lasts + trialSlack)
			t.picks[ip] = mine
		}
		switch trial := w.wire.Trials[ip]; {
		case trial.Known:
			return time.Time{}
		case trial.MAC != "": // a member, which the wire asks until it has let go or is known to have it
			return w.now.Add(trialLook)
		case !mine:
			return t.until[ip]
		}
		return earlier(t.until[ip], w.now.Add(trialLook))
	}
}

// trialRest is how long a few new addresses that may be picked next wait for more.
const trialRest = time.Second

// trialLook is how often it is looked whether the trial of a picked address is over.
const trialLook = 20 * time.Millisecond

// used puts into words that a station has an address that nobody should have.
func (w *world) used(t arpd.Trial) string {
	switch name := w.names[t.MAC]; {
	case t.MAC == "" || !t.Known:
		return ""
	case name != "":
		return fmt.Sprintf("node %s (MAC %s) answers for it", name, t.MAC)
	}
	return fmt.Sprintf("a station with the MAC %s answers for it", t.MAC)
}

// wanted are the addresses to try out now.
func (t *trials) wanted(w *world, ahead []netip.Addr) []netip.Addr {
	maps.DeleteFunc(t.until, func(ip netip.Addr, at time.Time) bool {
		_, bound := w.find(ip)
		gone := bound || w.now.Sub(at) > idleTurn
		if gone {
			delete(t.picks, ip)
		}
		return gone
	})
	out := make([]netip.Addr, 0, len(ahead)+len(t.until))
	own := segments(w.wire)
	for _, ip := range ahead {
		if slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			out = append(out, ip)
		}
	}
	for ip, mine := range t.picks {
		if mine {
			out = append(out, ip)
		}
	}
	if !t.news(out, len(ahead)/8, w.now) {
		return t.last // the wire looks at the list alone
	}
	t.last, t.given = out, w.now
	return out
}

// news reports whether enough has changed that the wire should be told: to be
// told costs it as much as a gained address. The next addresses come one by one,
// and the last of them are not needed soon.
func (t *trials) news(now []netip.Addr, few int, at time.Time) bool {
	known := make(map[netip.Addr]bool, len(t.last))
	for _, ip := range t.last {
		known[ip] = true
	}
	fresh := 0
	for _, ip := range now {
		if !known[ip] {
			if t.picks[ip] {
				return true
			}
			fresh++
		}
	}
	return fresh > few || len(now) < len(t.last)/2 || fresh > 0 && at.Sub(t.given) >= trialRest
}

// try has the wire try out what was picked and what may be picked next.
func (s *Speaker) try(w *world, v lease.View) {
	if s.trials.lasts > 0 {
		s.cfg.Wire.Probe(s.trials.wanted(w, s.table.Ahead(v)))
	}
}
