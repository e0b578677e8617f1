package lease

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// A Service that is deleted and made again under its name, as by a replacing apply or a pipeline,
// gets the address that it had, and so does one that was of another type meanwhile, for as long as
// the pool's keepFor says. Nothing is kept
// free for it: whoever asks for that very address gets it, and where all others are used whoever
// needs one. Since released addresses go to others last, it is free most often.
//
// Speakers know of it from the stream, each for itself; one that starts meanwhile does not, and
// picks as for any Service.
const (
	// formerFor is how long a name is remembered where its pool does not say otherwise (keepFor).
	formerFor = 10 * time.Minute
	// formerMost is the longest time that a pool may ask for.
	formerMost = 7 * 24 * time.Hour
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

// written are the holds of a Service, with what a write of this speaker binds that the stream has
// not shown: a Service may be gone before it does, or before the write is known to be accepted.
func (e *entry) written(held []hold) []hold {
	if e.flight == nil || len(e.flight.bound) == 0 {
		return held
	}
	held = slices.Clone(held)
	for i := range held {
		held[i].said = held[i].said || slices.Contains(e.flight.bound, held[i].ip)
	}
	return held
}

// leave remembers for a time what a Service gave up for which our lease said that it is bound.
func (f *formers) leave(k Key, held []hold, now time.Time, keep time.Duration) {
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
	for len(f.order) > maxFormer || len(f.order) > 0 && now.Sub(f.order[0].at) >= keep {
		if old := f.order[0]; f.of[old.key].at.Equal(old.at) {
			delete(f.of, old.key)
		}
		f.order = f.order[1:]
	}
}

// addKeepFor reads how long a pool remembers whose an address was.
func (q *pool) addKeepFor(text Duration) []error {
	q.keepFor = formerFor
	if text == "" {
		return nil
	}
	after, err := time.ParseDuration(string(text))
	switch {
	case err != nil:
		err = errors.New("no duration; want one such as 10m or 24h")
	case after < 0:
		err = errors.New("negative; want 0s or more")
	case after > formerMost:
		err = fmt.Errorf("longer than %s", shortDuration(formerMost))
	default:
		q.keepFor, q.KeepFor = after, shortDuration(after)
		return nil
	}
	return []error{wrongAt(fmt.Errorf("keepFor %q: %w", clip(string(text)), err), "keepFor")}
}

// keepFor is the longest time that any pool remembers.
func (p *Pools) keepFor() time.Duration {
	if p == nil || len(p.list) == 0 {
		return formerFor
	}
	return slices.MaxFunc(p.list, func(a, b *pool) int { return cmp.Compare(a.keepFor, b.keepFor) }).keepFor
}

// former is the address of a pool that a Service of this name had a while ago, if it can have it
// again.
func (d *draft) former(q *pool, f int) (netip.Addr, bool) {
	was := d.t.formers.of[d.e.s.Key()]
	if d.v.Now.Sub(was.at) >= q.keepFor {
		return netip.Addr{}, false
	}
	return d.firstOf(q, f, was.ips)
}

// ownFirst has the pools tried first that reserve an address for the Service, and after these those
// that a Service of this name had its addresses from.
func (d *draft) ownFirst(pools []*pool) []*pool {
	if len(pools) < 2 {
		return pools
	}
	own := make(map[*pool]int, len(pools))
	for _, q := range pools {
		own[q] = -2*btoi(d.expected(q)) - btoi(d.had(q))
	}
	pools = slices.Clone(pools)
	slices.SortStableFunc(pools, func(a, b *pool) int { return own[a] - own[b] })
	return pools
}

func (d *draft) had(q *pool) bool {
	return slices.ContainsFunc([]int{0, 1}, func(f int) bool { _, ok := d.former(q, f); return ok })
}
