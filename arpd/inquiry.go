package arpd

import (
	"cmp"
	"slices"
	"time"
)

// Timing of questions to other nodes.
const (
	// askTries questions in a row without an answer mean that nobody is there.
	askTries = 3
	// speakerTries is the same for the first question whether a speaker is there:
	// its process may be waiting for a processor, which a kernel never does.
	speakerTries = 5
	// askFast lies between the tries of a first verdict: a take-over waits for it.
	askFast = 15 * time.Millisecond
	// hostTries is the same for a host whose kernel has answered before: it is
	// asked at the pace of Company, so nothing needs to be made sure in a hurry.
	hostTries = 4
	// askSteady lies between questions to somebody who answers.
	askSteady = 100 * time.Millisecond
	// askSilent lies between questions to somebody who does not. A switch floods
	// what it sends to a station that is gone, so many of them are asked less
	// often: a node asks no more than askFlood of them per second, but each
	// one at least once in askSilentMost. Who answered for a VIP and stopped is
	// asked on without that: frames may have been lost, and the caller does not
	// ask for long.
	askSilent     = time.Second
	askSilentMost = 10 * time.Second
	askFlood      = 4
	// askCalls is how often everybody is called at that pace. Afterwards
	// askSilentMost will do: every host on the link has to read it.
	askCalls = 60
	// askBurst is how many questions there may be at the paces above; where there
	// are more, each is asked the less often. Those about VIPs are counted by
	// themselves: there may be thousands, and the others must not wait for them.
	askBurst = 64
)

// inquiry is one question that is asked again and again.
type inquiry struct {
	Answer
	misses int           // questions in a row without an answer
	due    time.Time     // when to ask next, or to judge
	steady time.Duration // between questions to somebody who answers
}

// tries is how many questions in a row without an answer are a verdict.
func (q *inquiry) tries(x Question) int {
	switch {
	case x.Host && !q.Last.IsZero():
		return hostTries
	case !x.Host && !x.IP.IsValid() && x.MAC != Everybody && q.Last.IsZero():
		return speakerTries
	}
	return askTries
}

// aboutVIP tells whether a station is asked for an address that it may announce.
func (x Question) aboutVIP() bool { return x.IP.IsValid() && !x.Host }

// pause is the time from one question to the next, of so many of its kind. Whether
// a station still answers for a VIP must be known soon, since the address may be
// waiting for this node; whether it is there can be thought over. A host that
// never answered most likely never will.
func (q *inquiry) pause(x Question, of int) time.Duration {
	crowd := time.Duration(max(1, of/askBurst))
	switch {
	case x.MAC == Everybody && q.misses > askCalls:
		return askSilentMost
	case x.Host && q.Last.IsZero() && q.misses > askTries:
		return askSilentMost
	case x.aboutVIP() && !q.Last.IsZero() && q.misses > q.tries(x):
		return max(askSilent, askFast*crowd)
	case q.misses > q.tries(x):
		return min(askSilent*time.Duration(max(1, of/askFlood)), askSilentMost)
	case x.Host && !q.Last.IsZero():
		return q.steady // there are few of them, and the others do not delay them
	case q.Last.IsZero() || x.IP.IsValid() && q.misses > 0:
		return askFast * crowd
	}
	return q.steady * crowd
}

// inquiries are plain values of time: no clock, no goroutine.
type inquiries map[Question]*inquiry

// set makes the questions of c all that are asked, and returns true if there are
// new ones, which are due at once.
func (q inquiries) set(c Company, now time.Time) (fresh bool) {
	keep := make(map[Question]struct{}, len(c.Ask))
	for _, x := range c.Ask {
		keep[x] = struct{}{}
		if q[x] == nil {
			q[x] = &inquiry{Answer: Answer{Asked: now}, due: now}
			fresh = true
		}
		q[x].steady = askSteady
		if x.Host {
			q[x].steady = c.Pace
		}
	}
	for x := range q {
		if _, ok := keep[x]; !ok {
			delete(q, x)
		}
	}
	return fresh
}

// heard notes an answer, and returns true if it changes what is believed.
func (q inquiries) heard(x Question, now time.Time) (changed bool) {
	i := q[x]
	if i == nil {
		return false
	}
	changed = i.Last.IsZero() || i.Silent
	i.Last, i.Silent, i.misses, i.due = now, false, 0, now.Add(i.steady)
	return changed
}

// next returns what is to be asked now, in a fixed order, when to call again
// (zero: not before set brings something new; an answer may make it sooner) and whether a verdict changed.
func (q inquiries) next(now time.Time) (ask []Question, wake time.Time, changed bool) {
	vips := q.aboutVIPs()
	for x, i := range q {
		if !i.due.After(now) {
			of := len(q) - vips
			if x.aboutVIP() {
				of = vips
			}
			if i.misses >= i.tries(x) && !i.Silent {
				i.Silent, changed = true, true
			}
			ask = append(ask, x)
			i.misses++
			i.due = now.Add(i.pause(x, of))
		}
	}
	slices.SortFunc(ask, func(a, b Question) int { return cmp.Or(a.IP.Compare(b.IP), cmp.Compare(a.MAC, b.MAC)) })
	return ask, q.wake(), changed
}

// aboutVIPs counts the questions about VIPs.
func (q inquiries) aboutVIPs() (n int) {
	for x := range q {
		if x.aboutVIP() {
			n++
		}
	}
	return n
}

// wake is when the next question is due; zero: there is none.
func (q inquiries) wake() (wake time.Time) {
	for _, i := range q {
		wake = sooner(wake, i.due)
	}
	return wake
}

// list is what became of the questions.
func (q inquiries) list() map[Question]Answer {
	out := make(map[Question]Answer, len(q))
	for x, i := range q {
		out[x] = i.Answer
	}
	return out
}
