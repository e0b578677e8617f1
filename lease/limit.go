package lease

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/starling-lb/starling/health"
)

// A pool may limit how many of its addresses the Services of one namespace have (maxPerNamespace).
// It is asked when an address is picked, and takes nothing from anybody: what is over a limit that
// was lowered stays. An address that Services of one namespace share counts once, and one that
// replaces another of the same Service does not count beside it. Two speakers that pick at the same
// moment may go beyond it by one, since each sees the claim of the other too late.

// portion is what one namespace has of one pool.
type portion struct{ pool, space string }

func (q *pool) addLimit(most int) []error {
	if q.MaxPerNamespace = most; most >= 0 {
		return nil
	}
	return []error{wrongAt(errors.New("maxPerNamespace: negative; want 1 or more, or no such key"), "maxPerNamespace")}
}

// spend counts an address that a Service holds, or is about to hold, for its namespace.
func (t *Table) spend(e *entry, ip netip.Addr, by int) {
	if t.seen.pools == nil {
		return
	}
	q := t.seen.pools.of(ip)
	if q == nil || q.MaxPerNamespace == 0 {
		return
	}
	p := portion{q.Name, e.s.Namespace}
	if t.spent[p] == nil {
		t.spent[p] = make(map[netip.Addr]int)
	}
	if t.spent[p][ip] += by; t.spent[p][ip] > 0 {
		return
	}
	if delete(t.spent[p], ip); len(t.spent[p]) == 0 {
		delete(t.spent, p)
	}
	for name, w := range t.queues {
		if strings.HasPrefix(name, limited(e.s.Namespace)) {
			t.mark(w.list[0])
		}
	}
}

// respend counts anew, for other pools.
func (t *Table) respend() {
	t.spent = make(map[portion]map[netip.Addr]int)
	for _, index := range []map[netip.Addr][]*entry{t.holds, t.flying} {
		for ip, list := range index {
			for _, e := range list {
				t.spend(e, ip, 1)
			}
		}
	}
}

// limited begins the names of the queues of those that wait until their namespace has fewer
// addresses.
func limited(space string) string { return "limit " + space + " / " }

// exhausted reports whether the namespace of the Service may have no further address of a pool,
// beside those of the other Services there, what this one is to have, and some more that are picked
// just now.
func (d *draft) exhausted(q *pool, more int) bool {
	if q.MaxPerNamespace == 0 {
		return false
	}
	e, counts := d.e, d.t.spent[portion{q.Name, d.e.s.Namespace}]
	n := len(counts) + more
	for i := range e.holds {
		if ip := e.holds[i].ip; !e.holds[i].void && counts[ip] == 1 {
			n--
		}
	}
	for _, s := range d.slots {
		if s.ip.IsValid() && s.pool == q.Name && (counts[s.ip] == 0 || counts[s.ip] == 1 && e.has(s.ip)) {
			n++
		}
	}
	return n >= q.MaxPerNamespace
}

// counts reports whether the namespace has an address already, by another Service.
func (d *draft) counts(q *pool, ip netip.Addr) bool {
	n := d.t.spent[portion{q.Name, d.e.s.Namespace}][ip]
	return n > btoi(d.e.has(ip))
}

// overLimit says that the namespace of the Service has all that it may have of a pool.
func (d *draft) overLimit(q *pool) refusal {
	addresses := "addresses"
	if q.MaxPerNamespace == 1 {
		addresses = "address"
	}
	return refusal{health.NamespaceLimit, fmt.Sprintf("pool %q gives namespace %s no more than %d %s", q.Name, d.e.s.Namespace, q.MaxPerNamespace, addresses)}
}
