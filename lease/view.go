package lease

import (
	"net/netip"
	"time"
)

func (v *View) rank(pool string) int {
	if v.Rank == nil {
		return 0
	}
	return v.Rank(pool)
}

func (v *View) reserved(ip netip.Addr) string {
	if v.Reserved == nil {
		return ""
	}
	return v.Reserved(ip)
}

// barred says why an address must not be picked.
func (v *View) barred(ip netip.Addr) string {
	why := v.reserved(ip)
	if why == "" && v.Used != nil {
		why = v.Used(ip)
	}
	return why
}

// proof is when it is known that nobody has an address; zero: it is.
func (v *View) proof(ip netip.Addr) time.Time {
	if v.Proof == nil {
		return time.Time{}
	}
	if at := v.Proof(ip); at.After(v.Now) {
		return at
	}
	return time.Time{}
}

func (v *View) namespaceLabels(space string) Labels {
	if v.NamespaceLabels == nil {
		return nil
	}
	return v.NamespaceLabels(space)
}

// see compares a View with the last one and marks the Services that the difference concerns.
func (t *Table) see(v *View) {
	t.adopt(v)
	if v.Spread != t.loads.spread {
		t.loads = newLoads(v.Spread)
	}
	t.relabel(v)
	t.strike(v.Conflicts)
	moved := v.Behind != t.behind
	t.behind = v.Behind
	for name, old := range t.ranks {
		r := v.rank(name)
		moved = moved || r != old
		t.ranks[name] = r
	}
	if moved {
		for _, e := range t.entries {
			if e.parked {
				t.mark(e)
			}
		}
	}
}

// none are the pools of Views without any.
var none = &Pools{}

// adopt takes over what of a View concerns every Service.
func (t *Table) adopt(v *View) {
	if v.Pools == nil {
		v.Pools = none
	}
	now := seen{pools: v.Pools, installation: v.Installation, classes: v.Classes, freeze: v.Freeze}
	if now == t.seen {
		return
	}
	moved, newer := now.installation != t.seen.installation, now.pools != t.seen.pools
	if moved {
		for _, e := range t.entries {
			t.unlink(e)
			e.sift(now.installation, &t.off)
		}
	}
	t.seen, t.foreign = now, nil
	for _, e := range t.entries {
		t.mark(e)
		if moved {
			t.link(e)
		}
		if newer {
			for i := range e.holds {
				e.holds[i].news = time.Time{}
			}
		}
	}
	if moved || newer {
		t.reload(v.Pools)
	}
	for ip := range t.holds {
		t.stale[ip] = struct{}{}
	}
	for ip := range t.externals {
		t.stale[ip] = struct{}{}
	}
}

// reload builds the free lists of other pools. What was released just now goes on resting.
func (t *Table) reload(p *Pools) {
	old := t.freeLists
	t.freeLists = make(map[string]*[2]*freeList, len(p.list))
	for _, q := range p.list {
		t.freeLists[q.Name] = &[2]*freeList{newFreeList(q, 0), newFreeList(q, 1)}
	}
	for _, both := range old {
		for _, s := range both {
			for _, r := range s.released() {
				if q := p.of(r.ip); q != nil {
					t.freeLists[q.Name][family(r.ip)].release(r.ip, r.at)
				}
			}
		}
	}
	t.used, t.loads = p.count(t), newLoads(t.loads.spread)
	t.respend()
}

// count counts the held addresses of each pool.
func (p *Pools) count(t *Table) map[string][2]uint64 {
	used := make(map[string][2]uint64, len(p.list))
	for ip := range t.holds {
		if q := p.of(ip); q != nil {
			n := used[q.Name]
			n[family(ip)]++
			used[q.Name] = n
		}
	}
	return used
}
