package arpd

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"
)

// Config is what a Responder needs to know.
type Config struct {
	// Interfaces are patterns: names, globs as of path.Match, and exclusions
	// that begin with "!". None but exclusions: chosen automatically.
	Interfaces []string
	// Namespace is the path of the network namespace to work in; empty: that of
	// the process. Several nodes can so live in one process, as in tests.
	Namespace string
	// Cluster is the identity of the cluster: speakers of others do not count
	// when it is asked who is there.
	Cluster string

	// Refresh lies between the announcements of an address that go on for ever;
	// zero: a minute, negative: there are none.
	Refresh time.Duration
	// Rate is how many announcements are sent per second at most; zero: 12,000.
	Rate int
	// AnswerPing answers ICMP echo for the addresses. The kernel gets the
	// questions, too, and where it forwards it tells who asks that the address is
	// unreachable: see docs/wire.md.
	AnswerPing bool
	// Patrol lies between two questions for an own address, whether another station
	// has it as well; zero: as Refresh, negative: none are asked.
	Patrol time.Duration
	// Probing is how the addresses of Probe are tried out; zero: Shortened.
	Probing Rhythm

	Log      zerolog.Logger
	Registry prometheus.Registerer // nil: metrics are counted and shown to nobody
}

// Responder answers for addresses. All methods may be called at any time, from
// any goroutine.
type Responder struct {
	sys     system
	log     zerolog.Logger
	noise   noise
	metrics *metrics
	choice  patterns
	rate    int           // of announcements per second
	every   time.Duration // see Config.Patrol
	spoken  []protocol    // on every interface

	changed chan struct{} // capacity 1: for the caller
	rescan  chan struct{} // capacity 1: interfaces may have changed
	due     chan struct{} // capacity 1: the schedule has something new
	asked   chan struct{} // capacity 1: there is something new to ask
	claims  chan claim    // from the readers; full: claims are dropped and counted
	answers chan claim    // the same, of those who were asked

	lookup chan hw // capacity 1: a speaker whose addresses are to be found

	presence uint32 // see presenceOf
	pulse    *pulse

	mu        sync.Mutex // guards all following fields; never held across a system call but the change of a filter
	own       []netip.Addr
	watched   []netip.Addr
	given     [2][]netip.Addr // the same as Assign was given them
	tried     []netip.Addr
	probes    probes
	locals    map[netip.Addr]*link // addresses of this node's kernel
	roles     map[netip.Addr]role
	limits    []Limit // see Confine
	schedule  *schedule
	heard     map[netip.Addr]sighting
	hearsay   hearsay // the same for State
	disputes  disputes
	quarrels  quarrels
	peers     map[hw]struct{} // of the nodes of this cluster
	say       uint8           // see Company
	heals     int             // see Company
	speakers  map[hw]Speaker
	looked    time.Time // when one of them was last looked up
	inquiries inquiries
	ports     map[int]*port // by interface index; changed by the follower only
	list      []Interface
	macs      map[hw]struct{} // of all interfaces of this node
	flapped   map[int]struct{}
	failed    map[int]error // ports that must be opened anew
	listed    bool          // interfaces are known
	listErr   error
	denied    error // packet sockets are refused
	problems  []string
	settings  map[string]setting // of the kernel, by interface
	findings  []Finding
	proxied   bool // the kernel may answer for any address, see proxy
	stop      Stop // the last one
	muted     bool // own is not answered until the next Assign
}

// New checks the configuration and starts nothing.
func New(cfg Config) (*Responder, error) {
	return newResponder(cfg, linux{namespace: cfg.Namespace})
}

func newResponder(cfg Config, sys system) (*Responder, error) {
	choice, err := parsePatterns(cfg.Interfaces)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, err
	}
	r := &Responder{
		sys: sys, log: cfg.Log, noise: newNoise(cfg.Log), metrics: m, choice: choice, rate: cmp.Or(cfg.Rate, frameRate), every: cmp.Or(cfg.Patrol, cfg.Refresh, refreshEvery), spoken: protocols(),
		changed: make(chan struct{}, 1), rescan: make(chan struct{}, 1), due: make(chan struct{}, 1),
		asked:     make(chan struct{}, 1),
		lookup:    make(chan hw, 1),
		presence:  presenceOf(cfg.Cluster),
		pulse:     newPulse(time.Now()),
		probes:    newProbes(cmp.Or(cfg.Probing, Shortened())),
		claims:    make(chan claim, 256),
		answers:   make(chan claim, 256),
		roles:     make(map[netip.Addr]role),
		schedule:  newSchedule(gaps(), cmp.Or(cfg.Refresh, refreshEvery), jitter),
		heard:     make(map[netip.Addr]sighting),
		hearsay:   hearsay{macs: make(map[netip.Addr]string), again: make(map[netip.Addr]struct{})},
		disputes:  make(disputes),
		quarrels:  make(quarrels),
		speakers:  make(map[hw]Speaker),
		inquiries: make(inquiries),
		ports:     make(map[int]*port),
		flapped:   make(map[int]struct{}),
		failed:    make(map[int]error),
	}
	if cfg.AnswerPing {
		r.spoken = append(r.spoken, pingProtocols()...)
	}
	r.problems = r.diagnose()
	return r, nil
}

// jitter spreads d by a tenth to either side, so that addresses gained together
// are not refreshed together for ever.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5)
}

// Run answers and announces until ctx ends; it is to be called once. Whatever
// fails on the way is shown by Problems and tried again.
func (r *Responder) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, task := range []func(context.Context){r.follow, r.subscribe, r.announce, r.listen, r.inquire, r.patrol, r.look, r.live} {
		g.Go(func() error { task(ctx); return nil })
	}
	return g.Wait()
}

// Changed has something to read when interfaces, conflicts, problems or what was
// heard may have changed. It has one reader.
func (r *Responder) Changed() <-chan struct{} { return r.changed }

// poke wakes the reader of a channel of capacity 1.
func poke(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
