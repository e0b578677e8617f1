// Package mesh knows which speakers are there. It wraps hashicorp/memberlist
// (SWIM with suspicion): every member probes others and gossips what it
// finds, so that a silent death is known to all within about half a second,
// without anybody who must be asked.
//
// # Members
//
// A member is named after its node and listens on one UDP and one TCP port.
// It says a few things about itself, [Meta], in at most 512 bytes that travel
// with its alive messages. memberlist tells us of changes under its lock, so
// its callbacks copy what they are given into a table of our own, raise
// [Mesh.Changed], and return. What makes a member less able (it drains, is not
// ready, lost a network) it tells every other one directly, before gossip does. What it says carries an
// epoch and a sequence number, so that the newest counts, whichever way it came. [Mesh.Members] reads that table, in which the
// dead stay for five minutes. A member that goes on purpose sends every
// other one a goodbye before memberlist's own Leave, since memberlist does
// not tell its users one from the other.
//
// # Joining
//
// Seeds are the addresses of all nodes, asked for before every attempt. While
// the mesh has not settled all of them are tried, later three missing ones
// every two seconds for ever: members that lost each other do not meet again
// by gossip alone once they have forgotten each other.
//
// # Settling
//
// [Mesh.Settled] turns true when the membership may be trusted for the first
// time: others are there and nobody came for a moment, or every seed was
// tried and none answered for two seconds. It stays true. See settling.
//
// # Messages
//
// [Mesh.Send] sends what package peers has to say of a member that is silent on the wire to every
// other member directly; [Mesh.Messages] are what was received. They change nothing about the
// members here.
//
// # Stopped processes
//
// Of a member that gossip gives up [Member.Listens] says whether the kernel of
// its host takes connections for it all the same. Then its process has not
// ended: see knocker. What that is worth is for the reader to judge.
//
// # Strangers
//
// Everything is encrypted with the first key of the ring and accepted with
// any of them, and carries the cluster's label. [Mesh.SetKeys] changes the ring
// while the mesh runs. What has another label or
// key is dropped and counted, and its sender named, in [Mesh.Conditions] and the
// metric starling_mesh_trouble, until it was not seen for a minute or a good answer disproves it. Nothing of this is fatal.
package mesh

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/health"
)

// Mesh is this node's membership. Its methods may be called at any time, by
// any goroutine.
type Mesh struct {
	cfg      Config
	table    *table
	troubles troubles
	messages messages
	metrics  *metrics
	journal  *journal
	library  *library
	ring     *memberlist.Keyring // Nil: no encryption.
	changed  chan struct{}
	retell   chan struct{}
	spoken   chan struct{} // There are messages to send.
	fallen   chan fallen   // Members that gossip has just given up.
	started  atomic.Bool
	settled  atomic.Bool
	running  atomic.Pointer[memberlist.Memberlist] // Nil before and after.
	seeds    atomic.Pointer[[]Seed]                // As the joiner last saw them; nil before.
	urgent   atomic.Bool                           // What changed of the own metadata is told directly.

	saying sync.Mutex // Makes one of a change and of telling the others.

	refusal string // Why an address is not listened on. Only Run uses it.

	mu       sync.Mutex // Guards settling.
	settling settling
}

// New checks the configuration and starts nothing.
func New(c Config) (*Mesh, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.Detection == "" {
		c.Detection = Default
	}
	if c.listen == nil {
		c.listen = listenWire
	}
	own := c.Bind
	if c.Advertise.IsValid() {
		own = c.Advertise
	}
	if c.Seeds == nil {
		c.Seeds = func() []Seed { return []Seed{{c.Name, own}} }
	}
	ring, err := newRing(c.Keys)
	if err != nil {
		return nil, err
	}
	m := &Mesh{
		cfg:     c,
		ring:    ring,
		journal: newJournal(c.Log),
		changed: make(chan struct{}, 1),
		retell:  make(chan struct{}, 1),
		spoken:  make(chan struct{}, 1),
		fallen:  make(chan fallen, knockWidth),
	}
	first := c.First
	first.Keys = m.fingerprints()
	m.table = newTable(c.Name, own, first.encode(), time.Now())
	m.library = newLibrary(m.see, m.journal)
	if m.metrics, err = newMetrics(c.Registry, m.table, &m.troubles); err != nil {
		return nil, err
	}
	return m, nil
}

