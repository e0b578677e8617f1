// Package claims decides what to do about other stations that say they have one of our addresses.
//
// It does no I/O, reads no clock and has no goroutine. A [Machine] takes events by [Machine.Step],
// and [Machine.Ready] returns what to announce, what to probe and when to call again. testdata
// holds transcripts of it.
//
// A claim is a frame in which a station says that it has an address: an announcement, or a reply.
// There is one record for each address and MAC. What follows from a claim depends on what the
// address is to this node, and on the claimant:
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
//	               replies, be it as a
//	               deputy
//	deputy         ask it: yield while it   the same                  after 0.2 s a conflict:
//	               replies                                            report it
//	watching       remember                 remember                  remember
//	tentative      ask again up to 2 s;     the same                  taken
//	               then it is taken
//
// "Ask" is a probe that only speakers send: does the station hold on to the address? A node that
// hands the address over does not reply to it.
//
// # Deputies
//
// A deputy answers and announces in the name of an owner whose speaker is away, with the owner's
// MAC (package peers). It does not defend. It is silent while a third member answers for the
// address as its own. A claim with the owner's MAC is only remembered: both answer with one MAC
// until the owner is no longer absent.
//
// A speaker that asks a deputy learns that the address is at the owner's MAC. That is enough for a
// node that hands the address over to the deputy. It is not enough for others: the deputy would
// yield to them, so nobody would be left.
//
// # Two owners
//
// Two nodes may both elect themselves when they see different members, endpoints or tiers. Then
// they hear each other announce. The plain rank of the two (package owner), which both compute
// alike, says which one is to have the address.
//
// The lower one asks the higher one for it, and falls silent as soon as that replies, which takes
// one round trip. It goes on asking every 100 ms, and after a miss every 15 ms. After three misses
// it announces the address again, and asks once a second for ten seconds more, since frames may
// have been lost. It does not wait for a member that package peers has found dead. The higher one
// defends the address 0.2 s after it heard the other's claim, since neighbors may have believed
// that.
//
// A node leaves an address only to a station that answers for it when asked. This holds whether the
// wire had the last word or another node was elected, so an address is never left to nobody. Since
// a node that hands the address over does not reply, an announcement that crossed ours misleads
// nobody. A successor that is never heard is asked as well. If it is there and does not answer for
// the address, it sees things differently, and the address is kept.
//
// # A process that was stopped
//
// Such a process does not know which node has answered meanwhile ([Stopped]). After a stop of more
// than 0.4 s, but less than one second, it announces everything again. If another node has taken an
// address, the two are two owners, see above. After a second or more, others may have its
// addresses, if they believed it dead (package peers). So it answers nothing before the next
// [Assignment]: the loop elects anew first.
//
// # Tentative addresses
//
// A node announces the addresses of an owner that is gone at once, without probing them. An address
// that nobody has is tentative before its first use. It is probed by address conflict detection
// ([ACD]), probed again now and then, and remembered while a station has it. A member that still
// replies for a tentative address may not have heard that it was released.
//
// The owner probes its own addresses as well ([Recheck]): a station that has one of them may never
// announce it.
//
// # Times
//
//	defense against a member    after 0.2 s; again after 0.5 s, then 0.8 s while it insists
//	conflict with a member      shown from the third defense on, until it is silent for 30 s
//	defense against a stranger  once in 10 s; the conflict is shown for 10 minutes
//	hand-over                   the heir is asked after 50 ms; ends after 1 s, or 3 s while leaving
//	tentative address           three ARP probes or NDP solicitations 40 to 50 ms apart, and 100 ms
//	                            to listen (RFC 5227, section 2.1.1, and RFC 4862, section 5.4, with
//	                            shorter times); looked at again once a minute
//	released a moment ago       asked every 100 ms for 2 s, then every 5 s
//	recheck                     three questions 250 ms apart after the gain, then every 10 s for ten
//	                            minutes, then once a minute
//
// [Times], [Shortened] and [Rechecking] have the numbers. docs/wire.md has the frames.
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

