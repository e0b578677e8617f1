package arpd

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/starling-lb/starling/arpd/announce"
	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/claims"
)

// New checks the configuration and starts nothing.
func New(cfg Config) (*Responder, error) {
	return newResponder(cfg, linux{netif.Namespace(cfg.Namespace)})
}

func newResponder(cfg Config, sys system) (*Responder, error) {
	choice, err := netif.ParsePatterns(cfg.Interfaces)
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, err
	}
	if cfg.PerAddress {
		if m.tally, err = newTally(cfg.Registry); err != nil {
			return nil, err
		}
	}
	r := &Responder{
		sys: sys, log: cfg.Log, sampled: newSampledLogs(cfg.Log), metrics: m, choice: choice, rate: cmp.Or(cfg.Rate, announce.Rate), spoken: protocols(),
		changed: make(chan struct{}, 1), rescan: make(chan struct{}, 1), urgent: make(chan struct{}, 1), due: make(chan struct{}, 1),
		again:     make(chan struct{}, 1),
		gained:    make(chan struct{}, 1),
		inbox:     newInbox(m.dropped[overrun]),
		outbox:    newOutbox(),
		lookup:    make(chan packet.HW, 1),
		looks:     rate.NewLimiter(rate.Every(lookEvery), 1),
		presence:  presenceOf(cfg.Cluster),
		node:      cfg.Node,
		cluster:   cfg.Cluster,
		open:      newOpen(),
		heartbeat: newHeartbeat(time.Now()),
		claims:    make(chan claim, 256),
		answers:   make(chan claim, 256),
		roles:     make(map[netip.Addr]role),
		schedule:  announce.New(announce.Rhythm{Gaps: announce.Standard().Gaps, Refresh: cmp.Or(cfg.Refresh, announce.Standard().Refresh)}),
		others:    claims.New(claimsConfig(cfg)),
		ifaces:    make(map[int]*iface),
		deputy:    deputy{heardOn: make(map[claims.MAC]int)},
		wiring:    wiring{heard: make(map[netif.Kin]time.Time)},
		flapped:   make(map[int]struct{}),
		failed:    make(map[int]error),
	}
	if r.proofs, err = newProofs(cfg.Node, cfg.Cluster, cfg.Keys, r.open); err != nil {
		return nil, err
	}
	if cfg.AnswerPing {
		r.spoken = append(r.spoken, pingProtocols()...)
	}
	if cfg.Testing {
		r.begun = newHandshakes(r.inbox)
		r.spoken = append(r.spoken, r.begun.protocols()...)
	}
	r.schedule.Jitter = jitter
	r.listing.problems = r.diagnose()
	return r, nil
}

// claimsConfig is what package claims goes by.
func claimsConfig(cfg Config) claims.Config {
	c := claims.Standard(cfg.Node)
	c.ACD = cmp.Or(cfg.Probing, c.ACD)
	c.Recheck.Every = cmp.Or(cfg.Recheck, cfg.Refresh, c.Recheck.Every)
	c.Random = rand.N[time.Duration]
	return c
}

// jitter spreads d by a tenth to either side, so that addresses gained together
// are not refreshed together forever.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5)
}

// Run answers and announces until ctx ends; it is to be called once. Whatever
// fails on the way is shown by Conditions and tried again.
func (r *Responder) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, task := range []func(context.Context){r.follow, r.subscribe, r.announce, r.listen, r.tryOut, r.recheck, r.look, r.live} {
		g.Go(func() error { task(ctx); return nil })
	}
	return g.Wait()
}
