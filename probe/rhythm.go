package probe

import "time"

// Rhythm is how questions of one kind are asked.
type Rhythm struct {
	Steady time.Duration // from a reply to the next question
	New    Pace          // before the first reply
	Known  Pace          // afterwards
}

// Pace is how a station is asked that did not reply to the last question.
type Pace struct {
	Tries  int           // questions in a row without a reply after which it is silent
	Miss   time.Duration // from one question to the next until then
	Silent time.Duration // and from then on
	Doubt  int           // questions in a row without a reply that make it doubtful; 0: it never is
}

// Rhythms is the rhythm of each kind, and what keeps many questions from being too many frames.
type Rhythms struct {
	Host, Speaker, Owner, Discover Rhythm
	// Close is that of Host for a host whose speaker is away: trouble is likelier, and nobody there
	// can say that it is well. It is that of Discover for a node whose peers are all dead.
	Close Rhythm

	// Flood is how many questions to silent stations, or to everybody, an Asker asks per second: a
	// switch floods what it sends to a station that is gone. So where there are many, each is asked
	// less often, but at least once in SilentMax.
	Flood     int
	SilentMax time.Duration
	// Rate is how many questions are asked per second at the other paces. Where there are more,
	// each is asked less often. Those about VIPs are counted by themselves: there may be thousands,
	// and the others must not wait for them.
	Rate int
}

// Standard is the table that speakers use, that of the package comment.
//
// A host that replied before is doubtful after two tries: a watcher then asks its speaker,
// too.
//
// The pace * of hosts that reply is the caller's (--failure-detection): they are asked all the
// time, so nothing needs to be made sure in a hurry. A host that never replied most likely never
// will.
//
// A speaker's process may be waiting for a processor, which a kernel never does, so the first
// verdict on it takes five tries. Whether a station still holds on to a VIP must be known soon,
// because the address may be waiting for this node; whether its speaker is there can be thought
// over.
func Standard() Rhythms {
	const hurry, steady = 15 * time.Millisecond, 100 * time.Millisecond
	return Rhythms{
		Host: Rhythm{
			New:   Pace{Tries: 3, Miss: hurry, Silent: 10 * time.Second},
			Known: Pace{Tries: 4, Silent: time.Second, Doubt: 2},
		},
		Speaker: Rhythm{
			Steady: steady,
			New:    Pace{Tries: 5, Miss: hurry, Silent: time.Second},
			Known:  Pace{Tries: 3, Miss: steady, Silent: time.Second},
		},
		Owner: Rhythm{
			Steady: steady,
			New:    Pace{Tries: 3, Miss: hurry, Silent: time.Second},
			Known:  Pace{Tries: 3, Miss: hurry, Silent: time.Second},
		},
		Close: Rhythm{
			Steady: hurry,
			New:    Pace{Tries: 3, Miss: hurry, Silent: 250 * time.Millisecond},
			Known:  Pace{Tries: 5, Miss: hurry, Silent: 250 * time.Millisecond, Doubt: 2},
		},
		Discover: Rhythm{New: Pace{Tries: 3, Miss: hurry, Silent: time.Second}},
		Flood:    4, SilentMax: 10 * time.Second, Rate: 4000,
	}
}

// Closer are those of an Asker for what is urgent.
func (r Rhythms) Closer() Rhythms {
	r.Host, r.Discover = r.Close, r.Close
	return r
}

// of is the rhythm of a kind.
func (r *Rhythms) of(k Kind) *Rhythm {
	return [...]*Rhythm{Host: &r.Host, Speaker: &r.Speaker, Owner: &r.Owner, Discover: &r.Discover}[k]
}
