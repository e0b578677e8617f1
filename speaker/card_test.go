package speaker

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/arpd/announce"
	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/elect"
	"github.com/starling-lb/starling/forward"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/probe"
	"github.com/starling-lb/starling/wake"
)

// card is a network card with what arpd drives: it carries frames to the machine and does what that
// says, and decides nothing.
type card struct {
	machine  *claims.Machine
	schedule *announce.Schedule
	peers    arpd.Peers
	stop     arpd.Stop
	replies  []any
	asked    map[probe.Question]struct{} // by the loop, of who holds on to an address
	rested   time.Time                   // no recheck before
	due      *time.Timer                 // of work
}

func (m *model) card(self string) card {
	c := m.rules.claims
	c.Self, c.Rhythms = self, m.rules.rhythms
	c.Random = func(below time.Duration) time.Duration { return below }
	return card{schedule: announce.New(m.rules.announce), machine: claims.New(c), asked: map[probe.Question]struct{}{}}
}

// rules are those that a cluster goes by.
type rules struct {
	pace     time.Duration
	rhythms  probe.Rhythms
	peers    peers.Timing
	without  peers.Rows
	claims   claims.Config
	announce announce.Rhythm
	wall     bool          // the program reads the wall clock where it reads the monotonic one
	grace    time.Duration // of a speaker that is away
	tests    forward.Timing
	untested bool // nobody tests what nodes forward
	unheard  elect.Unheard
}

// standard are the rules that speakers use.
func standard() rules {
	return rules{40 * time.Millisecond, probe.Standard(), peers.Times(), 0, claims.Standard(""), announce.Standard(), false, 0, forward.Times(), false, elect.Times()}
}

// awake waits while the process of the node is stopped.
func (b *node) awake() {
	b.m.mu.Lock()
	ice := b.ice
	b.m.mu.Unlock()
	if ice != nil {
		<-ice
	}
}

// forget has the machine forget what ended long ago, once a minute as long as the speaker runs.
func (b *node) forget() {
	time.AfterFunc(time.Minute, func() {
		b.m.mu.Lock()
		defer b.m.mu.Unlock()
		if b.m.speakers[b.name] == b && !b.ended {
			b.hear(claims.Forget{})
			b.forget()
		}
	})
}

// hear takes what was heard, or was said by the loop. The lock is held.
func (b *node) hear(e claims.Event) {
	b.card.machine.Step(e, b.now())
	b.work()
}

// replied hands up a reply. The lock is held.
func (b *node) replied(r probe.Reply) {
	b.card.replies = append(b.card.replies, r)
	poke(b.heard)
}

// work does what is due, and comes back when something is. A stopped process does nothing. The lock
// is held.
func (b *node) work() {
	c := &b.card
	if c.due != nil {
		c.due.Stop()
	}
	if b.ice != nil || b.m.speakers[b.name] != b {
		return
	}
	now := b.now()
	do := c.machine.Ready(now)
	b.turn(do, now)
	for _, q := range do.Ask {
		b.ask(q)
	}
	for _, ip := range do.Probe {
		b.everybody(ip)
	}
	for ip, _, due := c.schedule.Next(now); due; ip, _, due = c.schedule.Next(now) {
		b.announce(ip)
	}
	again := wake.Earlier(wake.Earlier(do.Wake, c.schedule.Wake()), b.recheck(now))
	if !again.IsZero() {
		c.due = time.AfterFunc(again.Sub(now), func() {
			b.m.mu.Lock()
			defer b.m.mu.Unlock()
			b.work()
		})
	}
}

// turn carries what the machine says to the schedule and to the loop. The lock is held.
func (b *node) turn(do claims.Ready, now time.Time) {
	for _, x := range do.Roles {
		if x.Was.Announces() {
			b.card.schedule.Lose(x.IP)
		}
		if x.Is.Announces() {
			b.card.schedule.Gain(x.IP, now)
		}
	}
	b.m.measure()
	for _, ip := range do.Defend {
		b.card.schedule.Defend(ip)
	}
	if do.Restart {
		b.card.schedule.Restart(now)
	}
	for _, c := range do.Fresh {
		if b.m.speaks(c.MAC) {
			b.m.strangers++
		}
	}
	if do.Changed {
		poke(b.wired)
	}
}

// recheck asks for an own address if it is time to, and returns when it is again. The lock is held.
func (b *node) recheck(now time.Time) time.Time {
	if now.Before(b.card.rested) {
		return b.card.rested
	}
	ip, rest, again := b.card.machine.Recheck(now)
	if !ip.IsValid() {
		return again
	}
	b.everybody(ip)
	b.card.rested = now.Add(rest)
	return b.card.rested
}

func (b *modelWire) Assign(a claims.Assignment) []netip.Addr {
	(*node)(b).awake()
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	(*node)(b).hear(a)
	return b.card.machine.Handing()
}

func (b *modelWire) Probe(vips []netip.Addr) {
	(*node)(b).awake()
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	(*node)(b).hear(claims.Probing{IPs: vips})
}

func (b *modelWire) SetPeers(c arpd.Peers) {
	(*node)(b).awake()
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	b.card.peers = c
	e := claims.Members{Names: map[claims.MAC]string{}, Gone: c.Gone, Draining: c.Draining, Speakers: map[claims.MAC]struct{}{}, Heals: c.Heals}
	for mac, name := range c.MACs {
		e.Names[hardware(mac)] = name
	}
	for _, mac := range c.Speakers {
		e.Speakers[hardware(mac)] = struct{}{}
	}
	(*node)(b).hear(e)
}

// Send sends probes, each once.
func (b *modelWire) Send(probes []probe.Question) {
	(*node)(b).awake()
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	for _, x := range probes {
		if x.Kind() == probe.Owner {
			b.card.asked[x] = struct{}{}
		}
		(*node)(b).ask(x)
	}
}

func (b *modelWire) Replies() []any {
	(*node)(b).awake()
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	out := b.card.replies
	b.card.replies = nil
	return out
}

func (b *modelWire) Replied() <-chan struct{} { return b.heard }
func (b *modelWire) Changed() <-chan struct{} { return b.wired }

func (b *modelWire) State() arpd.State {
	(*node)(b).awake()
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	s := arpd.State{
		Heard:      b.card.machine.Heard((*node)(b).now()),
		Yields:     b.card.machine.Yields(),
		Conflicts:  slices.Concat(b.conflicts, b.card.machine.Conflicts()),
		Conditions: b.kernel,
		Stop:       b.card.stop,
		Probed:     b.card.machine.Probed(),
	}
	for _, name := range (*node)(b).used() {
		s.Interfaces = append(s.Interfaces, netif.Interface{Name: name, MAC: b.mac, Used: true, Prefixes: []netip.Prefix{netip.MustParsePrefix(cmp.Or(b.network, "198.18.0.0/16"))}})
	}
	return s
}
