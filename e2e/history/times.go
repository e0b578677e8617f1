package history

import (
	"cmp"
	"net/netip"
	"slices"
	"time"
)

// span is a time in which an address was bound to a Service.
type span struct {
	service  string
	from, to time.Time
}

func (s span) has(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

// spans are the times in which each address was bound.
func (h History) spans() map[netip.Addr][]span {
	writes := slices.SortedStableFunc(slices.Values(h.Writes), func(a, b Write) int { return a.At.Compare(b.At) })
	all, open := map[netip.Addr][]span{}, map[string]map[netip.Addr]time.Time{}
	set := func(at time.Time, service string, now []netip.Addr) {
		if open[service] == nil {
			open[service] = map[netip.Addr]time.Time{}
		}
		for ip, from := range open[service] {
			if !slices.Contains(now, ip) {
				all[ip] = append(all[ip], span{service, from, at})
				delete(open[service], ip)
			}
		}
		for _, ip := range now {
			if _, had := open[service][ip]; !had {
				open[service][ip] = at
			}
		}
	}
	for _, w := range writes {
		set(w.At, w.Service, w.Bound)
	}
	for service := range open {
		set(h.Until, service, nil)
	}
	for _, spans := range all {
		slices.SortFunc(spans, func(a, b span) int { return cmp.Or(a.from.Compare(b.from), cmp.Compare(a.service, b.service)) })
	}
	return all
}

// elapsed is the time between two moments in which the API server could be asked.
func (h History) elapsed(from, to time.Time) time.Duration {
	d := to.Sub(from)
	for _, a := range h.Away {
		if overlap := earlier(a.To, to).Sub(later(a.From, from)); overlap > 0 {
			d -= overlap
		}
	}
	return d
}

// waited is how long somebody waited for answers from the first question to a moment. Each question
// counts until the next one, and for twice the window at most: who does not ask hears nobody.
func waited(questions []time.Time, to time.Time, window time.Duration) (d time.Duration) {
	for i, q := range questions {
		if !q.Before(to) {
			break
		}
		until := to
		if i+1 < len(questions) {
			until = earlier(until, questions[i+1])
		}
		d += min(until.Sub(q), 2*window)
	}
	return d
}

// asked are the addresses that were asked for.
func (h History) asked() (ips []netip.Addr) {
	seen := map[netip.Addr]bool{}
	for _, q := range h.Questions {
		if !seen[q.IP] {
			seen[q.IP] = true
			ips = append(ips, q.IP)
		}
	}
	return ips
}

func (h History) questions(ip netip.Addr) (at []time.Time) {
	for _, q := range h.Questions {
		if q.IP == ip {
			at = append(at, q.At)
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	return at
}

func (h History) answers(ip netip.Addr) (all []Answer) {
	for _, a := range h.Answers {
		if a.IP == ip {
			all = append(all, a)
		}
	}
	slices.SortStableFunc(all, func(a, b Answer) int { return a.At.Compare(b.At) })
	return all
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
