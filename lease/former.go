package lease

import (
	"net/netip"
	"slices"
	"time"
)

// A Service that is deleted and made again under its name, as by a replacing apply or a pipeline, gets the address that it
// had, and so does one that was of another type meanwhile. Nothing is kept free for it: whoever asks for that very address
// gets it, and where all others are used whoever needs one. Since released addresses go to others last, it is free most often.
//
// Speakers know of it from the stream, each for itself; one that starts meanwhile does not, and picks as for any Service.
const (
	// formerFor is how long a name is remembered.
	formerFor = 10 * time.Minute
	// maxFormer bounds the names that are remembered; of more the oldest are forgotten.
	maxFormer = 1 << 13
)

// former are the addresses that a Service was bound to when it gave up all.
type former struct {
	ips []netip.Addr
	at  time.Time
}

// formers are those of all names, and in which order they came.
type formers struct {
	of    map[Key]former
	order []named
}

type named struct {
	key Key
	at  time.Time
}

// leave remembers what a Service gave up for which our lease said that it is bound.
func (f *formers) leave(k Key, held []hold, now time.Time) {
	var ips []netip.Addr
	for _, h := range held {
		if h.said {
			ips = append(ips, h.ip)
		}
	}
	if len(ips) == 0 {
		return
	}
	if f.of == nil {
		f.of = make(map[Key]former)
	}
	f.of[k] = former{ips, now}
	f.order = append(f.order, named{k, now})
	for len(f.order) > maxFormer || now.Sub(f.order[0].at) >= formerFor {
		if old := f.order[0]; f.of[old.key].at.Equal(old.at) {
			delete(f.of, old.key)
		}
		f.order = f.order[1:]
	}
}

// former is the address of a pool that a Service of this name had a while ago, if it can have it again.
func (d *draft) former(q *pool, f int) (netip.Addr, bool) {
	was := d.t.formers.of[d.e.s.Key()]
	if d.v.Now.Sub(was.at) >= formerFor {
		return netip.Addr{}, false
	}
	for _, ip := range was.ips {
		if family(ip) == f && d.v.Pools.of(ip) == q && d.barred(ip) == "" && !slices.Contains(d.off, ip) && !d.t.hindered(d.e, ip) && !d.t.inFlight(d.e, ip) {
			return ip, true
		}
	}
	return netip.Addr{}, false
}

// formerFirst has the pools tried first that a Service of this name had its addresses from.
func (d *draft) formerFirst(pools []*pool) []*pool {
	was := d.t.formers.of[d.e.s.Key()]
	if len(was.ips) == 0 || len(pools) < 2 {
		return pools
	}
	pools = slices.Clone(pools)
	slices.SortStableFunc(pools, func(a, b *pool) int { return btoi(d.had(b)) - btoi(d.had(a)) })
	return pools
}

func (d *draft) had(q *pool) bool {
	return slices.ContainsFunc([]int{0, 1}, func(f int) bool { _, ok := d.former(q, f); return ok })
}