// Answers reports whether a request for the address is answered. A speaker's asks who holds on to
// the address, which one that hands it over does not. A deputy's answer names the owner's MAC.
func (r Role) Answers(speaker bool) bool {
	return r == Owner || r == Deputy || r == HandingOver && !speaker
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
	Remember  Action = 1 << iota // who said last that it has the address
	Defend                       // announce the address after the grace, then at growing pauses
	Ask                          // ask whether it holds on to the address, and leave it to it as long as it says so
	Report                       // after the grace it is a conflict; defend once in DefendInterval
	Again                        // a tentative address may be about to be let go of: probe it again, and soon
	Taken                        // somebody has the tentative address
	Deputized                    // that it answers as a deputy is as good as that it holds on to the address
)

// Rules are the table: what is done about a claim.
type Rules [roles][claimants]Action

// Table is the one that speakers use.
func Table() Rules {
	return Rules{
		Owner:       {Lower: Remember | Defend, Higher: Remember | Defend | Ask, Stranger: Remember | Report},
		HandingOver: {Lower: Remember | Ask | Deputized, Higher: Remember | Ask | Deputized, Stranger: Remember},
		Deputy:      {Lower: Remember | Ask, Higher: Remember | Ask, Stranger: Remember | Report},
		Watching:    {Lower: Remember, Higher: Remember, Stranger: Remember},
		Tentative:   {Lower: Again, Higher: Again, Stranger: Taken},
	}
}

// Timing is all durations of the table.
type Timing struct {
	// Grace is how long a claim on an own address is believed to be that of a successor of whom
	// there is no news yet: it is on the wire before the mesh tells, and a defense would win back
	// for a moment what was just given away.
	Grace time.Duration
	// Pause is the least time between the first two defenses against a member. It doubles up to
	// MaxPause while the other insists. It does not grow beyond what leaves one answer after a
	// second: of nodes that see things differently again and again, each time must be as short as
	// the first.
	Pause, MaxPause time.Duration
	// Insists is the defense from which on a member is shown as a conflict: one or two are the
	// ordinary way to agree. Over is how long it must be silent for that to end.
	Insists int
	Over    time.Duration
	// DefendInterval is that of RFC 5227, section 1.1: a stranger's claim is not answered if the
	// one before it is younger, so that two hosts that both insist do not flood the link. Memory is
	// how long a conflict is shown after its last frame.
	DefendInterval, Memory time.Duration
	// Lost is for how long a member that held on to an address and is silent is asked on: frames
	// may have been lost.
	Lost time.Duration
	// Limit is for how long an address is answered that is handed over to a node that is never
	// heard announcing it; Drain is the same while this node leaves, because its successors must
	// first learn that. Both stay well below the grace period of the pod, 10 s.
	Limit, Drain time.Duration
	// Crossing is for how long nobody is asked after a hand-over began of an address that was
	// gained less than Fresh ago. Our reply that the address is ours may be on its way, and who
	// gets it yields to us: what it replies before that counts for nothing.
	Crossing time.Duration
	// AskHeir is when a successor that was not heard is asked: it may have announced the address
	// long ago, when the link between the two was cut.
	AskHeir time.Duration
	// Fresh is for how long a claim on an own address counts as heard, and by how much a successor
	// may be faster on the wire than the news of it.
	Fresh time.Duration
	// ProbeAgain lies between looks at a tentative address that is known: a station may take it, or
	// leave it. Free is how many looks in a row must find nobody at an address that was seen in
	// use.
	ProbeAgain time.Duration
	Free       int
	// Letting is how long a member may go on answering for an address that was released a moment
	// ago: it may not have learned of that yet. Until then it is asked every ProbeSoon, and later
	// every ProbeMember; one question without an answer shows that it has let go.
	Letting, ProbeSoon, ProbeMember time.Duration
	// Stop is the time without a sign of life after which the process counts as having been
	// stopped: longer than a busy node delays a timer, and than a stop that the mesh forgives.
	// After Muted other nodes may have taken the addresses over.
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
		Limit: time.Second, Drain: 3 * time.Second, AskHeir: 50 * time.Millisecond, Crossing: 2 * time.Millisecond,
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
