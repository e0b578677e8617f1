// Package liveness runs the machines of packages peers and forward: it carries events to them and
// sends what they want sent. What one of them reports it hands to the other. It has a goroutine of
// its own, so that no death is noticed later because the loop is busy. The loop reads what is
// believed, and is woken when that changes.
//
//	from   what                               to
//	mesh   members, messages of others        peers
//	arpd   replies to probes                  peers
//	arpd   answers to tests                   forward
//	loop   Nodes, what this node is, wanted   peers
//	loop   who is tested, and by what         forward
//	peers  probes; messages; beliefs          arpd; mesh; loop
//	peers  this node has come back            whoever keeps that for the next process
//	forward  tests; what was found            arpd; peers and mesh
//
// One turn gives the machines all events that wait and then does what both say. Without an event
// the next turn is at the earlier of their times, after 5 s at the latest.
package liveness

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/forward"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/probe"
	"github.com/starling-lb/starling/wake"
)

// idle is how long the goroutine sleeps at most.
const idle = 5 * time.Second

// Mesh is the membership by gossip, and the messages between members.
type Mesh interface {
	Members() []mesh.Member
	Send([]peers.Message)      // each to one other member or to all
	Messages() []peers.Message // of others, since the last call
	Changed() <-chan struct{}  // also for new messages
}

// Wire asks other nodes on their networks.
type Wire interface {
	Send([]probe.Question)   // once
	Test([]forward.Question) // the same
	Replies() []any          // what came back since the last call: probe.Reply, probe.Located, forward.Reply
	Replied() <-chan struct{}
}

// Config is what a node needs.
type Config struct {
	Peers    peers.Config
	Tests    forward.Timing   // of what other nodes forward; zero: the standard one
	Now      func() time.Time // the clock, monotonic as that of time.Now; nil: time.Now
	Mesh     Mesh
	Wire     Wire
	Earlier  []mesh.Member      // that an earlier process of this node knew a moment ago, sorted by name
	Returned func(peers.Return) // is called for each return of this node, and for the end of a hold before its time, and must not block; nil: nobody
	Log      zerolog.Logger
	Registry prometheus.Registerer // nil: no metrics
}

// Liveness is the machine with its goroutine. All methods may be called from any goroutine.
type Liveness struct {
	cfg     Config
	metrics *metrics
	changed chan struct{} // capacity 1: what is believed, or the mesh
	again   chan struct{} // capacity 1: the goroutine is to look when it must wake
	recall  recall

	mu      sync.Mutex // guards all following fields
	machine *peers.Peers
	tests   *forward.Machine
	members []mesh.Member
	wake    time.Time
}

// New makes one; Run starts it.
func New(c Config) *Liveness {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Liveness{
		cfg: c, metrics: newMetrics(c.Registry), machine: peers.New(c.Peers), tests: forward.New(forward.Config{Self: c.Peers.Self, Timing: c.Tests}),
		changed: make(chan struct{}, 1), again: make(chan struct{}, 1), recall: recall{c.Earlier, c.Now()},
	}
}

// Run carries events until ctx ends.
func (l *Liveness) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		gossip := false
		select {
		case <-ctx.Done():
			return
		case <-l.cfg.Mesh.Changed():
			gossip = true
		case <-l.cfg.Wire.Replied():
		case <-l.again:
		case <-timer.C:
		}
		if gossip {
			l.Gossip()
			poke(l.changed) // also for what is not about members
		} else {
			l.Step()
		}
		timer.Reset(l.rest())
	}
}

// Changed is sent to when what is believed changes, or anything of the mesh.
func (l *Liveness) Changed() <-chan struct{} { return l.changed }

// Gossip takes the members from the mesh and gives them to the machine, with other events.
func (l *Liveness) Gossip(events ...any) {
	members := l.recall.join(l.cfg.Mesh.Members(), l.cfg.Now())
	l.mu.Lock()
	l.members = members
	l.mu.Unlock()
	l.Step(append([]any{mesh.Gossip(members)}, events...)...)
}

