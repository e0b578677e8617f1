package lease

import (
	"net/netip"
	"slices"
	"strings"
)

// VIPs returns the addresses to announce, sorted: those that this installation has bound, and those
// that another allocator has given (given.go). Of the View only Installation and
// Pools count. Callers must not change the list; the next call does not change it either.
func (t *Table) VIPs(v View) []VIP {
	v.Classes, v.Freeze = t.seen.classes, t.seen.freeze // they bind nothing, and callers may leave them out
	t.adopt(&v)
	if len(t.stale) == 0 {
		return t.vips
	}
	var again []netip.Addr
	for ip := range t.stale {
		if !t.sameVIP(ip) {
			again = append(again, ip)
		}
	}
	t.stale = make(map[netip.Addr]struct{}) // not cleared, which would keep the room of the largest step
	if len(again) == 0 {
		return t.vips
	}
	slices.SortFunc(again, netip.Addr.Compare)
	merged := make([]VIP, 0, len(t.vips)+len(again))
	rest := t.vips
	for _, ip := range again {
		for len(rest) > 0 && rest[0].IP.Less(ip) {
			merged, rest = append(merged, rest[0]), rest[1:]
		}
		if len(rest) > 0 && rest[0].IP == ip {
			rest = rest[1:]
		}
		if vip, ok := t.vip(ip); ok {
			merged = append(merged, vip)
		}
	}
	t.vips = append(merged, rest...)
	return t.vips
}

// sameVIP reports whether the list is right about an address.
func (t *Table) sameVIP(ip netip.Addr) bool {
	vip, ok := t.vip(ip)
	i, listed := slices.BinarySearchFunc(t.vips, ip, func(v VIP, ip netip.Addr) int { return v.IP.Compare(ip) })
	return ok == listed && (!ok || t.vips[i].Pool == vip.Pool && slices.Equal(t.vips[i].Services, vip.Services))
}

func (t *Table) vip(ip netip.Addr) (VIP, bool) {
	vip := VIP{IP: ip, Pool: t.poolName(ip)}
	for _, e := range t.externals[ip] {
		if t.listed(e, ip) {
			vip.Services = append(vip.Services, e.s.Key())
		}
	}
	for _, e := range t.holds[ip] {
		if h := e.at(ip); (h.bound && e.by == t.seen.installation || t.shows(e, ip)) && !t.listed(e, ip) {
			vip.Services = append(vip.Services, e.s.Key())
			if q := t.seen.pools.byName[h.pool]; vip.Pool == "" && q != nil && q.Keep == KeepAlways {
				vip.Pool = q.Name
			}
		}
	}
	slices.SortFunc(vip.Services, func(a, b Key) int { return strings.Compare(a.String(), b.String()) })
	return vip, len(vip.Services) > 0
}

// Bound returns the addresses of one Service, as VIPs lists them.
func (t *Table) Bound(k Key) []netip.Addr {
	e := t.entries[k]
	if e == nil || t.seen.pools == nil {
		return nil
	}
	var ips []netip.Addr
	for _, h := range e.holds {
		if h.bound && e.by == t.seen.installation || t.shows(e, h.ip) {
			ips = append(ips, h.ip)
		}
	}
	for _, ip := range e.external {
		if t.listed(e, ip) && !slices.Contains(ips, ip) {
			ips = append(ips, ip)
		}
	}
	return ips
}

// Usage returns the use of each pool, in the order of the configuration.
func (t *Table) Usage(p *Pools) []Usage {
	used := t.used
	if p != t.seen.pools {
		used = p.count(t)
	}
	usage := make([]Usage, 0, len(p.list))
	for _, q := range p.list {
		n, kept := used[q.Name], q.keptFree(t)
		free := func(size, gone uint64) uint64 { return size - min(gone, size) }
		u := Usage{
			Pool: q.Name, Size: q.Size, Used: n[0] + n[1], Waiting: t.waiting[q.Name],
			Free: free(q.Size, n[0]+n[1]+kept[0]+kept[1]),
		}
		for f := range n {
			if q.sizes[f] > 0 {
				u.Families = append(u.Families, FamilyUsage{Family: familyName(f), Size: q.sizes[f], Used: n[f], Free: free(q.sizes[f], n[f]+kept[f])})
			}
		}
		usage = append(usage, u)
	}
	return usage
}
