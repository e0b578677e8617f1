// Package claims decides what is done about other stations that say they have one of our
// addresses.
//
// There is one record for each address and MAC. What follows from a claim depends on what the
// address is to this node, and on who claims it:
//
//	our role       member that we outrank   member that outranks us   stranger
//	owner          defend after 0.2 s,      ask it at once: yield     after 0.2 s a conflict:
//	               then at growing pauses   when it replies, else     report it, and defend
//	               up to 0.8 s              defend as against one     once in 10 s (RFC 5227,
//	                                        that we outrank           section 2.4)
//	owner that     remember                 ask it as well; the       remember
//	yields                                  first that replied
//	                                        keeps the address
//	handing over   ask it: done when it     the same                  remember
//	               replies
//	deputy         ask it: yield while it   the same                  after 0.2 s a conflict:
//	               replies                                            report it
//	watching       remember                 remember                  remember
//	tentative      ask again up to 2 s;     the same                  taken
//	               then it is taken
//
// A deputy answers and announces in the name of an owner whose speaker is away, with the owner's MAC
// (package peers). It does not defend, and does not tell speakers that it has the address. It is
// silent while a third member answers for the address as its own. What the owner itself claims is
// only remembered: both answer with one MAC until the owner is not absent any more.
//
// # Two owners
//
// Two nodes may elect themselves when they see different members, endpoints or tiers. Then they
// hear each other announce, and the plain rank of the two (package owner), which both compute
// alike, says who is to have the address. The lower one asks the higher one for it, and falls
// silent as soon as that replies, which takes one round trip. It asks on every 100 ms, and after a
// miss every 15 ms. After three misses it announces the address again, and asks once a second for
// ten seconds more, since frames may have been lost. A member that package peers has found dead is
// not waited for. The higher one defends the address 0.2 s after it heard the other's claim,
// since neighbors may have believed that.
//
// An address is left only to somebody who answers for it when asked, be it by the last word of
// the wire or because another node was elected, so this never leaves nobody. Who is handing the
// address over does not reply to that question, so an announcement that crossed ours misleads
// nobody. A successor that is never heard is asked as well, and if it is there and does not
// answer for the address, it sees things differently and the address is kept.
//
// # A process that was stopped
//
// It does not know who has answered meanwhile ([Stopped]). After more than 0.4 s, but less than one
// second, it announces everything again; if another node has taken an address, the two are two
// owners, see above. After a second or more others may have its addresses, if they believed it dead
// (package peers). So it answers nothing before the next [Assignment]: the loop elects anew first.
//
// # Tentative addresses
//
// What an owner that is gone leaves is announced at once, without a try. An address that nobody has
// is tentative before its first use: it is tried out by address
// conflict detection ([ACD]), looked at again now and then, and remembered while a station has
// it. The owner asks for its own addresses as well ([Recheck]): a station that has one of them
// may never say so by itself. A member that still replies for a tentative address may not have
// heard that it was released.
//
// The caller is told what to do: a [Machine] takes events by [Machine.Step] and says by
// [Machine.Ready] what to announce, what to ask and when to come again. It does no I/O, reads no
// clock and has no goroutine. testdata holds transcripts of it.
package claims

import "time"

// MAC is an Ethernet address.
type MAC [6]byte

// String writes it as net.HardwareAddr does.
func (m MAC) String() string {
	const digits = "0123456789abcdef"
	var b [17]byte
	for i, x := range m {
		b[3*i], b[3*i+1] = digits[x>>4], digits[x&15]
		if i < 5 {
			b[3*i+2] = ':'
		}
	}
	return string(b[:])
}

// Role is what an address is to this node.
type Role uint8

// The roles.
const (
	None        Role = iota // of no interest
	Owner                   // answered, announced and defended
	HandingOver             // another node's from now on: answered until the successor is heard
	Deputy                  // another node's, whose speaker is away: answered and announced with its MAC
	Watching                // another node's: who announces it is remembered
	Tentative               // nobody's: it is tried out before its first use
	roles
)

// String gives the role as transcripts do.
func (r Role) String() string {
	return [roles]string{"none", "owner", "handing over", "deputy", "watching", "tentative"}[r]
}

// Answers reports whether a request for the address is answered. A speaker's asks who holds on to the
// address, which one that hands it over does not, nor does a deputy.
func (r Role) Answers(speaker bool) bool {
	return r == Owner || (r == HandingOver || r == Deputy) && !speaker
}

// Announces reports whether the address is announced: by a deputy with the MAC of its owner, since
// neighbors may have learned another one.
func (r Role) Announces() bool { return r == Owner || r == Deputy }

// watches reports whether the address is another node's.
func (r Role) watches() bool { return r == HandingOver || r == Deputy || r == Watching }

