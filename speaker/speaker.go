// Package speaker is the one loop of the program. It reads what the other packages know, decides
// and applies; nothing else decides.
//
// The other packages know the members of the mesh, the Nodes, Services and endpoints of the
// cluster, the interfaces of this node, and the pools. Each of them signals only that something may
// have changed. The loop then takes one turn:
//
//  1. The table of Services advances by everything that the ordered stream brought.
//  2. This node evaluates itself. It is ready when it knows the Services, has met the mesh (or is
//     proven alone), has an interface to announce on, has probed the wire for other speakers, and
//     forwards (package proxy). A node that came back a moment ago is returning, and goes behind the
//     steady ones. It says all this to the mesh.
//  3. For every bound address it elects the owner, over all members that gossip reaches or that answer
//     on the wire (package peers), as far as the address's pool allows (see agree). It hands the
//     addresses that this node owns to the wire as one whole set, with the interfaces that their pools
//     name. The wire has the last word (package claims): an address that a node of higher rank
//     announces is left to that node as long as it answers, and an address that goes to another node
//     is answered until that node is heard.
//  4. The lease protocol returns the writes that are due. They run beside the loop, and their results
//     come back as a change.
//
// Each step has a file: world.go looks and evaluates, elect.go finds the owners, answer.go hands
// sets to the wire, lease.go runs the protocol, and report.go reports what happened.
//
// A turn depends on the present state alone, never on the event that caused it. So events may be
// merged, be lost in a restart, or come twice.
//
// For an address of an absent node (package peers), the deputy is the node that would own the
// address if the absent one were not there and endpoints did not matter. It answers with the MAC of
// the absent node, see deputy.go.
//
// At the end (the context of Run is done) the node hands over. It tells the mesh that it drains,
// answers for each address until it hears the successor on the wire or a limit has passed, and then
// falls silent. The caller leaves the mesh only after that. A speaker that ends while its node
// stays hands nothing over: it says that it is away, and its deputies answer.
package speaker

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/elect"
	"github.com/starling-lb/starling/forward"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/liveness"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/probe"
	"github.com/starling-lb/starling/proxy"
	"github.com/starling-lb/starling/report"
	"github.com/starling-lb/starling/tentative"
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
	liveness.Mesh
	Settled() bool
	SetMeta(mesh.Meta)
	Conditions() []health.Condition
}

// Wire answers for addresses on the node's networks.
type Wire interface {
	liveness.Wire
	SetLimits(limits []netif.Limit)                // addresses to some interfaces
	Assign(claims.Assignment) (still []netip.Addr) // see arpd.Responder
	SetPeers(arpd.Peers)                           // who the other nodes are
	Probe(vips []netip.Addr)                       // whether a station has one of them
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
	// Known reports whether somebody configured these pools. If not, as without the ConfigMap,
	// bound addresses stay.
	Known() bool
	Conditions() []health.Condition
	Changed() <-chan struct{}
}

// Config is everything a speaker needs.
type Config struct {
	Node         string        // name of the node, the speaker's name in the mesh
	Version      string        // of the program
	Installation string        // identity of this cluster, written into leases
	Classes      lease.Classes // of the Services to serve

	Grace time.Duration // others keep the addresses of this node for so long while its speaker is away; 0: they do not

	Pace time.Duration // between two questions to a host that is watched; 0: none is

	// Earlier are the members that an earlier process of this node knew a moment ago, sorted by
	// name, and Remember is given those that a later one is to know. It must not block. nil:
	// nobody.
	Earlier  []mesh.Member
	Remember func([]mesh.Member)

	LastReturn peers.Return       // of an earlier process of this node that ended without being asked to
	Returned   func(peers.Return) // is called for each return and each early end of a hold, and must not block; nil: nobody
	Rhythms    probe.Rhythms      // of questions to other nodes; zero: the standard ones
	Timing     peers.Timing       // of what is believed about other nodes; zero: the standard one
	Unheard    elect.Unheard      // when an elected node is asked; zero: the standard times
	Without    peers.Rows         // of the table of package peers: rules that are left out

	Testing bool           // test what other nodes forward
	Tests   forward.Timing // of that; zero: the standard one
	// ProxyPort is where kube-proxy of each node says that it is up; 0: nowhere.
	ProxyPort uint16

	IgnoreExclude bool // announce also from nodes excluded by label

	// ProbeTime is how long the wire takes to find out whether a station has an
	// address; zero: addresses are used without that.
	ProbeTime time.Duration

	Now func() time.Time // the clock, monotonic as that of time.Now; nil: time.Now

	Mesh     Mesh
	Wire     Wire
	Cluster  Cluster
	API      API
	Settings Settings
	Proxy    Proxy                       // nil: is not waited for
	Flows    Flows                       // nil: connections end when their address moves
	Routers  Routers                     // nil: nothing is announced by BGP
	Pings    func() map[string]mesh.Ping // round trips, asked when somebody looks; nil: not known
	Counts   func() watcher.Counts       // what was written, asked when somebody looks; nil: not known
	Log      zerolog.Logger
	Registry prometheus.Registerer // nil: no metrics

	// Passwords are those of BGP routers, by name, and why others cannot be read; must not block.
	// nil: none.
	Passwords func(*lease.BGP) (map[string]string, []health.Condition)

	PerAddress bool // series by address, see addresses
}

