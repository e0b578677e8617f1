package peers

import (
	"net/netip"
	"time"

	"github.com/starling-lb/starling/probe"
)

// What goes into the machine and what comes out of it.

// Config of a node.
type Config struct {
	Self string
	// Grace is for how long others keep this node's addresses for it while its speaker is away; 0:
	// they do not.
	Grace time.Duration
	// Pace lies between two probes of the host watch; 0: no host is watched.
	Pace time.Duration
	// LastReturn is of an earlier process of this node that ended without being asked to.
	LastReturn Return
	Rhythms    probe.Rhythms // of the questions
	Timing     Timing        // zero: Times
	Without    Rows          // of the table in the package comment: what they say does not happen
}

// Self is what this node is, as far as it matters to its peers.
type Self struct {
	Networks []netip.Prefix // that it speaks on, sorted
	MACs     []string       // of its interfaces, sorted
	Fit      bool           // it could own addresses
	Behind   bool           // its kube-proxy is missing: like a return when it ends
	Only     bool           // Kubernetes knows no other node
	Contact  time.Time      // when the API server was last heard
	Cordoned bool           // Kubernetes is to put nothing on it
	Asked    string         // how somebody asks for the end of a hold, by a new value; "" nobody ever did
	Synced   bool           // that is as Kubernetes has it
}

// The events of Step. The sets are whole.
type (
	// Gossip is all members that gossip has, sorted by name; the slice is kept.
	Gossip []Member
	// Nodes are those of Kubernetes; the slice is kept.
	Nodes []Node
	// Wanted are the probes that the caller wants beside those of this package.
	Wanted []probe.Question
)

// Event is one of those above, a [Self], a [Message], a [probe.Reply] or a [probe.Located].
type Event any

// Note is something that a person may want to know of, for logs and metrics.
type Note struct {
	Peer string
	What What
}

// What a note is about.
type What string

// The notes.
const (
	Silent     What = "host is silent"                                                                     // the host watch suspects it
	SuspectsUs What = "a peer suspects us"                                                                 // the peer is who does
	Died       What = "peer declared dead: no reply by ARP or neighbor discovery"                          // against the word of gossip
	Revived    What = "peer alive again"                                                                   // the end of that
	Gone       What = "dead"                                                                               // it counts as dead from now on, for whatever reason
	Away       What = "its speaker is away"                                                                // it is absent from now on
	Failed     What = "its speaker is away and it does not forward, so its addresses move"                 // its absence ends
	Untested   What = "its speaker is away and nobody can test whether it forwards, so its addresses move" // the same
	Late       What = "its speaker was not back in time, so its addresses move"                            // its absence has ended
	Lost       What = "its host is gone as well as its speaker, so its addresses move"                     // the same
	Returned   What = "this node has come back"                                                            // the peer is this node
	Released   What = "the hold-down of this node ends before its time"                                    // the same
	Prolonged  What = "the hold-down of this node goes on until it is uncordoned"                          // the same
	CutOff     What = "this node hears no peers"                                                           // the same
)

// Ready is what follows from the events up to now.
type Ready struct {
	Probes   []probe.Question // to send now
	Messages []Message        // to send to every peer
	Notes    []Note
	Changed  bool      // Snapshot is not what it was
	Wake     time.Time // call Ready again then; zero: not before the next event
}

// Snapshot is what is believed. It is never changed once it was given away.
type Snapshot struct {
	Peers      []Peer            // sorted by name, without this node
	Names      map[string]string // node by MAC, this node's included
	Unnamed    []string          // MACs at which a speaker replied that is of no node known, sorted
	Returning  bool              // this node is, or will be as soon as somebody hears it: it is cut off
	Until      time.Time         // end of that
	Recent     bool              // it came back less than Timing.Recent ago
	Held       bool              // a peer takes this node for absent
	Drops      []Message         // of testers that say this node does not forward, sorted by tester
	Absent     []string          // peers that are, and whose hosts this node watches, sorted
	Contact    Contact           // of this node with the API server
	Discovered bool              // every station of the networks was asked, and had time to reply
	Heals      int               // grows when neighbors may have been told of another owner
	Return     Return            // the last one of this node
}