// Members returns all members sorted by name, this node included, and those
// that died or left within the last five minutes. The copies are deep.
func (m *Mesh) Members() []Member { return m.table.list() }

// Settled returns whether the membership may be acted upon: see the package
// comment. It goes back to false in one case only: when it was true without
// a single seed known, not even this node's own, and seeds appear.
func (m *Mesh) Settled() bool { return m.settled.Load() }

// SetMeta changes what this member says of itself, its keys left out. The others are told at
// once if it differs, and directly if it is bad news (see worse); Members shows at once what they will see.
func (m *Mesh) SetMeta(meta Meta) {
	m.saying.Lock()
	defer m.saying.Unlock()
	m.say(meta)
}

// say is called with m.saying locked.
func (m *Mesh) say(meta Meta) {
	meta.Keys, meta.Addrs = m.fingerprints(), m.table.addrs()
	was, changed := m.table.setMeta(meta.encode())
	if worse(was, meta) {
		m.urgent.Store(true)
	}
	if changed {
		poke(m.retell)
	}
}

// Conditions returns what a person should repair, sorted by their words: a gossip
// port in use, peers with another key or of another cluster, two nodes of one
// name, a firewall that stops UDP, two members with one MAC. What was not seen for a minute, or is disproved
// by a good answer, is over. There are 64 at most and one that says so: senders can be forged.
func (m *Mesh) Conditions() []health.Condition {
	return append(m.troubles.conditions(time.Now()), m.table.twins()...)
}

// Changed receives when members, their metadata, Settled or Conditions may
// have changed, and for a new message. It has room for one signal and is for one reader.
func (m *Mesh) Changed() <-chan struct{} { return m.changed }

func (m *Mesh) signal() { poke(m.changed) }

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// settle applies a new fact and judges anew, until that is done for good.
func (m *Mesh) settle(fact func(*settling)) {
	if m.settledForGood() {
		return
	}
	c := m.table.company()
	m.mu.Lock()
	fact(&m.settling)
	now := m.settling.judge(c, time.Now())
	before := m.settled.Swap(now)
	m.mu.Unlock()
	if before == now {
		return
	}
	what := "mesh settled"
	if !now {
		what = "mesh is unsettled: seeds appeared"
	}
	m.journal.say(func(l *zerolog.Logger) { l.Info().Int("others", len(c.others)).Msg(what) })
	m.signal()
}

func (m *Mesh) settledForGood() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settling.done
}

// see counts the sighting of a trouble, and tells when one begins.
func (m *Mesh) see(what trouble) {
	if what.kind != kindBind && what.kind != kindFamily { // These are no packets.
		m.metrics.rejected.WithLabelValues(string(what.kind)).Inc()
	}
	if !what.kind.named() || !m.troubles.see(what, time.Now()) {
		return
	}
	m.journal.say(func(l *zerolog.Logger) { l.Warn().Str("reason", what.String()).Msg("gossip trouble") })
	m.signal()
}

// over ends troubles that something good disproves.
func (m *Mesh) over(who string, kinds ...kind) { m.ended(m.troubles.over(who, kinds...)) }

func (m *Mesh) ended(told []trouble) {
	for _, what := range told {
		m.journal.say(func(l *zerolog.Logger) { l.Info().Str("reason", what.String()).Msg("gossip trouble is over") })
	}
	if len(told) > 0 {
		m.signal()
	}
}

// tell logs a change of a member's state.
func (m *Mesh) tell(what, name string, addr netip.AddrPort) {
	m.journal.say(func(l *zerolog.Logger) { l.Info().Str("node", name).Stringer("addr", addr).Msg(what) })
}
