package lease

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"
)

// shares reports whether two Services may share an address, or might have when the write was
// decided.
func (s *simulation) shares(a, b Key) bool {
	for _, snapshot := range s.history {
		x, y := snapshot[a], snapshot[b]
		if x.UID != "" && y.UID != "" && clashHere(read(x), read(y)) == "" {
			return true
		}
	}
	return false
}

// check compares a table with the naive oracle.
func (s *simulation) check(p *speaker) {
	var got []string
	listed := 0
	for _, v := range p.table.VIPs(s.view(p)) {
		got = append(got, fmt.Sprint(v.IP, v.Services))
		listed += len(v.Services)
		for _, k := range v.Services {
			if !slices.Contains(p.table.Bound(k), v.IP) {
				s.fail("%s has bound %v, but not %s", k, p.table.Bound(k), v.IP)
			}
		}
	}
	bound := 0
	for k := range p.table.entries {
		bound += len(p.table.Bound(k))
	}
	if bound != listed {
		s.fail("Services have bound %d addresses, listed are %d", bound, listed)
	}
	if diff := cmp.Diff(naiveVIPs(s.history[p.at]), got); diff != "" {
		s.fail("VIPs (-want +got):\n%s", diff)
	}
	for _, u := range p.table.Usage(p.pools) {
		if want := naiveUsed(s.history[p.at], p.pools, u.Pool); u.Used != want {
			s.fail("pool %s: %d used, want %d", u.Pool, u.Used, want)
		}
	}
	if why := p.table.inconsistent(); why != "" {
		s.fail("%s", why)
	}
}

// settled checks what must be true when nothing is left to do.
func (s *simulation) settled(p *speaker) {
	for _, v := range p.table.VIPs(s.view(p)) {
		for i, a := range v.Services {
			for _, b := range v.Services[:i] {
				if why := clashHere(read(s.api.services[a]), read(s.api.services[b])); why != "" {
					s.fail("%s stays bound to %s and %s: %s", v.IP, a, b, why)
				}
			}
		}
	}
	for k, svc := range s.api.services {
		if why := forbidden(svc, p.pools, s.labels[p.space]); why != "" {
			s.fail("%s keeps %s: %s", k, why, show(svc))
		}
		if pool := hungry(svc, s.api.services, p.pools, s.labels[p.space]); pool != "" {
			s.fail("%s has no address although pool %s has: %s", k, pool, show(svc))
		}
	}
}

// forbidden names an address that a Service shows although its pool forbids it and is to take it
// back.
func forbidden(svc Service, pools *Pools, space Labels) string {
	e := read(svc)
	if svc.Type != typeLoadBalancer || svc.Class != "" || svc.Deleting || e.by != "" && e.by != "here" || space == nil {
		return ""
	}
	for _, h := range e.holds {
		q := pools.of(h.ip)
		if q == nil && pools.byName[h.pool] != nil || !h.shown {
			continue
		}
		if q == nil && h.revoke != never || q != nil && q.Keep == KeepNever && !(q.ofServices.matchText(svc.Labels) && (len(q.inNamespaces) == 0 || q.inNamespaces.match(space))) {
			return h.ip.String()
		}
	}
	return ""
}

// hungry names a pool that could serve a Service which has no simple request granted.
func hungry(svc Service, all map[Key]Service, pools *Pools, space Labels) string {
	e := read(svc)
	if svc.Type != typeLoadBalancer || svc.Class != "" || svc.Deleting || e.wrong != nil || e.by != "" && e.by != "here" {
		return ""
	}
	if slices.ContainsFunc(e.req.slots, func(s slot) bool { return s.ip.IsValid() }) {
		return ""
	}
	if slices.ContainsFunc(e.holds, func(h hold) bool { return h.shown }) {
		return "" // what is in use is not given up, neither for a pool with both families nor to a foreign claim
	}
	for _, q := range pools.list {
		if e.req.pool == "" && !q.AutoAssign || e.req.pool != "" && e.req.pool != q.Name || space == nil || !q.ofServices.matchText(svc.Labels) || !q.inNamespaces.match(space) {
			continue
		}
		n := 0
		for _, s := range e.req.slots {
			n += btoi(anyFree(e, q, s.family, all))
		}
		if n >= e.req.need {
			return q.Name
		}
	}
	return ""
}

// anyFree reports whether nobody holds some address of a pool with whom the Service may not share
// it.
func anyFree(e *entry, q *pool, f int, all map[Key]Service) bool {
	for _, s := range q.spans[f] {
		for ip := s.first; s.contains(ip); ip = ip.Next() {
			taken := false
			for _, svc := range all {
				o := read(svc)
				taken = taken || slices.Contains(o.external, ip) || o.s.Key() != e.s.Key() && o.has(ip) && clashHere(e, o) != ""
			}
			if !taken {
				return true
			}
		}
	}
	return false
}

// naiveVIPs is VIPs without an index.
func naiveVIPs(services map[Key]Service) []string {
	by := map[netip.Addr][]string{}
	for k, svc := range services {
		l, _ := DecodeLease(svc.note(LeaseAnnotation))
		for _, n := range l.IPs {
			if boundTo(svc, n.IP) && l.By == "here" {
				by[n.IP] = append(by[n.IP], k.String())
			}
		}
	}
	var all []string
	for _, ip := range slices.SortedFunc(maps.Keys(by), netip.Addr.Compare) {
		slices.Sort(by[ip])
		all = append(all, fmt.Sprintf("%s [%s]", ip, strings.Join(by[ip], " ")))
	}
	return all
}

func naiveUsed(services map[Key]Service, pools *Pools, pool string) uint64 {
	used := map[netip.Addr]bool{}
	for _, svc := range services {
		for _, h := range held(svc) {
			if h.void {
				continue
			}
			if name, _ := pools.Of(h.ip); name == pool {
				used[h.ip] = true
			}
		}
	}
	return uint64(len(used))
}
