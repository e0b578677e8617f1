package probe

import (
	"cmp"
	"slices"
	"time"

	"github.com/starling-lb/starling/wake"
)

// Answer is what became of a question.
type Answer struct {
	Asked time.Time // when it was asked first
	Last  time.Time // when it was answered last; zero: never
	// Silent reports that so many questions in a row were not answered that nobody is there. False
	// while that is not certain.
	Silent bool
}

// asked is one question that is asked again and again.
type asked struct {
	Answer
	misses int       // questions in a row without a reply
	due    time.Time // when to ask next, or to judge
}

// Asker asks a set of questions at the pace of their kinds. It is a plain value of time.
type Asker struct {
	rhythms Rhythms
	open    map[Question]*asked
	owners  int       // of them, those of kind Owner
	next    time.Time // not later than any of them is due; zero: there is none
}

// NewAsker makes an Asker without questions.
func NewAsker(r Rhythms) *Asker { return &Asker{rhythms: r, open: make(map[Question]*asked)} }

// Set makes ask all questions that are asked, and reports whether there are new ones, which are due
// at once. The pace lies between two questions to a host that replies.
func (a *Asker) Set(ask []Question, pace time.Duration, now time.Time) (fresh bool) {
	a.rhythms.Host.Steady, a.rhythms.Host.Known.Miss = pace, pace
	keep := make(map[Question]struct{}, len(ask))
	for _, q := range ask {
		keep[q] = struct{}{}
		fresh = a.Add(q, now) || fresh
	}
	for q := range a.open {
		if _, ok := keep[q]; !ok {
			a.Drop(q)
		}
	}
	return fresh
}

// Add has one question more asked, at once, and reports whether it was not asked before.
func (a *Asker) Add(q Question, now time.Time) (fresh bool) {
	if a.open[q] != nil {
		return false
	}
	a.open[q] = &asked{Answer: Answer{Asked: now}, due: now}
	a.next = wake.Earlier(a.next, now)
	if q.Kind() == Owner {
		a.owners++
	}
	return true
}

// Again begins anew with a question to a station that is silent, and of which something was heard.
func (a *Asker) Again(q Question, now time.Time) {
	if i := a.open[q]; i != nil && i.Silent {
		*i = asked{Answer: Answer{Asked: now}, due: now}
		a.next = wake.Earlier(a.next, now)
	}
}

// Drop has a question asked no more.
func (a *Asker) Drop(q Question) {
	if a.open[q] != nil && q.Kind() == Owner {
		a.owners--
	}
	delete(a.open, q)
}

// Asks reports whether a question is asked.
func (a *Asker) Asks(q Question) bool { return a.open[q] != nil }

// Answer is what became of a question. The second result is false when it is not asked.
func (a *Asker) Answer(q Question) (Answer, bool) {
	i := a.open[q]
	if i == nil {
		return Answer{}, false
	}
	return i.Answer, true
}

// Doubts reports whether a station that replied before has missed some questions in a row.
func (a *Asker) Doubts(q Question) bool {
	i := a.open[q]
	return i != nil && a.doubtful(q.Kind(), i)
}

// doubtful leaves out the last question, whose reply may be on its way.
func (a *Asker) doubtful(k Kind, i *asked) bool {
	doubt := a.rhythms.of(k).Known.Doubt
	return doubt > 0 && !i.Last.IsZero() && i.misses > doubt
}

// Heard notes a reply, and reports whether it changes what is believed.
func (a *Asker) Heard(q Question, now time.Time) (changed bool) {
	i := a.open[q]
	if i == nil {
		return false
	}
	changed = i.Last.IsZero() || i.Silent || a.doubtful(q.Kind(), i)
	i.Last, i.Silent, i.misses, i.due = now, false, 0, now.Add(a.steady(q.Kind()))
	a.next = wake.Earlier(a.next, i.due)
	return changed
}

// Next returns what is to be asked now, in a fixed order, when to call again (zero: not before Set
// brings something new; a reply may make it sooner) and whether a verdict or a doubt changed.
func (a *Asker) Next(now time.Time) (ask []Question, again time.Time, changed bool) {
	if a.next.IsZero() || now.Before(a.next) {
		return nil, a.next, false
	}
	a.next = time.Time{}
	for q, i := range a.open {
		if i.due.After(now) {
			a.next = wake.Earlier(a.next, i.due)
			continue
		}
		if i.misses >= a.pace(q.Kind(), i).Tries && !i.Silent {
			i.Silent, changed = true, true
		}
		ask = append(ask, q)
		doubted := a.doubtful(q.Kind(), i)
		i.misses++
		changed = changed || doubted != a.doubtful(q.Kind(), i)
		i.due = now.Add(a.pause(q.Kind(), i))
		a.next = wake.Earlier(a.next, i.due)
	}
	slices.SortFunc(ask, func(x, y Question) int {
		return cmp.Or(x.IP.Compare(y.IP), cmp.Compare(x.MAC, y.MAC), cmp.Compare(x.Kind(), y.Kind()))
	})
	return ask, a.next, changed
}

// Wake is when to call Next again; zero: not before Set brings something new.
func (a *Asker) Wake() time.Time { return a.next }

// Answers is what became of the questions.
func (a *Asker) Answers() map[Question]Answer {
	out := make(map[Question]Answer, len(a.open))
	for q, i := range a.open {
		out[q] = i.Answer
	}
	return out
}

// pace is how a question is asked as long as it is not answered.
func (a *Asker) pace(k Kind, i *asked) Pace {
	if r := a.rhythms.of(k); !i.Last.IsZero() {
		return r.Known
	}
	return a.rhythms.of(k).New
}

// steady is the time from a reply to the next question.
func (a *Asker) steady(k Kind) time.Duration {
	if k == Host { // those that reply are few
		return a.rhythms.Host.Steady
	}
	return a.crowded(k, a.rhythms.of(k).Steady)
}

// pause is the time from a question without a reply to the next one.
func (a *Asker) pause(k Kind, i *asked) time.Duration {
	p, known := a.pace(k, i), !i.Last.IsZero()
	switch {
	case i.misses > p.Tries && !(k == Owner && known):
		return min(p.Silent*time.Duration(max(1, a.crowd(k)/a.rhythms.Flood)), a.rhythms.SilentMax)
	case i.misses > p.Tries: // frames may have been lost, and who asks does not ask for long
		return a.crowded(k, p.Silent)
	case k == Host && known:
		return p.Miss
	}
	return a.crowded(k, p.Miss)
}

// crowded is a pause, or more where there are so many questions that they would be too many frames.
func (a *Asker) crowded(k Kind, pause time.Duration) time.Duration {
	return max(pause, time.Second*time.Duration(a.crowd(k))/time.Duration(a.rhythms.Rate))
}

// crowd is the number of questions with which those of a kind share their pace.
func (a *Asker) crowd(k Kind) int {
	if k == Owner {
		return a.owners
	}
	return len(a.open) - a.owners
}
