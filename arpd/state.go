package arpd

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/health"
)

// State is everything that a Responder knows, at one moment.
type State struct {
	Interfaces []netif.Interface            // all of the node, sorted by name
	Conflicts  []Conflict                   // sorted by address
	Yields     map[netip.Addr]string        // own addresses that are left to a member, by its name; read-only
	Heard      map[netip.Addr]string        // see claims.Machine.Heard; read-only, the next State may have the same
	Conditions []health.Condition           // what keeps this node from answering, and how its kernel interferes with VIPs
	Stop       Stop                         // the last time in which the process did not run
	Probed     map[netip.Addr]claims.Probed // of Probe, and addresses at which strangers were seen
	Routes     *netif.Routes                // where an address is announced, if it is this node's; nil: not known yet
}

// State is a snapshot of what the responder knows.
func (r *Responder) State() State {
	r.mu.Lock()
	defer r.mu.Unlock()
	return State{
		Interfaces: r.interfaces(), Conflicts: r.others.Conflicts(), Yields: r.others.Yields(),
		Heard: r.others.Heard(time.Now()), Conditions: slices.Concat(r.listing.problems, r.kernel.findings),
		Stop: r.stop, Probed: r.probed(), Routes: r.routes,
	}
}

// Interfaces are all interfaces of the node, sorted by name.
func (r *Responder) Interfaces() []netif.Interface {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.interfaces()
}

// interfaces is a copy of the list. The caller holds mu.
func (r *Responder) interfaces() []netif.Interface {
	out := slices.Clone(r.listing.all)
	for i := range out {
		out[i].Prefixes = slices.Clone(out[i].Prefixes)
	}
	return out
}

// Conflicts are the claims of others on own addresses of the last minutes,
// sorted by address: of strangers, and of members that do not give way.
func (r *Responder) Conflicts() []Conflict {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.others.Conflicts()
}

// Heard is the same of State alone.
func (r *Responder) Heard() map[netip.Addr]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.others.Heard(time.Now()))
}
