package peers

import "time"

// Timing is all durations and counts that decide what is believed. What only bounds memory or work
// is a constant where it is used.
type Timing struct {
	// Doubt is how long a peer that gossip has just declared dead counts as alive while the wire
	// has no verdict. The wire needs 75 ms; this is for when it cannot have one at all.
	Doubt time.Duration
	// Open is the same for a peer whose speaker is silent on the wire while its gossip port is
	// open: its process is stopped or gets no processor. It is about as long as gossip needs for a
	// death, and both together are as much as clients bear.
	Open time.Duration
	// Suspects is how often Suspect is sent, at pauses that begin with FirstSuspect and double:
	// messages may be lost, and a link that is back soon lets the suspect hear one.
	Suspects     int
	FirstSuspect time.Duration
	// SuspectMemory is for how long a message counts after it was last heard. Who goes on
	// suspecting sends it again. It is also by when watchers have said that a peer is absent.
	SuspectMemory time.Duration
	// DropMemory is the same for what testers say.
	DropMemory time.Duration
	// Alone is how long the host of an absent peer is silent until this node needs nobody who
	// agrees.
	Alone time.Duration
	// Against is how long a peer is dead against the word of gossip, which should have found the
	// same by then, and how long after a stop of its process this node may not have heard all.
	Against time.Duration
	// Late is how much later than it was to the process must come to have been stopped. Others may
	// have its addresses by then.
	Late time.Duration
	// Watchers is how many peers watch one host.
	Watchers int
	// Unsure and Out are times without contact with the API server, see [Contact]. Steady is how
	// long contact must last without a break to count again.
	Unsure, Out, Steady time.Duration
	// Hold is how long a node that has come back lets others go first: 0 not at all, Never until it
	// is the only one. Each further return within HoldMemory doubles it, up to MaxHold if that is
	// longer.
	Hold, MaxHold, HoldMemory time.Duration
	// Recent is how long a node that has come back itself keeps no other one waiting for longer
	// than ShortHold: they boot together, and what it has it has not had for long.
	Recent, ShortHold time.Duration
	// CutOff is how many peers must be dead, and none left, for a node to take itself for the one
	// that is cut off. Where only one other was, nobody can tell which of the two it is.
	CutOff int
}

// Provisional is how long after gossip lost a peer its state may be a guess: Timing.Open.
const Provisional = 400 * time.Millisecond

// Times is the timing that speakers use.
func Times() Timing {
	return Timing{
		Doubt: 200 * time.Millisecond, Open: Provisional,
		Suspects: 5, FirstSuspect: 50 * time.Millisecond, SuspectMemory: time.Second, DropMemory: 5 * time.Second, Alone: 400 * time.Millisecond, Against: 10 * time.Second, Late: time.Second,
		Watchers: 3,
		Unsure:   30 * time.Second, Out: 60 * time.Second, Steady: 30 * time.Second,
		Hold: 3 * time.Second, MaxHold: time.Minute, HoldMemory: 5 * time.Minute, Recent: 30 * time.Second, ShortHold: 3 * time.Second,
		CutOff: 2,
	}
}

// Rows are rows of the table in the package comment, or parts of one; a set of bits.
type Rows uint16

// The rows that are more than the word of gossip.
const (
	OneAgrees    Rows = 1 << iota // a suspect is dead only if another node suspects it
	SpeakerAlive                  // nor is it if its speaker replies
	TwoAgree                      // one that cannot be asked is dead if two nodes suspect it
	DeadReplies                   // Wire, dead by gossip
	LeftReplies                   // Wire, left by gossip
	NeverMet                      // Wire, unknown to gossip
	SpeakerAway                   // Absent
	NodeNamed                     // no peer, for want of a Node of its name
	AwayBefore                    // Absent, as an earlier process of this node knew it
	Unwatched                     // Dead, absent before, although its watchers do not watch it
)