// Step gives the machines events, and what came from mesh and wire meanwhile, and does what it
// says.
func (l *Liveness) Step(events ...any) {
	events = append(events, l.cfg.Wire.Replies()...)
	for _, m := range l.cfg.Mesh.Messages() {
		events = append(events, m)
	}
	ready, tests, last := l.advance(events)
	if len(ready.Probes) > 0 {
		l.cfg.Wire.Send(ready.Probes)
	}
	if len(tests.Questions) > 0 {
		l.cfg.Wire.Test(tests.Questions)
	}
	if len(ready.Messages) > 0 {
		l.cfg.Mesh.Send(ready.Messages)
	}
	for _, n := range ready.Notes {
		l.note(n, last)
	}
	for _, r := range tests.Reports {
		l.found(r)
	}
	if ready.Changed {
		poke(l.changed)
	}
}

// advance gives the machines events, and says what follows and when this node came back last. What
// is found about a node is said to it, or to all.
func (l *Liveness) advance(events []any) (peers.Ready, forward.Ready, peers.Return) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.cfg.Now() // and not of when the events were taken: the process may have been stopped since
	for _, e := range events {
		switch e.(type) {
		case forward.World, forward.Reply:
			l.tests.Step(e, now)
		default:
			l.machine.Step(e, now)
		}
	}
	tests := l.tests.Ready(now)
	var said []peers.Message
	for _, r := range tests.Reports {
		said = append(said, l.message(r))
		l.machine.Step(said[len(said)-1], now)
	}
	ready := l.machine.Ready(now)
	ready.Messages, ready.Wake = append(ready.Messages, said...), wake.Earlier(ready.Wake, tests.Wake)
	if !ready.Wake.IsZero() && (l.wake.IsZero() || ready.Wake.Before(l.wake)) {
		poke(l.again)
	}
	l.wake = ready.Wake
	return ready, tests, l.machine.Snapshot().Return
}

// message is how a report is sent.
func (l *Liveness) message(r forward.Report) peers.Message {
	kind := peers.Drops
	if r.Forwards {
		kind = peers.Forwards
	}
	return peers.Message{Kind: kind, About: r.About, By: l.cfg.Peers.Self, To: r.To, At: r.At, Other: r.Other}
}

// found logs and counts what this node found about another one, once each.
func (l *Liveness) found(r forward.Report) {
	switch {
	case r.Forwards:
		l.cfg.Log.Info().Str("node", r.About).Msg("node forwards again")
	case !r.First:
	case r.Other == "" && !r.At.IsValid():
		l.cfg.Log.Warn().Str("node", r.About).Msg("its speaker is away, and nothing can be tested that it forwards")
	case r.Other == "":
		l.metrics.drops.Inc()
		l.cfg.Log.Warn().Str("node", r.About).Stringer("at", r.At).Msg("its speaker is away, and its kube-proxy is gone")
	default:
		l.metrics.drops.Inc()
		l.cfg.Log.Warn().Str("node", r.About).Stringer("vip", r.At).Str("other", r.Other).Msg("node does not forward, and another one does")
	}
}

// rest is how long the goroutine may sleep.
func (l *Liveness) rest() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wake.IsZero() {
		return idle
	}
	return l.wake.Sub(l.cfg.Now())
}

// Believed is what the machine believes, with the members of gossip and the answers that the loop
// asked for.
func (l *Liveness) Believed() (peers.Snapshot, []mesh.Member, map[probe.Question]probe.Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.machine.Snapshot(), l.members, l.machine.Answers()
}

// LastReply is when a node last replied on the wire; zero: never.
func (l *Liveness) LastReply(name string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.machine.LastReply(name)
}

// note logs and counts what a person may want to know.
func (l *Liveness) note(n peers.Note, last peers.Return) {
	switch n.What {
	case peers.Gone:
		l.metrics.deaths.Inc()
		return
	case peers.Silent:
		l.metrics.silentHosts.Inc()
	case peers.Away:
		l.metrics.absences.Inc()
	case peers.Late:
		l.metrics.moved.WithLabelValues(late).Inc()
	case peers.Failed:
		l.metrics.moved.WithLabelValues(failed).Inc()
	case peers.Untested:
		l.metrics.moved.WithLabelValues(untested).Inc()
	case peers.Lost:
		l.metrics.moved.WithLabelValues(lost).Inc()
	case peers.Died:
		l.metrics.wireDeaths.Inc()
	case peers.Returned, peers.Released, peers.Prolonged:
		if l.cfg.Returned != nil {
			l.cfg.Returned(last)
		}
		if n.What == peers.Returned {
			return
		}
	}
	l.cfg.Log.Info().Str("node", n.Peer).Msg(string(n.What))
}

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
