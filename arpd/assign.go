package arpd

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/claims"
)

// Assign says what the addresses are to this node, see claims.Assignment. Those that are handed
// over and still answered are returned, sorted. When Assign returns, no other address is answered,
// and of the own ones all but those that are left to a member, see State.Yields; new ones are
// announced at once.
func (r *Responder) Assign(a claims.Assignment) (still []netip.Addr) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	others := !maps.Equal(r.deputy.absent, a.Absent)
	r.deputy.absent = a.Absent
	r.others.Step(a, now)
	r.metrics.tally.keep(a.Own)
	if r.act(now); others {
		r.restand()
	}
	return r.others.Handing()
}

// act does what the claims of others make necessary. The caller holds mu.
func (r *Responder) act(now time.Time) {
	do := r.others.Ready(now)
	r.metrics.conflicts.WithLabelValues(claims.OfStranger).Add(float64(do.Frames))
	r.metrics.conflicts.WithLabelValues(claims.OfMember).Add(float64(do.Members))
	if len(do.Roles) > 0 {
		r.turn(do.Roles, now)
	}
	for _, ip := range do.Defend {
		r.schedule.Defend(ip)
		poke(r.due)
	}
	r.outbox.put(do.Ask, do.Probe)
	if do.Restart {
		r.schedule.Restart(now)
		poke(r.due)
	}
	for _, c := range do.Fresh {
		r.log.Debug().Stringer("vip", c.IP).Str("mac", c.MAC).Msg("another station claims the address") // the loop tells it at level warn
	}
	if do.Changed {
		poke(r.changed)
	}
	if sooner := !do.Wake.IsZero() && (r.actAt.IsZero() || do.Wake.Before(r.actAt)); sooner {
		poke(r.again)
	}
	r.actAt = do.Wake
}

// turn changes the roles of addresses, as they are answered for. The caller holds mu.
func (r *Responder) turn(changed []claims.Change, now time.Time) {
	changes := make([]grant, 0, len(changed))
	for _, c := range changed {
		role := roleOf(c.Is)
		if r.roles[c.IP] = role; role == 0 {
			delete(r.roles, c.IP)
		}
		changes = append(changes, grant{ip: c.IP, role: role})
		if c.Was.Announces() {
			r.schedule.Lose(c.IP)
		}
		if c.Is.Announces() {
			r.schedule.Gain(c.IP, now)
			poke(r.due)
			poke(r.gained)
		}
		if r.kernel.proxied || r.kernel.locals[c.IP] != nil {
			poke(r.rescan) // the kernel interferes, see inspect
		}
	}
	r.patch(changes)
}

// restand gives the ports the MACs of absent nodes anew, since nodes, MACs or where they are have
// changed. The caller holds mu.
func (r *Responder) restand() {
	var changes []grant
	for ip := range r.deputy.absent {
		if role := r.roles[ip]; role&deputized != 0 {
			changes = append(changes, grant{ip: ip, role: role})
		}
	}
	if len(changes) > 0 {
		r.patch(changes)
	}
}

// spread gives every port the roles of its addresses anew, as when the interfaces
// have changed. The caller holds mu.
func (r *Responder) spread() {
	changes := make([]grant, 0, len(r.roles))
	for ip, role := range r.roles {
		changes = append(changes, grant{ip: ip, role: role})
	}
	r.fit(changes, func(*iface) *table { return &table{presence: r.presence} })
}

// patch changes the roles of some addresses at the ports. The caller holds mu.
func (r *Responder) patch(changes []grant) {
	r.fit(changes, func(p *iface) *table { return p.view.Load().table })
}

// fit applies changes to a table of every port, as far as they concern it. The
// caller holds mu.
func (r *Responder) fit(changes []grant, from func(*iface) *table) {
	links := make([]netif.Link, 0, len(r.ifaces))
	for _, p := range r.ifaces {
		links = append(links, p.link)
	}
	r.routes = netif.NewRoutes(r.limits, r.wiring.via, slices.Collect(maps.Keys(r.wiring.heard)), links)
	parts := make(map[int][]grant, len(r.ifaces))
	for _, c := range changes {
		announce, listen := r.routes.Of(c.ip)
		for index := range r.ifaces {
			part := grant{ip: c.ip}
			switch {
			case slices.Contains(announce, index):
				part.role = c.role
			case slices.Contains(listen, index):
				part.role = c.role.elsewhere()
			}
			if part.role&deputized != 0 {
				part.mac, part.role = r.stationOf(c.ip, index, part.role)
			}
			parts[index] = append(parts[index], part)
		}
	}
	for index, p := range r.ifaces {
		v := view{mac: p.link.MAC, addr4: p.link.Addr4(), nets: p.link.Prefixes(), say: r.answer, proofs: r.proofs, table: from(p).with(parts[index])}
		if err := p.assign(v); err != nil {
			r.failed[index] = err
			poke(r.rescan)
		}
	}
}