// Claimant is who claims an address.
type Claimant uint8

// The claimants.
const (
	Lower    Claimant = iota // a member that we outrank
	Higher                   // a member that outranks us
	Stranger                 // no node of this cluster
	claimants
)

// Action is what is done about a claim; a set of bits.
type Action uint8

// The actions.
const (
	Remember Action = 1 << iota // who said last that it has the address
	Defend                      // announce the address after the grace, then at growing pauses
	Ask                         // ask whether it holds on to the address, and leave it to it as long as it says so
	Report                      // after the grace it is a conflict; defend once in DefendInterval
	Again                       // a tentative address may be about to be let go of: probe it again, and soon
	Taken                       // somebody has the tentative address
)

// Rules are the table: what is done about a claim.
type Rules [roles][claimants]Action

// Table is the one that speakers use.
func Table() Rules {
	return Rules{
		Owner:       {Lower: Remember | Defend, Higher: Remember | Defend | Ask, Stranger: Remember | Report},
		HandingOver: {Lower: Remember | Ask, Higher: Remember | Ask, Stranger: Remember},
		Deputy:      {Lower: Remember | Ask, Higher: Remember | Ask, Stranger: Remember | Report},
		Watching:    {Lower: Remember, Higher: Remember, Stranger: Remember},
		Tentative:   {Lower: Again, Higher: Again, Stranger: Taken},
	}
}

// Timing is all durations of the table.
type Timing struct {
	// Grace is how long a claim on an own address is believed to be that of a successor of whom there
	// is no news yet: it is on the wire before the mesh tells, and a defense would win back for a
	// moment what was just given away.
	Grace time.Duration
	// Pause is the least time between the first two defenses against a member. It doubles up to
	// MaxPause while the other insists. It does not grow beyond what leaves one answer after a second:
	// of nodes that see things differently again and again, each time must be as short as the first.
	Pause, MaxPause time.Duration
	// Insists is the defense from which on a member is shown as a conflict: one or two are the
	// ordinary way to agree. Over is how long it must be silent for that to end.
	Insists int
	Over    time.Duration
	// DefendInterval is that of RFC 5227, section 1.1: a stranger's claim is not answered if the one
	// before it is younger, so that two hosts that both insist do not flood the link. Memory is how
	// long a conflict is shown after its last frame.
	DefendInterval, Memory time.Duration
	// Lost is for how long a member that held on to an address and is silent is asked on: frames may
	// have been lost.
	Lost time.Duration
	// Limit is for how long an address is answered that is handed over to a node that is never heard
	// announcing it; Drain is the same while this node leaves, because its successors must first
	// learn that. Both stay well below the grace period of the pod, 10 s.
	Limit, Drain time.Duration
	// AskHeir is when a successor that was not heard is asked: it may have announced the address long
	// ago, when the link between the two was cut.
	AskHeir time.Duration
	// Fresh is for how long a claim on an own address counts as heard, and by how much a successor may
	// be faster on the wire than the news of it.
	Fresh time.Duration
	// ProbeAgain lies between looks at a tentative address that is known: a station may take it, or
	// leave it. Free is how many looks in a row must find nobody at an address that was seen in use.
	ProbeAgain time.Duration
	Free       int
	// Letting is how long a member may go on answering for an address that was released a moment ago:
	// it may not have learned of that yet. Until then it is asked every ProbeSoon, and later every
	// ProbeMember; one question without an answer shows that it has let go.
	Letting, ProbeSoon, ProbeMember time.Duration
	// Stop is the time without a sign of life after which the process counts as having been stopped:
	// longer than a busy node delays a timer, and than a stop that the mesh forgives. After Muted other
	// nodes may have taken the addresses over.
	Stop, Muted time.Duration
}

// Times is the timing that speakers use.
func Times() Timing {
	return Timing{
		Grace: 200 * time.Millisecond,
		Pause: 500 * time.Millisecond, MaxPause: 800 * time.Millisecond,
		Insists: 3, Over: 30 * time.Second,
		DefendInterval: 10 * time.Second, Memory: 10 * time.Minute,
		Lost:  10 * time.Second,
		Limit: time.Second, Drain: 3 * time.Second, AskHeir: 50 * time.Millisecond,
		Fresh:      time.Second,
		ProbeAgain: time.Minute, Free: 3,
		Letting: 2 * time.Second, ProbeSoon: 100 * time.Millisecond, ProbeMember: 5 * time.Second,
		Stop: 400 * time.Millisecond, Muted: time.Second,
	}
}

// pause is the least time from a defense against a member to the next one, after so many before.
func (t *Timing) pause(before int) time.Duration {
	return min(t.Pause<<min(before, 8), t.MaxPause)
}
