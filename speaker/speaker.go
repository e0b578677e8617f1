// Package speaker is the one loop of the program. It reads the world, decides,
// and applies; nothing else decides.
//
// The world is what the other rooms know: the members of the mesh, the nodes,
// Services and endpoints of the cluster, the interfaces of this node and the
// pools. Each of them only says "something may have changed". The loop then
// takes one turn:
//
//  1. The table of Services advances by everything the ordered stream brought.
//  2. This node judges itself: ready means that it knows the Services, has met
//     the mesh (or is proven alone), has an interface to speak on, has asked
//     on the wire who is there, and forwards (see forwarding). A node that came back a moment ago says so, and
//     goes behind the steady ones. The mesh is told.
//  3. For every bound address the owner is elected over all members: those that
//     gossip reaches and those that answer on the wire (see judge), without those
//     whose hosts fell silent on the wire (see vigil), as far as the address's
//     pool allows (see agree). Who would own an address, but hears a node of
//     higher rank announce it, leaves it to that one as long as it answers (see
//     arbitrate). The addresses this node owns are given to the wire as one
//     whole set, and kept to the interfaces that their pools name.
//  4. The lease protocol says which writes are due; they run beside the loop,
//     and their results come back as a change.
//
// A turn depends on the present state alone, never on which event caused it, so
// events may be merged, lost to a restart or come twice.
//
// At the end (the context of Run is done) the node hands over: it tells the
// mesh that it drains, answers for each address until the successor is heard on
// the wire or a limit has passed, and then falls silent. The caller leaves the
// mesh only after that.
package speaker

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/proxy"
	"github.com/starling-lb/starling/watcher"
)

const (
	idleTurn   = 5 * time.Second      // a turn is taken at least this often
	pause      = 2 * time.Millisecond // between turns, or as long as the last turn took
	pauseMost  = 100 * time.Millisecond
	stuckAfter = 30 * time.Second // without a turn, the loop is stuck
)

// Mesh is the membership, as far as the loop needs it.
type Mesh interface {
	Members() []mesh.Member
	Settled() bool
	SetMeta(mesh.Meta)
	Problems() []string
	Changed() <-chan struct{}
}

// Alarms are told from member to member, beside the membership. The mesh signals
// new ones.
type Alarms interface {
	Accuse(members ...string) // of silence on the wire
	Alarms() []mesh.Alarm     // those of others, of late
}

// Wire answers for addresses on the node's networks.
type Wire interface {
	Confine(limits []arpd.Limit)       // addresses to some interfaces
	Assign(answer, watch []netip.Addr) // whole sets; those in both are being handed over
	Meet(arpd.Company)                 // who the other nodes are, and what to ask them
	Probe(vips []netip.Addr)           // whether a station has one of them
	State() arpd.State
	Changed() <-chan struct{}
}

// Cluster is what is known of Kubernetes.
type Cluster interface {
	Drain() watcher.Changes
	State() watcher.State
	Changed() <-chan struct{}
}

// API takes what is to be written to Kubernetes.
type API interface {
	Write(context.Context, watcher.Write) error
	Event(watcher.Event)
}

// Proxy is kube-proxy of this node, which forwards what comes for Services.
type Proxy interface {
	State() proxy.State
	Changed() <-chan struct{}
}

// Settings are the pools in force; they may change while running.
type Settings interface {
	Pools() *lease.Pools
	Problems() []string
	Changed() <-chan struct{}
}

// Config is everything a speaker needs.
type Config struct {
	Node         string // name of the node, the speaker's name in the mesh
	Version      string // of the program
	Installation string // identity of this cluster, written into leases
	Class        string // the loadBalancerClass to serve, "" for Services without one

	Pace time.Duration // between two questions to a host that is watched; 0: none is

	LastReturn Return       // of an earlier process of this node that ended without being asked to
	Returned   func(Return) // is told each return, and must not block; nil: nobody

	IgnoreExclude bool // announce also from nodes excluded by label

	// Trial is how long the wire takes to find out whether a station has an
	// address; zero: addresses are used without that.
	Trial time.Duration

	Mesh     Mesh
	Alarms   Alarms
	Wire     Wire
	Cluster  Cluster
	API      API
	Settings Settings
	Proxy    Proxy                       // nil: is not waited for
	Peers    func() []mesh.Complaint     // which peers the mesh complains of; nil: of none
	Pings    func() map[string]mesh.Ping // round trips, asked when somebody looks; nil: not known
	Counts   func() watcher.Counts       // what was written, asked when somebody looks; nil: not known
	Log      zerolog.Logger
	Registry prometheus.Registerer // nil: no metrics
}

