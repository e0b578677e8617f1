package peers

import (
	"net/netip"
	"time"
)

// State of a peer.
type State string

// The states of a peer, as in the package comment.
const (
	Alive State = "alive" // gossip reaches it
	Wire  State = "wire"  // only the wire does
	Dead  State = "dead"
	Left  State = "left" // said that it goes
	// Absent is a peer whose speaker is away and whose host is there.
	Absent State = "absent"
)

// Up reports whether the speaker of a peer in this state is there.
func (s State) Up() bool { return s == Alive || s == Wire }

// Owns reports whether a peer in this state takes part in the election.
func (s State) Owns() bool { return s.Up() || s == Absent }

// Member is a peer as gossip has it.
type Member struct {
	Name     string
	Addr     netip.AddrPort // of gossip
	State    State          // Alive, Dead or Left
	Since    time.Time      // of the state
	Open     bool           // it is dead, and its gossip port accepted a connection after that
	Word     Word
	Networks []netip.Prefix // that the node speaks on, masked
	MACs     []string       // of the interfaces that it speaks by, as net.HardwareAddr writes them
	Grace    time.Duration  // for so long it keeps its addresses while its speaker is away
	Deputy   bool           // it knows of that, and can answer for a node that is away
	MissedBy []string       // members that gossip reaches, take it for absent and watch its host, sorted
	Recalled bool           // an earlier process of this node knew it as ready, and nobody knows better
}

// missed reports whether another member takes it for absent.
func (m *Member) missed() bool { return len(m.MissedBy) > 0 }

// Word is what a peer says of itself: in its metadata, or in its reply to a Speaker probe.
type Word struct {
	Ready     bool
	Draining  bool
	Returning bool
	NoProxy   bool // its kube-proxy is missing, so others go first
	Away      bool // its speaker is about to end and to come back, or was not ready yet
	Recent    bool // it came back less than Timing.Recent ago, held or not; a reply has no room for it
	Contact   Contact
}

const (
	silentWord  = 0 // the reply of a speaker that may own nothing: none
	noProxyWord = 7 // says neither of contact nor of a return: three bits have no room for more
)

// Code is the word as a number from 0 to 7, which is what a frame has room for. A peer that may own
// nothing, or is leaving or away, has nothing to say and does not reply: 0.
func (w Word) Code() uint8 {
	switch {
	case !w.Ready || w.Draining || w.Away:
		return silentWord
	case w.NoProxy:
		return noProxyWord
	}
	code := 1 + uint8(w.Contact)
	if w.Returning {
		code += 1 + uint8(OutOfTouch)
	}
	return code
}

// WordOf is the word that has the code.
func WordOf(code uint8) Word {
	switch code {
	case silentWord:
		return Word{}
	case noProxyWord:
		return Word{Ready: true, NoProxy: true}
	}
	const values = 1 + uint8(OutOfTouch)
	return Word{Ready: true, Returning: code > values, Contact: Contact((code - 1) % values)}
}

// Node is a node as Kubernetes has it.
type Node struct {
	Name  string
	Addrs []netip.Addr
}

// Station is a MAC at which a speaker of this cluster replied.
type Station struct {
	Addrs []netip.Addr // of its interface, as far as they are known
	Node  uint32       // what its speaker proved of its name, see probe.Reply; 0: nothing
	Code  uint8        // see Word
	Last  time.Time    // of its last reply
}
