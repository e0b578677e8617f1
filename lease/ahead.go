package lease

import (
	"net/netip"
	"slices"
)

const (
	// aheadMost is how many addresses are named for one pool and family, aheadAll for all of them together.
	aheadMost = 32
	aheadAll  = 256
	// aheadSkips bounds the addresses that one look ahead passes over.
	aheadSkips = 256
)

// Ahead names the addresses that are likely to be picked next from the pools of which this speaker is
// the picker, sorted: they can be tried out before they are needed. It picks nothing. To be called
// after Steps with the same View; what it costs does not depend on the size of anything.
func (t *Table) Ahead(v View) []netip.Addr {
	var mine []*pool
	for _, q := range v.Pools.list {
		if q.AutoAssign && t.rank(&v, q.Name) == 0 && t.shelves[q.Name] != nil {
			mine = append(mine, q)
		}
	}
	if len(mine) == 0 {
		return nil
	}
	n := max(1, min(aheadMost, aheadAll/(2*len(mine))))
	w := world{now: v.Now, taken: t.taken, reserved: func(ip netip.Addr) bool { return v.barred(ip) != "" }}
	var out []netip.Addr
	for _, q := range mine {
		for _, s := range t.shelves[q.Name] {
			out = append(out, s.ahead(&w, n)...)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// ahead returns some n addresses of those that are picked next, if nothing changes: of each announcer the
// first ones known, and what the cursor comes to.
func (s *shelf) ahead(w *world, n int) []netip.Addr {
	var out []netip.Addr
	free := func(ip netip.Addr) bool { return !s.pool.avoids(ip) && !w.taken(ip) && !w.reserved(ip) }
	for _, c := range s.loose[:min(n, len(s.loose))] {
		if free(c.ip) {
			out = append(out, c.ip)
		}
	}
	for _, b := range []*bins{&s.fresh, &s.rested} {
		for _, h := range b.heaps {
			share := n/len(b.heaps) + 1
			for _, c := range h[:min(share, len(h))] { // a heap begins with its smallest
				if free(c.ip) {
					out = append(out, c.ip)
				}
			}
		}
	}
	at := shelf{spans: s.spans, next: s.next}
	for skips := 0; len(at.spans) > 0 && len(out) < 2*n && skips < aheadSkips; skips++ {
		ip := at.next
		at.advance()
		if free(ip) {
			out = append(out, ip)
		}
	}
	return out
}
