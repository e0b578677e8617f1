// Package history checks a run after it: every question for an address, every answer on the wire
// and every write of a lease, in the order of their times.
//
// It is pure. A History comes from a recorder (package chaos) or from a test, and Check finds in it
// what must never be:
//
//   - two holders: an address is bound to two Services at the same time
//   - two MACs: two stations answer for an address, for longer than a moment
//   - nobody: no station answers for an address that is bound and was answered for before
//   - never: an address is bound and no station ever answers for it
//   - for nobody: a station answers for an address long after no Service is bound to it
//
// A Service may have several addresses; two Services that share one are not known to it.
package history

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// History is what was seen of some addresses.
type History struct {
	Questions []Question
	Answers   []Answer
	Writes    []Write
	Away      []Away
	Until     time.Time // The end of the run.
}

// Away is a time in which the API server could not be asked: no speaker can learn then that an
// address was bound or released.
type Away struct{ From, To time.Time }

// Question is one that was asked on the wire: who has the address?
type Question struct {
	At time.Time
	IP netip.Addr
}

// Answer is a frame by which a station said that it has the address.
type Answer struct {
	At  time.Time
	IP  netip.Addr
	MAC string
}

// Write says which addresses a Service is bound to from then on; none if it was deleted.
type Write struct {
	At      time.Time
	Service string
	Bound   []netip.Addr
}

// Limits are what may be.
type Limits struct {
	Window time.Duration // How long answers to a question are waited for.
	Double time.Duration // How long two stations may answer.
	Silent time.Duration // How long nobody may answer for a bound address.
	First  time.Duration // The same, from the bind to the first answer, but for the times of Away.
	After  time.Duration // How long somebody may answer after the release, but for the times of Away.
	// Early is how late a write may be known: before a bind somebody may answer, but for the times
	// of Away, and before a release that comes after such a time nobody may.
	Early time.Duration
}

// Kind of a Violation.
type Kind string

// The violations.
const (
	TwoHolders Kind = "two holders"
	TwoMACs    Kind = "two MACs"
	Nobody     Kind = "nobody"
	Never      Kind = "never"
	ForNobody  Kind = "for nobody"
)

// Violation is something that must not be.
type Violation struct {
	Kind     Kind
	IP       netip.Addr
	From, To time.Time
	Who      []string // MACs or Services.
}

func (v Violation) String() string {
	return fmt.Sprintf("%s of %s for %v from %s: %s", v.Kind, v.IP, v.To.Sub(v.From).Round(time.Millisecond), v.From.Format("15:04:05.000"), strings.Join(v.Who, ", "))
}

// Check finds the violations, in the order of their beginning.
func (h History) Check(limits Limits) []Violation {
	bound := h.spans()
	var all []Violation
	for ip, spans := range bound {
		all = append(all, holders(ip, spans)...)
		all = append(all, h.silences(ip, spans, limits)...)
	}
	for _, ip := range h.asked() {
		all = append(all, h.doubles(ip, limits)...)
		all = append(all, h.strays(ip, bound[ip], limits)...)
	}
	slices.SortFunc(all, func(a, b Violation) int {
		return cmp.Or(a.From.Compare(b.From), a.IP.Compare(b.IP), cmp.Compare(a.Kind, b.Kind))
	})
	return all
}

// holders finds times in which two Services are bound to one address.
func holders(ip netip.Addr, spans []span) (found []Violation) {
	for i, a := range spans {
		for _, b := range spans[i+1:] {
			if b.from.Before(a.to) && a.service != b.service {
				found = append(found, Violation{TwoHolders, ip, b.from, earlier(a.to, b.to), []string{a.service, b.service}})
			}
		}
	}
	return found
}

// silences finds times in which a bound address is not answered for, from a question on.
func (h History) silences(ip netip.Addr, spans []span, limits Limits) (found []Violation) {
	answers, questions := h.answers(ip), h.questions(ip)
	for _, s := range spans {
		last, answered := s.from, false
		note := func(to time.Time, late time.Duration) {
			kind, limit := Never, limits.First
			if answered {
				kind, limit = Nobody, limits.Silent+late
			}
			if to.Sub(last) <= limit {
				return
			}
			i, _ := slices.BinarySearchFunc(questions, last, time.Time.Compare)
			if i == len(questions) || waited(questions[i:], to, limits.Window) <= limit {
				return
			}
			if answered || h.elapsed(questions[i], to) > limit {
				found = append(found, Violation{kind, ip, questions[i], to, []string{s.service}})
			}
		}
		for _, a := range answers {
			if s.has(a.At) {
				note(a.At, 0)
				last, answered = a.At, true
			}
		}
		var late time.Duration
		if h.elapsed(s.to.Add(-limits.Early), s.to) < limits.Early {
			late = limits.Early
		}
		note(s.to, late)
	}
	return found
}

// doubles finds times in which each question has two answers or more, of different stations.
func (h History) doubles(ip netip.Addr, limits Limits) (found []Violation) {
	answers := h.answers(ip)
	var from, to time.Time
	var who []string
	end := func() {
		if !from.IsZero() && to.Sub(from) > limits.Double {
			found = append(found, Violation{TwoMACs, ip, from, to, who})
		}
		from, who = time.Time{}, nil
	}
	for _, q := range h.questions(ip) {
		for len(answers) > 0 && answers[0].At.Before(q) {
			answers = answers[1:]
		}
		var macs []string
		for _, a := range answers {
			if !a.At.Before(q.Add(limits.Window)) {
				break
			}
			if !slices.Contains(macs, a.MAC) {
				macs = append(macs, a.MAC)
			}
		}
		if len(macs) < 2 {
			end()
			continue
		}
		if from.IsZero() {
			from = q
		}
		to = q.Add(limits.Window)
		who = slices.Compact(slices.Sorted(slices.Values(append(who, macs...))))
	}
	end()
	return found
}

// strays finds answers for an address that no Service has been bound to for a while. Of one that
// was bound to none before, they last from the first of them.
func (h History) strays(ip netip.Addr, spans []span, limits Limits) (found []Violation) {
	var group time.Time // Since when the address is free, at the answers of the last violation.
	for _, a := range h.answers(ip) {
		free := time.Time{} // Since when, at the answer.
		held := slices.ContainsFunc(spans, func(s span) bool {
			return s.has(a.At) || s.from.After(a.At) && h.elapsed(a.At, s.from) <= limits.Early
		})
		for _, s := range spans {
			if !s.to.After(a.At) && s.to.After(free) {
				free = s.to
			}
		}
		switch last := len(found) - 1; {
		case held || !free.IsZero() && h.elapsed(free, a.At) <= limits.After:
		case last >= 0 && group.Equal(free):
			found[last].To = a.At
			if !slices.Contains(found[last].Who, a.MAC) {
				found[last].Who = append(found[last].Who, a.MAC)
			}
		default:
			group = free
			from := free
			if from.IsZero() {
				from = a.At
			}
			found = append(found, Violation{ForNobody, ip, from, a.At, []string{a.MAC}})
		}
	}
	return found
}