// Speaker is the loop. All methods but Run may be called from any goroutine.
type Speaker struct {
	cfg     Config
	log     zerolog.Logger
	claims  zerolog.Logger // see claimsOf
	metrics *metrics
	results chan result
	writing chan struct{}        // one element for each write under way
	view    atomic.Pointer[view] // the last turn, for Snapshot
	beat    atomic.Int64         // when the last turn ended, in Unix nanoseconds

	mu sync.Mutex // the loop holds it for a turn; who asks about Services holds it shortly in between

	// Only the loop's goroutine uses the following, and under mu who asks may read them.
	table   *lease.Table
	touch   touch
	hold    hold
	alone   bool // cut off, as of the last turn
	forward forwarding
	vigil   vigil
	roll    roll            // of the last turn
	stopped time.Time       // end of the last stop of the process
	dead    map[string]bool // members, as of the last turn
	heals   int             // how often one of them came back
	called  bool            // has asked everybody on the wire
	yields  map[netip.Addr]yielding
	spread  spread
	trials  trials
	agreed  *lease.Pools // whose rules on where to announce are in force, see agree
	differ  []string     // members with another configuration, as of the last turn
	overlap overlap
	muted   []string               // addresses without an interface, in words, as of the last turn
	handing map[netip.Addr]handing // answered for still, but owned by another
	told    map[netip.Addr]bool    // addresses for which a conflict was told
	faulty  map[faultKey]*telling  // what is wrong with nodes and pools, as of the last turn
	tells   *rate.Limiter          // of events about faults
	kernels map[netip.Addr]bool    // bound addresses that are also a node's own, as of the last turn
	mine    map[netip.Addr]bool    // owned as of the last turn; nil: answers for nothing
	answer  []netip.Addr           // the same as a list; never changed in place
	watch   []netip.Addr           // and those of others
	ended   time.Time              // when the last turn ended
	took    time.Duration          // how long it was
	drain   time.Time              // when draining began, zero before
	judged  bool                   // reasons are those of a turn
	reasons []string               // why not ready, as of the last turn
}

// New makes a speaker; Run starts it.
func New(cfg Config) *Speaker {
	s := &Speaker{
		cfg:     cfg,
		log:     cfg.Log,
		claims:  claimsOf(cfg.Log),
		results: make(chan result),
		writing: make(chan struct{}, writers),
		table:   lease.NewTable(),
		vigil:   newVigil(),
		handing: map[netip.Addr]handing{},
		told:    map[netip.Addr]bool{},
		tells:   newTells(),
		hold:    hold{Return: cfg.LastReturn, told: cfg.Returned},
		trials:  trials{lasts: cfg.Trial, until: map[netip.Addr]time.Time{}, picks: map[netip.Addr]bool{}},
	}
	s.view.Store(&view{reasons: []string{"starting"}})
	s.metrics = newMetrics(cfg.Registry, &s.view)
	s.beat.Store(time.Now().UnixNano())
	return s
}

// Run takes turns until ctx ends, hands over, and returns nil.
func (s *Speaker) Run(ctx context.Context) error {
	var writes sync.WaitGroup
	defer writes.Wait()
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	done := ctx.Done()
	var proxied <-chan struct{}
	if s.cfg.Proxy != nil {
		proxied = s.cfg.Proxy.Changed()
	}
	for {
		select {
		case <-done:
			done, s.drain = nil, time.Now()
			s.log.Info().Msg("draining")
		case r := <-s.results:
			s.finish(r)
		case <-s.cfg.Mesh.Changed():
		case <-s.cfg.Wire.Changed():
		case <-s.cfg.Cluster.Changed():
		case <-s.cfg.Settings.Changed():
		case <-proxied:
		case <-timer.C:
		}
		s.rest()
		w := s.turn(time.Now())
		if s.drained(w) {
			s.cfg.Wire.Assign(nil, s.watch)
			s.log.Info().Msg("silent")
			return nil
		}
		for _, step := range w.steps {
			writes.Go(func() { s.write(writing, step) })
		}
		timer.Reset(time.Until(w.wake))
	}
}

// rest lets changes gather after a turn, so that a flood of them, be it pods
// that come and go or a stranger on the wire, costs at most a quarter of a core. After
// a quiet moment the first change is acted upon at once. A turn in which the
// process was stopped took long for another reason.
func (s *Speaker) rest() {
	if rest := time.Until(s.ended.Add(min(max(pause, 3*s.took), pauseMost))); rest > 0 {
		time.Sleep(rest)
	}
}

// Healthy tells whether the loop still takes turns; the error says since when it does not.
func (s *Speaker) Healthy() error {
	if idle := time.Since(time.Unix(0, s.beat.Load())); idle > stuckAfter {
		return fmt.Errorf("the loop has not taken a turn for %s", idle.Round(time.Second))
	}
	return nil
}
