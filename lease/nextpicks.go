package lease

import (
	"net/netip"
	"slices"
)

const (
	// nextPicksPerPool is how many addresses are named for one pool and family, nextPicksInAll for
	// all of them together.
	nextPicksPerPool = 32
	nextPicksInAll   = 256
	// nextPickSkips bounds the addresses that one look ahead passes over.
	nextPickSkips = 256
)

// NextPicks names the addresses that are likely to be picked next from the pools of which this
// speaker is the picker, sorted: they can be probed before they are needed. It picks nothing. To
// be called after Steps with the same View; what it costs does not depend on the size of anything.
func (t *Table) NextPicks(v View) []netip.Addr {
	var mine []*pool
	for _, q := range v.Pools.list {
		if q.AutoAssign && t.rank(&v, q.Name) == 0 && t.freeLists[q.Name] != nil {
			mine = append(mine, q)
		}
	}
	if len(mine) == 0 {
		return nil
	}
	n := max(1, min(nextPicksPerPool, nextPicksInAll/(2*len(mine))))
	w := facts{now: v.Now, taken: t.taken, reserved: func(ip netip.Addr) bool { return v.barred(ip) != "" }}
	var out []netip.Addr
	for _, q := range mine {
		for _, s := range t.freeLists[q.Name] {
			out = append(out, s.nextPicks(&w, n)...)
		}
	}
	slices.SortFunc(out, netip.Addr.Compare)
	return slices.Compact(out)
}

// nextPicks returns some n addresses of those that are picked next, if nothing changes: of each
// announcer the first ones known, and what the cursor comes to.
func (s *freeList) nextPicks(w *facts, n int) []netip.Addr {
	var out []netip.Addr
	free := func(ip netip.Addr) bool {
		return !s.pool.avoids(ip) && !s.pool.reserves(ip) && !w.taken(ip) && !w.reserved(ip)
	}
	for _, c := range s.unsorted[:min(n, len(s.unsorted))] {
		if free(c.ip) {
			out = append(out, c.ip)
		}
	}
	for _, b := range []*byAnnouncer{&s.fresh, &s.rested} {
		for _, h := range b.heaps {
			share := n/len(b.heaps) + 1
			for _, c := range h[:min(share, len(h))] { // a heap begins with its smallest
				if free(c.ip) {
					out = append(out, c.ip)
				}
			}
		}
	}
	at := freeList{spans: s.spans, next: s.next}
	for skips := 0; len(at.spans) > 0 && len(out) < 2*n && skips < nextPickSkips; skips++ {
		ip := at.next
		at.advance()
		if free(ip) {
			out = append(out, ip)
		}
	}
	return out
}