// Speaker is the loop. All methods but Run may be called from any goroutine.
type Speaker struct {
	cfg     Config
	log     zerolog.Logger
	claims  zerolog.Logger // see claimsOf
	metrics *metrics
	live    *liveness.Liveness
	results chan result
	writing chan struct{}                // one element for each write under way
	view    atomic.Pointer[report.World] // the last turn, for Snapshot
	born    time.Time
	beat    atomic.Int64 // when the last turn ended, in nanoseconds since born: the wall clock may jump

	mu sync.Mutex // the loop holds it for a turn; who asks about Services holds it shortly in between

	// Only the loop's goroutine uses the following, and under mu who asks may read them.
	table             *lease.Table
	forward           proxy.Forwarding
	elections         elect.Elections // of the last turn
	refusals          *elect.Refusals
	standins          *elect.Standins
	stopped           time.Time // end of the last stop of the process
	spread            elect.Spread
	tentative         *tentative.Addresses
	unknown           map[lease.Key]unknown // of Services that have something unknown
	agreed            *lease.Pools          // whose rules on where to announce are in force, see agree
	ignored           map[string]bool       // of the last turn, see touched
	differ            []string              // members with another configuration, as of the last turn
	overlap           report.Overlap
	twins             report.Twins
	muted             []health.Condition                    // addresses without an interface, as of the last turn
	since             health.Tracker                        // of the conditions of the last turn
	handing           []netip.Addr                          // answered for still, but owned by another
	reportedConflicts map[netip.Addr]bool                   // addresses for which a conflict was reported
	reporting         map[report.NodeReportKey]*reportState // what is wrong with nodes and pools, as of the last turn
	nodeReportLimit   *rate.Limiter                         // of events about conditions
	refused           *rate.Limiter                         // of log lines about writes that failed
	kernels           map[netip.Addr]bool                   // bound addresses that are also a node's own, as of the last turn
	mine              map[netip.Addr]bool                   // this node's by election as of the last turn; nil: answers for nothing
	answer            []netip.Addr                          // the same as a list; never changed in place
	watch             []netip.Addr                          // and those of others
	ended             time.Time                             // when the last turn ended
	took              time.Duration                         // how long it was
	drain             time.Time                             // when the end began, zero before
	begun             bool                                  // was ready once
	routing           routing                               // of BGP
	passing           passing                               // packets of connections that began on other nodes
	deputy            map[netip.Addr]string                 // addresses that are answered for a node whose speaker is away
	lingering         map[netip.Addr]time.Time              // of these, those that another node answers for, and until when
	members           []mesh.Member                         // remembered last
	tested            forward.World                         // as last told
	places            []forward.Place                       // of it
	holds             map[string]bool                       // see holdings
	edits             map[lease.Key]time.Time               // Services that have changed a moment ago
	evaluated         bool                                  // reasons are those of a turn
	reasons           []string                              // why not ready, in words, as of the last turn

	moves []api.Move // the last ones of addresses, the latest first; never changed in place
}

