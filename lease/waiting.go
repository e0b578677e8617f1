package lease

import (
	"cmp"
	"slices"
	"strings"

	"github.com/starling-lb/starling/health"
)

// Waiting is a Service without all of its addresses, and why.
type Waiting struct {
	Service Key
	Pool    string // it counts as waiting there; "" where no pool could help
	Code    health.Code
	Reason  string // the rule that refused, in words
}

// Held is what one Service holds of addresses, and how.
type Held struct {
	Service Key
	By      string // installation that the lease names
	Foreign bool   // the lease is not for this installation to change
	Holder  string // node that wrote the lease
	Bad     string // what is wrong with the lease as it is written, or ""
	Items   []Item // of which State may also be "shown", by status.loadBalancer.ingress alone, or "void": it counts for nothing
}

// noteWaiting remembers that a Service cannot have what it wants, for Waiting to tell; nil ends it.
func (t *Table) noteWaiting(e *entry, f *failure) {
	text := ""
	if f != nil {
		text = f.text()
	}
	if text == "" {
		delete(t.lacking, e)
		return
	}
	t.lacking[e] = Waiting{Service: e.s.Key(), Pool: f.count, Code: f.code(), Reason: text}
}

// Waiting lists the oldest Services that have not got what they want, at most that many, as the
// last Steps found them.
func (t *Table) Waiting(most int) []Waiting {
	all := make([]*entry, 0, len(t.lacking))
	for e := range t.lacking {
		all = append(all, e)
	}
	slices.SortFunc(all, older)
	list := make([]Waiting, 0, min(len(all), most))
	for _, e := range all[:min(len(all), most)] {
		list = append(list, t.lacking[e])
	}
	return list
}

// Lack counts the Services without all of their addresses that lack the same.
type Lack struct {
	Pool     string // in whose count they are, "" where no pool could help
	Code     health.Code
	Services int
}

// Lacks counts all Services that have not got what they want, by pool and code, sorted.
func (t *Table) Lacks() []Lack {
	n := map[Lack]int{}
	for _, w := range t.lacking {
		n[Lack{Pool: w.Pool, Code: w.Code}]++
	}
	list := make([]Lack, 0, len(n))
	for l, services := range n {
		l.Services = services
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b Lack) int { return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Code, b.Code)) })
	return list
}

// Held lists the Services that hold addresses of any kind, sorted by name.
func (t *Table) Held() []Held {
	var list []Held
	for _, e := range t.entries {
		if len(e.holds) > 0 {
			list = append(list, e.held(t.seen.installation))
		}
	}
	slices.SortFunc(list, func(a, b Held) int { return strings.Compare(a.Service.String(), b.Service.String()) })
	return list
}

func (e *entry) held(installation string) Held {
	h := Held{Service: e.s.Key(), By: e.by, Foreign: e.foreign(installation), Bad: e.bad}
	if l, _, err := decode(e.s.note(LeaseAnnotation)); err == nil {
		h.Holder = clip(l.Holder)
	}
	for _, o := range e.holds {
		i := Item{IP: o.ip, Pool: o.pool, State: stateClaimed, RevokeAfter: formatRevoke(o.revoke)}
		switch {
		case o.bound:
			i.State = stateBound
		case o.void:
			i.State = "void"
		case !o.leased:
			i.State = "shown"
		}
		h.Items = append(h.Items, i)
	}
	return h
}
