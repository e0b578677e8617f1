package routes

import (
	"net/netip"
	"time"
)

// Set is everything that this node's speaker announces by BGP. A set replaces the one before it: a
// router that is not in it has no session any more, and a path that is not in it is withdrawn.
type Set struct {
	ASN      uint32     // the AS of the speakers
	RouterID netip.Addr // an IPv4 address, other than that of all other speakers
	Routers  []Router   // sorted by name
}

// Router is one router and what is announced to it.
type Router struct {
	Name      string
	Address   netip.Addr
	Port      uint16     // TCP
	ASN       uint32     // of the router; the same as ours means iBGP
	Source    netip.Addr // where the session begins; zero: as the kernel chooses
	Multihop  uint8      // the TTL for a router that is not a neighbor; 0: the router is one
	Hold      time.Duration
	Keepalive time.Duration
	Password  string // of TCP MD5 (RFC 2385); "" none
	BFD       *BFD   // nil: none
	// Restart is how long the router is asked to keep the routes while the speaker restarts (RFC
	// 4724), in whole seconds; 0: it is not asked.
	Restart time.Duration
	// AddPath asks for leave to announce several paths for one prefix (RFC 7911).
	AddPath bool
	Paths   []Path // sorted by prefix, then next hop
}

// BFD are the times of bidirectional forwarding detection (RFC 5880) with a router.
type BFD struct {
	Interval   time.Duration
	Multiplier uint8
}

// Path is a way to addresses: one next hop.
type Path struct {
	Prefix  netip.Prefix
	NextHop netip.Addr // of the family of the prefix
	// Own takes the address that this node has in the session for the next hop, if it is of the
	// family: NextHop may be of a network that the router is not on.
	Own       bool
	LocalPref uint32 // sent to routers of our own AS alone
	// Communities are as the configuration writes them: "64513:100", "large:64513:1:2", or a
	// well-known name such as "no-export" (RFC 1997, RFC 8092). Sorted, without duplicates.
	Communities []string
	// Leaving marks a path that is about to go, by GRACEFUL_SHUTDOWN (RFC 8326).
	Leaving bool
}

// State is how far a session is, in the words of RFC 4271.
type State string

// States of a session.
const (
	Idle        State = "idle"
	Connect     State = "connect"
	Active      State = "active"
	OpenSent    State = "open sent"
	OpenConfirm State = "open confirm"
	Established State = "established"
)

// Cause is why a session is not established, as far as this node can tell.
type Cause string

// Causes. Each has its own advice, see package health.
const (
	Unreachable Cause = "unreachable"  // no route, no ARP reply, or no answer on the port
	Refused     Cause = "refused"      // the port is closed: no BGP there, or not for this node
	WrongAS     Cause = "wrong AS"     // the router has another AS than configured, or expects another of ours
	Rejected    Cause = "rejected"     // the router ended the session with another notification
	NoAnswer    Cause = "no answer"    // the connection stands and the router says nothing
	Timeout     Cause = "hold time"    // an established session ended since the router fell silent
	Flapping    Cause = "flapping"     // the session is held back since it came and went too often
	Unusable    Cause = "cannot start" // this node cannot begin a session at all; the text says why
)

// Session is what became of a router of a set.
type Session struct {
	Router   string
	State    State
	Since    time.Time // of that state, by the clock that the room was given
	Cause    Cause     // "" while established, or nothing is known yet
	Text     string    // what the router or the kernel said, for people; one line
	Takes    [2]bool   // whether the router takes paths of IPv4 and of IPv6 at all
	AddPath  [2]bool   // whether the router offered to receive several paths, of IPv4 and of IPv6
	Sent     int       // paths announced to the router
	Complete bool      // all that the router takes were announced since the session is there
	Flaps    uint64    // how often an established session ended
	NoBFD    string    // why an established session lacks BFD, in words; "" it has it, or is to have none
}

// OnePath reports whether the router takes paths of a family, and one for each prefix only.
func (s Session) OnePath() bool {
	return s.Takes[0] && !s.AddPath[0] || s.Takes[1] && !s.AddPath[1]
}