// New makes a speaker; Run starts it.
func New(cfg Config) *Speaker {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Speaker{
		cfg:               cfg,
		edits:             map[lease.Key]time.Time{},
		born:              cfg.Now(),
		log:               cfg.Log,
		claims:            claimsOf(cfg.Log),
		results:           make(chan result),
		writing:           make(chan struct{}, writers),
		table:             lease.NewTable(),
		reportedConflicts: map[netip.Addr]bool{},
		unknown:           map[lease.Key]unknown{},
		nodeReportLimit:   newReportLimit(),
		refused:           rate.NewLimiter(rate.Every(refusedEvery), refusedBurst),
		tentative:         tentative.New(cfg.ProbeTime),
		refusals:          elect.NewRefusals(cmp.Or(cfg.Unheard, elect.Times())),
		standins:          elect.NewStandins(cmp.Or(cfg.Unheard, elect.Times())),
	}
	starting := []health.Condition{health.New(health.Starting, health.Node(cfg.Node), "starting")}
	s.view.Store(&report.World{Self: cfg.Node, Version: cfg.Version, Lacks: starting, Reasons: starting})
	gauges := []prometheus.Collector{newGauges(s.view.Load, s.Conditions, s.lacks)}
	if cfg.PerAddress {
		gauges = append(gauges, newAddresses(s.view.Load))
	}
	s.metrics = newMetrics(cfg.Registry, gauges...)
	s.live = liveness.New(liveness.Config{
		Peers: peers.Config{
			Self: cfg.Node, Grace: cfg.Grace, Pace: cfg.Pace, LastReturn: cfg.LastReturn, Rhythms: cmp.Or(cfg.Rhythms, probe.Standard()), Timing: cfg.Timing, Without: cfg.Without,
		},
		Tests: cfg.Tests, Now: cfg.Now, Mesh: cfg.Mesh, Wire: cfg.Wire, Earlier: cfg.Earlier, Returned: cfg.Returned, Log: cfg.Log, Registry: cfg.Registry,
	})
	return s
}

// Run takes turns until ctx ends, hands over, and returns nil.
func (s *Speaker) Run(ctx context.Context) error {
	var writes sync.WaitGroup
	defer writes.Wait()
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var watch sync.WaitGroup
	defer watch.Wait()
	watching, blind := context.WithCancel(context.WithoutCancel(ctx))
	defer blind()
	watch.Go(func() { s.live.Run(watching) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	done := ctx.Done()
	var proxied <-chan struct{}
	if s.cfg.Proxy != nil {
		proxied = s.cfg.Proxy.Changed()
	}
	var sessions <-chan struct{}
	if s.cfg.Routers != nil {
		sessions = s.cfg.Routers.Changed()
	}
	for {
		select {
		case <-done:
			done, s.drain = nil, s.cfg.Now()
			s.log.Info().Msg("draining")
		case r := <-s.results:
			s.finish(r)
		case <-s.live.Changed():
		case <-s.cfg.Wire.Changed():
		case <-s.cfg.Cluster.Changed():
		case <-s.cfg.Settings.Changed():
		case <-proxied:
		case <-sessions:
		case <-timer.C:
		}
		s.rest()
		w := s.turn(s.cfg.Now())
		if s.drained(w) {
			s.cfg.Wire.Assign(claims.Assignment{Watched: s.watch})
			s.stopPassing()
			s.endRoutes(w)
			s.log.Info().Msg("silent")
			return nil
		}
		for _, step := range w.steps {
			writes.Go(func() { s.write(writing, step) })
		}
		timer.Reset(w.wake.Sub(s.cfg.Now()))
	}
}

// rest lets changes gather after a turn, so that a flood of them, be it pods
// that come and go or a stranger on the wire, costs at most a quarter of a core. After
// a quiet moment the first change is acted upon at once. A turn in which the
// process was stopped took long for another reason.
func (s *Speaker) rest() {
	if rest := s.ended.Add(min(max(pause, 3*s.took), pauseMost)).Sub(s.cfg.Now()); rest > 0 {
		time.Sleep(rest)
	}
}

// Healthy reports whether the loop still takes turns; the error says since when it does not.
func (s *Speaker) Healthy() error {
	if idle := s.cfg.Now().Sub(s.born) - time.Duration(s.beat.Load()); idle > stuckAfter {
		return fmt.Errorf("the loop has not taken a turn for %s", idle.Round(time.Second))
	}
	return nil
}
