package lease

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/health"
)

// An address in spec.externalIPs of a Service, of whatever type, is one that kube-proxy of every
// node sends to that Service. So it is handed out to nobody who does not ask for it, and to no
// other Service unless both may share it. The Service itself may have it: both lead to the same
// endpoints then.
//
// A Service that is bound to it already keeps it, for whoever may write a Service could take
// addresses away by a list otherwise. An event says so on the Service that lists it, each time that
// it begins to, and once on the one that has it for as long as it does: a user who writes the list
// can fill the events of their own Service alone.

// maxExternal bounds what is read of externalIPs: each address costs work at each change.
const maxExternal = 64

// External is an address of a Service that another one has in its externalIPs.
type External struct {
	IP     netip.Addr
	Listed Key // has it in spec.externalIPs
	Held   Key // is bound to it
}

// readExternal returns the addresses of spec.externalIPs, each once.
func readExternal(s *Service) (ips []netip.Addr) {
	for _, text := range s.ExternalIPs[:min(len(s.ExternalIPs), maxExternal)] {
		if ip, err := parseAddr(text); err == nil && !slices.Contains(ips, ip) {
			ips = append(ips, ip)
		}
	}
	return ips
}

// linkExternal and unlinkExternal follow the index of Services that list an address.
func (t *Table) linkExternal(e *entry) {
	for _, ip := range e.external {
		i, _ := slices.BinarySearchFunc(t.externals[ip], e, older)
		t.externals[ip] = slices.Insert(t.externals[ip], i, e)
		t.stale[ip] = struct{}{}
	}
}

func (t *Table) unlinkExternal(e *entry) {
	for _, ip := range e.external {
		if t.externals[ip] = without(t.externals[ip], e); len(t.externals[ip]) == 0 {
			delete(t.externals, ip)
		}
		t.stale[ip] = struct{}{}
	}
}

// relisted marks the Services that a changed list concerns: those that hold an address of it, and
// those that wait for one.
func (t *Table) relisted(before, now []netip.Addr) {
	for i, list := range [][]netip.Addr{before, now} {
		other := [][]netip.Addr{now, before}[i]
		for _, ip := range list {
			if slices.Contains(other, ip) {
				continue
			}
			for _, o := range t.holds[ip] {
				t.mark(o)
			}
			for o := range t.wanted[ip] {
				t.mark(o)
			}
			if s := t.freeListOf(ip); s != nil && !t.taken(ip) {
				s.putBack(ip)
			}
			t.stir(ip)
		}
	}
}

// lists returns a Service that has the address in its externalIPs and that e may not share it with,
// or nil.
func (t *Table) lists(e *entry, ip netip.Addr) *entry {
	if t.off.external {
		return nil
	}
	for _, o := range t.externals[ip] {
		if o != e && t.clash(e, o, ip) != "" {
			return o
		}
	}
	return nil
}

// barred says why the Service must not be given an address.
func (d *draft) barred(ip netip.Addr) string {
	if why := d.v.barred(ip); why != "" {
		return why
	}
	if why := d.v.Pools.elsewise(d.e.s.Key(), ip); why != "" && !d.t.off.reserved {
		return why
	}
	if o := d.t.lists(d.e, ip); o != nil {
		return fmt.Sprintf("spec.externalIPs of %s has it", o.s.Key())
	}
	return ""
}

// boundTo returns a Service that is bound to an address and that e may not share it with, or nil.
func (t *Table) boundTo(e *entry, ip netip.Addr) *entry {
	for _, o := range t.holds[ip] {
		if o != e && o.at(ip).bound && t.clash(e, o, ip) != "" {
			return o
		}
	}
	return nil
}

// warn makes the event of a Service that lists an address of another one, or whose address another
// one lists.
func (t *Table) warn(e *entry, v *View) (Step, bool) {
	var events []Event
	current := map[netip.Addr]notice{}
	find := func(ip netip.Addr, text string) {
		n, known := e.warned[ip]
		if !known {
			n.at = v.Now
		}
		if !n.reported && t.rank(v, t.poolName(ip)) == 0 && v.Now.Sub(n.at) < news {
			n.reported = true
			events = append(events, Event{Warning: true, Reason: AddressConflict, Message: text, Code: health.AddressListed})
		}
		if current[ip] = n; !n.reported {
			e.parked = true // the rank may change
		}
	}
	for _, ip := range e.external {
		if o := t.boundTo(e, ip); o != nil {
			find(ip, fmt.Sprintf("spec.externalIPs has %s, which is the address of %s", ip, o.s.Key()))
		}
	}
	for i := range e.holds {
		if h := &e.holds[i]; h.bound && !slices.Contains(e.external, h.ip) {
			if o := t.lists(e, h.ip); o != nil {
				find(h.ip, fmt.Sprintf("spec.externalIPs of %s has %s, the address of this Service", o.s.Key(), h.ip))
			} else if n, known := e.warned[h.ip]; known {
				current[h.ip] = n // it may be listed again, and was told
			}
		}
	}
	if e.warned = current; len(current) == 0 {
		e.warned = nil
	}
	if len(events) == 0 {
		return Step{}, false
	}
	return Step{Kind: Tell, Service: e.s.Key(), UID: e.s.UID, Version: e.s.Version, Events: events}, true
}

// External lists the addresses of Services that others have in their externalIPs, at most that
// many, sorted.
func (t *Table) External(most int) []External {
	var ips []netip.Addr
	for ip := range t.externals {
		if len(t.holds[ip]) > 0 {
			ips = append(ips, ip)
		}
	}
	slices.SortFunc(ips, netip.Addr.Compare)
	var list []External
	for _, ip := range ips {
		for _, e := range t.externals[ip] {
			if o := t.boundTo(e, ip); o != nil && len(list) < most {
				list = append(list, External{IP: ip, Listed: e.s.Key(), Held: o.s.Key()})
			}
		}
	}
	return list
}
