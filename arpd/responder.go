package arpd

import (
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/starling-lb/starling/arpd/announce"
	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/health"
)

// Config is what a Responder needs to know.
type Config struct {
	// Interfaces are patterns: names, globs as of path.Match, and exclusions
	// that begin with "!". None but exclusions: chosen automatically.
	Interfaces []string
	// Namespace is the path of the network namespace to work in; empty: that of
	// the process. Several nodes can so live in one process, as in tests.
	Namespace string
	// Node is the name of this node.
	Node string
	// Cluster is the identity of the cluster: speakers of others do not count
	// when a speaker asks whether one is there.
	Cluster string
	// Keys are those of the gossip to start with; see SetKeys.
	Keys [][]byte

	// Refresh lies between the announcements of an address that go on forever;
	// zero: a minute, negative: there are none.
	Refresh time.Duration
	// Rate is how many announcements are sent per second at most; zero: 12,000.
	Rate int
	// AnswerPing answers ICMP echo for the addresses. The kernel gets the
	// questions, too, and where it forwards it tells who asks that the address is
	// unreachable: see docs/wire.md.
	AnswerPing bool
	// Recheck lies between two questions for an own address, whether another station has it as
	// well; zero: as Refresh, negative: none are asked. One that was gained a moment ago is asked
	// for sooner.
	Recheck time.Duration
	// Probing is how the addresses of Probe are probed; zero: claims.Shortened.
	Probing claims.ACD

	// Testing has Test test what other nodes forward; else it does nothing.
	Testing bool

	// PerAddress counts answers by address, too, of up to MaxTallied.
	PerAddress bool

	Log      zerolog.Logger
	Registry prometheus.Registerer // nil: metrics are counted and shown to nobody
}

// Responder answers for addresses. All methods may be called at any time, from
// any goroutine.
type Responder struct {
	sys     system
	log     zerolog.Logger
	sampled sampledLogs
	metrics *metrics
	choice  netif.Patterns
	rate    int        // of announcements per second
	spoken  []protocol // on every interface

	changed chan struct{} // capacity 1: for the caller
	rescan  chan struct{} // capacity 1: interfaces may have changed
	urgent  chan struct{} // capacity 1: one that is used has lost its link, which does not wait for the rest
	due     chan struct{} // capacity 1: the schedule has something new
	again   chan struct{} // capacity 1: claims must be looked at sooner
	gained  chan struct{} // capacity 1: there is a new own address to ask for
	claims  chan claim    // from the readers; full: claims are dropped and counted
	answers chan claim    // the same, of those who were asked

	inbox  *inbox
	outbox *outbox
	lookup chan packet.HW // capacity 1: a speaker whose addresses are to be found
	looks  *rate.Limiter  // of lookups

	node, cluster string      // of this node, see Config
	open          *open       // questions to speakers
	begun         *handshakes // nil: see Config.Testing
	presence      uint32      // see presenceOf
	heartbeat     *heartbeat

	mu       sync.Mutex // guards all following fields; never held across a system call but the change of a filter
	listing  listing
	kernel   interference
	wiring   wiring
	deputy   deputy
	roles    map[netip.Addr]role
	limits   []netif.Limit  // see SetLimits
	routes   *netif.Routes  // as of the last assignment
	ifaces   map[int]*iface // by interface index; changed by the follower only
	flapped  map[int]struct{}
	failed   map[int]error // interfaces that must be opened anew
	schedule *announce.Schedule
	others   *claims.Machine // who says that they have one of the addresses
	answer   uint8           // see Peers
	proofs   *proofs         // see SetKeys
	actAt    time.Time       // when claims must be looked at; zero: not by time
	stop     Stop            // the last one
}

// listing is the interfaces of the node, and what is wrong with them.
type listing struct {
	all      []netif.Interface
	known    bool
	err      error
	denied   error              // packet sockets are refused
	problems []health.Condition // see diagnose
}

// interference is what the kernel does with VIPs, as last looked at.
type interference struct {
	locals   map[netip.Addr]*netif.Link // addresses of this node's kernel
	settings map[string]netif.Setting   // by interface
	findings []health.Condition         // see investigate
	proxied  bool                       // the kernel may answer for any address, see proxy
}

// wiring is what is known of the networks that interfaces of this node share.
type wiring struct {
	macs  map[packet.HW]time.Time // of all interfaces of this node, and until when they were; zero: they are
	via   map[netif.Network]int   // see netif.Via
	heard map[netif.Kin]time.Time // interfaces of which one heard the other, and when last
}

// deputy is what is known to answer for nodes whose speakers are away.
type deputy struct {
	peers   map[claims.MAC]string // MACs of the other nodes
	heardOn map[claims.MAC]int    // index of the interface by which one of these was heard last
	absent  map[netip.Addr]string // deputized addresses, and whose they are
}

// Changed has something to read when interfaces, conflicts, problems or what was
// heard may have changed. It has one reader.
func (r *Responder) Changed() <-chan struct{} { return r.changed }
