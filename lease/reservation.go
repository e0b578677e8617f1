package lease

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// A pool may reserve addresses for Services by their names, also for those that do not exist yet. A
// reserved address is given to nobody else, neither by picking nor by request nor by sharing, and
// the Service that it is reserved for gets it when it is picked for. A reservation takes nothing
// from anybody: who has the address goes on having it, and who has another one keeps that.

// reservations are those of a pool, by Service and by address.
type reservations struct {
	ips map[Key][]netip.Addr // at most one of each family
	of  map[netip.Addr]Key
}

// addReservations reads them. Its pool knows its final spans.
func (q *pool) addReservations(texts map[string]string) []error {
	q.kept = reservations{make(map[Key][]netip.Addr, len(texts)), make(map[netip.Addr]Key, len(texts))}
	q.Reservations = maps.Clone(texts)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if err := q.reserve(name, texts[name]); err != nil {
			errs = append(errs, wrongAt(fmt.Errorf("reservation of %q: %w", clip(name), err), "reservations", name))
		}
	}
	return errs
}

func (q *pool) reserve(name, list string) error {
	space, service, ok := strings.Cut(name, "/")
	if !ok || checkDNSLabel(space) != nil || checkDNSLabel(service) != nil {
		return errors.New("want NAMESPACE/NAME of a Service")
	}
	k := Key{Namespace: space, Name: service}
	for text := range strings.SplitSeq(list, ",") {
		ip, err := parseAddr(strings.TrimSpace(text))
		if err != nil {
			return fmt.Errorf("address %q: %w", clip(text), err)
		}
		switch other, reserved := q.kept.of[ip]; {
		case !covers(q.spans[family(ip)], ip) || q.avoids(ip):
			return fmt.Errorf("address %s is none that the pool hands out", ip)
		case reserved:
			return fmt.Errorf("address %s is reserved for %s already", ip, other)
		case slices.ContainsFunc(q.kept.ips[k], func(o netip.Addr) bool { return family(o) == family(ip) }):
			return fmt.Errorf("address %s is a second one of its family", ip)
		}
		q.kept.of[ip] = k
		q.kept.ips[k] = append(q.kept.ips[k], ip)
	}
	return nil
}

// reserves reports whether the address is reserved for anybody.
func (q *pool) reserves(ip netip.Addr) bool {
	_, yes := q.kept.of[ip]
	return yes
}

// keptFree counts the reserved addresses that nobody holds yet, of each family.
func (q *pool) keptFree(t *Table) (n [2]uint64) {
	for ip := range q.kept.of {
		if len(t.holds[ip]) == 0 {
			n[family(ip)]++
		}
	}
	return n
}

func (r *reservations) print(w io.Writer) {
	for _, ip := range slices.SortedFunc(maps.Keys(r.of), netip.Addr.Compare) {
		fmt.Fprintf(w, " reserved %s %s", ip, r.of[ip])
	}
}

// elsewise says why an address is not for a Service: it is reserved for another one.
func (p *Pools) elsewise(k Key, ip netip.Addr) string {
	q := p.of(ip)
	if q == nil {
		return ""
	}
	if other, reserved := q.kept.of[ip]; reserved && other != k {
		return fmt.Sprintf("pool %q reserves it for %s", q.Name, other)
	}
	return ""
}

// kept is the address of a pool that is reserved for the Service, if it can have it.
func (d *draft) kept(q *pool, f int) (netip.Addr, bool) {
	return d.firstOf(q, f, q.kept.ips[d.e.s.Key()])
}

// expected reports whether a pool has an address that is reserved for the Service.
func (d *draft) expected(q *pool) bool {
	return slices.ContainsFunc([]int{0, 1}, func(f int) bool { _, ok := d.kept(q, f); return ok })
}

// firstOf is the first of these addresses that is of a pool and a family and that the Service can
// have.
func (d *draft) firstOf(q *pool, f int, ips []netip.Addr) (netip.Addr, bool) {
	for _, ip := range ips {
		if family(ip) == f && d.v.Pools.of(ip) == q && d.barred(ip) == "" && !slices.Contains(d.off, ip) && !d.t.hindered(d.e, ip) && !d.t.inFlight(d.e, ip) {
			return ip, true
		}
	}
	return netip.Addr{}, false
}
