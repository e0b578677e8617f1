package arpd

import (
	"net/netip"
	"slices"
	"time"
)

// Assign makes own the whole set of addresses that this node answers for, and
// watched those that belong to other nodes and whose announcers are to be
// remembered for Heard. An address in both is being handed over: it is answered,
// but not announced and not defended. When Assign returns, no other address is
// answered; new ones are announced at once. The lists must not change afterwards:
// given again, they cost nothing. Others cost what a comparison takes, if they are
// sorted, and beside it only the addresses that are not in both count.
func (r *Responder) Assign(own, watched []netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.muted && sameList(r.given[0], own) && sameList(r.given[1], watched) {
		return
	}
	r.given = [2][]netip.Addr{own, watched}
	own, watched = normalise(own, r.own), normalise(watched, r.watched)
	touched := append(differing(r.own, own), differing(r.watched, watched)...)
	if r.muted {
		touched = append(touched, own...)
	}
	r.own, r.watched, r.muted = own, watched, false
	r.update(touched, time.Now())
}

// sameList tells whether both are one list, without looking into it.
func sameList(a, b []netip.Addr) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// normalise returns the unicast addresses of ips, plain, sorted, each once: the
// same list, if it is like that. Where it is the same as a list that is, it need
// not be looked at.
func normalise(ips, known []netip.Addr) []netip.Addr {
	head, tail := common(ips, known)
	if normal(ips[max(head-1, 0):min(len(ips)-tail+1, len(ips))]) {
		return ips
	}
	out := make([]netip.Addr, 0, len(ips))
	for _, ip := range ips {
		if ip = ip.Unmap().WithZone(""); unicast(ip) {
			out = append(out, ip)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// common is how many addresses at the head and at the tail of two lists are the
// same; none counts for both.
func common(a, b []netip.Addr) (head, tail int) {
	most := min(len(a), len(b))
	for head < most && a[head] == b[head] {
		head++
	}
	for tail < most-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	return head, tail
}

func normal(ips []netip.Addr) bool {
	for i, ip := range ips {
		if !unicast(ip) || ip.Is4In6() || ip.Zone() != "" || i > 0 && !ips[i-1].Less(ip) {
			return false
		}
	}
	return true
}

func unicast(ip netip.Addr) bool {
	return ip.IsValid() && !ip.IsUnspecified() && !ip.IsMulticast() && !ip.IsLoopback()
}

// differing are the addresses that are in one of two sorted lists alone, sorted.
// What is the same at both ends is passed at the speed of a comparison.
func differing(a, b []netip.Addr) []netip.Addr {
	head, tail := common(a, b)
	a, b = a[head:len(a)-tail], b[head:len(b)-tail]
	var out []netip.Addr
	for len(a) > 0 && len(b) > 0 {
		switch order := a[0].Compare(b[0]); {
		case order < 0:
			out, a = append(out, a[0]), a[1:]
		case order > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			a, b = a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// update carries what own, watched and tried say of some addresses to where it
// takes effect; of all others nothing has changed. The caller holds mu.
func (r *Responder) update(touched []netip.Addr, now time.Time) {
	slices.SortFunc(touched, netip.Addr.Compare)
	var changes []grant
	for _, ip := range slices.Compact(touched) {
		was, is := r.roles[ip], r.role(ip, now)
		if was != is {
			changes = append(changes, grant{ip, is})
			r.turn(ip, was, is, now)
		}
	}
	if len(changes) > 0 {
		r.patch(changes)
		poke(r.due)
	}
}

// role is what an address is from now on: it is tried out only if it is nothing
// else. The caller holds mu.
func (r *Responder) role(ip netip.Addr, now time.Time) (is role) {
	if !r.muted && contains(r.own, ip) {
		is |= own
	}
	if contains(r.watched, ip) {
		is |= watch
	}
	if is == 0 {
		return r.try(ip, now)
	}
	r.probes.drop(ip)
	return is
}

func contains(sorted []netip.Addr, ip netip.Addr) bool {
	_, in := slices.BinarySearchFunc(sorted, ip, netip.Addr.Compare)
	return in
}

// turn changes the role of an address. The caller holds mu.
func (r *Responder) turn(ip netip.Addr, was, is role, now time.Time) {
	if r.roles[ip] = is; is == 0 {
		delete(r.roles, ip)
	}
	if s, known := r.heard[ip]; known {
		r.hearsay.note(ip)
		if s.past(was, is, now) {
			delete(r.heard, ip)
		}
	}
	switch {
	case is.ours():
		r.schedule.gain(ip, now)
	case was.ours():
		r.schedule.lose(ip)
		if strangers, members := r.disputes.drop(ip), r.quarrels.drop(ip); strangers || members {
			poke(r.changed)
		}
	}
	if r.proxied || r.locals[ip] != nil {
		poke(r.rescan) // the kernel interferes, see inspect
	}
}

// spread gives every port the roles of its addresses anew, as when the interfaces
// have changed. The caller holds mu.
func (r *Responder) spread() {
	changes := make([]grant, 0, len(r.roles))
	for ip, role := range r.roles {
		changes = append(changes, grant{ip, role})
	}
	r.fit(changes, func(*port) *table { return &table{presence: r.presence} })
}

// patch changes the roles of some addresses at the ports. The caller holds mu.
func (r *Responder) patch(changes []grant) {
	r.fit(changes, func(p *port) *table { return p.view.Load().table })
}

// fit applies changes to a table of every port, as far as they concern it. The
// caller holds mu.
func (r *Responder) fit(changes []grant, from func(*port) *table) {
	links := make([]link, 0, len(r.ports))
	for _, p := range r.ports {
		links = append(links, p.link)
	}
	at := newRoutes(r.limits, links)
	parts := make(map[int][]grant, len(r.ports))
	for _, c := range changes {
		on := at.of(c.ip)
		for index := range r.ports {
			part := grant{ip: c.ip}
			if slices.Contains(on, index) {
				part.role = c.role
			}
			parts[index] = append(parts[index], part)
		}
	}
	for index, p := range r.ports {
		v := view{mac: p.link.mac, addr4: p.link.addr4(), nets: p.link.prefixes(), say: r.say, table: from(p).with(parts[index])}
		if err := p.assign(v); err != nil {
			r.failed[index] = err
			poke(r.rescan)
		}
	}
}
