package arpd

import (
	"maps"
	"slices"
	"time"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
)

// A node may have several interfaces on one network. One of them announces an address
// there, see netif.Routes; here is how it is found out that they are on one network, and by
// which of them the kernel reaches it.

const (
	// ownLate is how long a frame may be on its way that was sent from a MAC that no
	// interface of this node has any more.
	ownLate = 2 * time.Second
	// wireMemory is how long two interfaces are held to be on one network, at the
	// least, without the one hearing the other again.
	wireMemory = 10 * time.Minute
	// wireRounds is the same in refreshes.
	wireRounds = 3
)

// rename notes the MACs of this node, and remembers those that it had a moment ago:
// another interface may still get frames that were sent from them.
func (w *wiring) rename(links map[int]netif.Link, now time.Time) {
	was := w.macs
	w.macs = make(map[packet.HW]time.Time, len(links))
	for _, l := range links {
		w.macs[l.MAC] = time.Time{}
	}
	for mac, until := range was {
		if _, still := w.macs[mac]; still {
			continue
		}
		if until.IsZero() {
			until = now.Add(ownLate)
		}
		if now.Before(until) {
			w.macs[mac] = until
		}
	}
}

// itself reports whether a claim is that of an interface of this node, which two on
// one network hear of each other. The caller holds mu.
func (r *Responder) itself(c claim, now time.Time) bool {
	until, own := r.wiring.macs[c.mac]
	if !own || !until.IsZero() {
		return own && now.Before(until)
	}
	var from []int
	for index, p := range r.ifaces {
		if p.link.MAC == c.mac && index != c.on {
			from = append(from, index)
		}
	}
	if len(from) != 1 || r.ifaces[c.on] == nil { // VLANs have the MAC of their parent
		return true
	}
	wire := netif.KinOf(from[0], c.on)
	_, known := r.wiring.heard[wire]
	if r.wiring.heard[wire] = now; !known {
		r.log.Info().Str("iface", r.ifaces[wire[0]].link.Name).Str("other", r.ifaces[wire[1]].link.Name).Msg("two interfaces are on one network")
		r.rewire(now)
	}
	return true
}

// rewire spreads the addresses anew and announces those that another interface
// announces from now on. The caller holds mu.
func (r *Responder) rewire(now time.Time) {
	was := r.routes
	r.spread()
	for ip := range r.roles {
		before, _ := was.Of(ip)
		if after, _ := r.routes.Of(ip); !slices.Equal(before, after) {
			r.schedule.Again(ip, now)
		}
	}
	poke(r.due)
	poke(r.changed)
}

// part forgets what an interface heard of others, or they of it: it may have been
// plugged in elsewhere.
func (w *wiring) part(index int) {
	maps.DeleteFunc(w.heard, func(k netif.Kin, _ time.Time) bool { return slices.Contains(k[:], index) })
}

// forgetWires does the same for those that are used no longer or were silent for
// long, and reports whether there were any. The caller holds mu.
func (r *Responder) forgetWires(now time.Time) (gone bool) {
	for wire, at := range r.wiring.heard {
		again := r.schedule.Refresh
		silent := again > 0 && now.Sub(at) > max(wireMemory, wireRounds*again)
		if silent || r.ifaces[wire[0]] == nil || r.ifaces[wire[1]] == nil {
			delete(r.wiring.heard, wire)
			gone = true
		}
	}
	return gone
}
