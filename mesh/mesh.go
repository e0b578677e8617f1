// Package mesh knows which speakers are there. It wraps hashicorp/memberlist (SWIM with suspicion).
// Every member probes others and gossips what it finds, so all know of a silent death within about
// half a second, with no coordinator.
//
// # Members
//
// A member is named after its node and listens on one UDP and one TCP port. It says a few things
// about itself, [Meta], in at most 512 bytes that travel with its alive messages. memberlist calls
// us under its lock, so the callbacks copy what they get into a table of our own, raise
// [Mesh.Changed], and return. [Mesh.Members] reads that table. The dead stay in it for five
// minutes.
//
// A member that can do less than before (it drains, is not ready, lost a network) sends that to
// every other one directly, before gossip does. What a member says carries an epoch and a sequence
// number, so the newest counts, whichever way it came. A member that goes on purpose sends every
// other one a goodbye before memberlist's own Leave, since memberlist does not tell its users a
// leave from a death.
//
// # Times
//
// memberlist implements SWIM (Das, Gupta, Motivala, DSN 2002) with the suspicion of Lifeguard
// (Dadgar, Phillips, Currey, 2018). A suspicion lasts for the factor below times the probe interval
// times log10 of the members (at least 1). Unconfirmed it lasts longer.
//
//	[Detection]  probe every  timeout  factor  unconfirmed  gossip every  host watch every
//	fast         100 ms       40 ms    2       x 2          20 ms         30 ms
//	default      100 ms       40 ms    3       x 2          20 ms         40 ms
//	calm         1 s          450 ms   4       x 3          100 ms        500 ms
//
// A probe that fails is repeated by three other members, and by TCP. A rumor goes to three members
// at each tick, and each member passes it on 6 * log10(members + 1) times. Every 5 s a member
// exchanges all it knows with another one, in a large mesh less often. The dead hear gossip for 30
// s. A packet has at most 1,200 bytes.
//
// # Joining
//
// Seeds are the addresses of all nodes, asked for before every attempt. While the mesh has not
// settled it tries all of them every half second, later three missing ones every two seconds,
// forever: members that lost each other do not meet again by gossip alone once they have forgotten
// each other. Both pauses vary by a quarter, so that nodes that boot together do not keep step.
//
// # Settling
//
// [Mesh.Settled] turns true when the membership may be trusted for the first time, and stays true.
// Either others are alive and nobody came or went for 0.3 s, or for 1 s whoever came. Or every seed
// was tried and none answered for two seconds; one that has another gossip key has answered. Or
// this node is the only seed. It is false while another node of the same name was seen in the last
// 10 s. See settling.
//
// # Messages
//
// [Mesh.Send] sends what package peers has to say of a member that is silent on the wire to every
// other member directly. [Mesh.Messages] are those received. They change nothing about the members
// here.
//
// A direct message is a user message of memberlist: one encrypted datagram, sent once, not
// acknowledged. Its first byte says what it is. Numbers are big endian, a zero byte ends a name
// that something follows, and unknown messages are of a later release.
//
//	1 goodbye   order, sender                              it leaves
//	2 message   order, sender, about                       Suspect, or Refute where both are one
//	            ..., kind, other, address and port         what testers say, see peers.Message
//	3 metadata  sender, metadata                           urgent: it can do less than before
//
// Metadata are a version byte and fields: tag, length, value (the list is in metacodec.go). A field
// of an unknown tag is skipped. Any other mistake makes the whole a zero [Meta], and such a member
// is not ready.
//
// The order is 48 bits of an epoch, the start of the process in milliseconds since 1970, and 32
// bits of a sequence number. It is a field of the metadata as well. A message whose order is below
// the last one of its sender is dropped as old, so recorded messages say nothing.
//
// # Stopped processes
//
// When gossip declares a member dead, [Member.Listens] says whether the kernel of its host still
// accepts connections for it. If so, its process has not ended, see portProber. Package peers
// decides what that is worth.
//
// # Strangers
//
// Every message is encrypted with the first key of the keyring, is accepted with any of them, and
// carries the cluster's label. [Mesh.SetKeys] changes the keyring while the mesh runs. Messages
// with another label or key are dropped and counted. [Mesh.Conditions] and the metric
// starling_mesh_trouble name their sender, until a minute after the last one or until a good answer
// disproves it. None of this is fatal.
//
// Whoever has the key can make up members, and gossip would probe each of them in turn. So a member
// comes in only if [Config.Admit] knows its name. A member that was refused because its Node was
// just made is asked to join again within a second after the Node is known.
package mesh

import (
	"net/netip"
	"slices"
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
	cfg            Config
	table          *table
	conditions     conditions
	refusals       refusals
	messages       messages
	metrics        *metrics
	logs           *logQueue
	libraryLog     *libraryLog
	ring           *memberlist.Keyring // Nil: no encryption.
	changed        chan struct{}
	metaChanged    chan struct{}
	messagesQueued chan struct{}   // There are messages to send.
	declaredDead   chan deadMember // Members that gossip has just declared dead.
	rejoin         chan struct{}   // A refused member may come in by now.
	started        atomic.Bool
	settled        atomic.Bool
	running        atomic.Pointer[memberlist.Memberlist] // Nil before and after.
	seeds          atomic.Pointer[[]Seed]                // As the joiner last saw them; nil before.
	urgent         atomic.Bool                           // What changed in the own metadata goes out directly.

	saying sync.Mutex // Makes a change and its announcement to the others one step.

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
		c.listen = listenTransport
	}
	own := c.Bind
	if c.Advertise.IsValid() {
		own = c.Advertise
	}
	if c.Seeds == nil {
		c.Seeds = func() []Seed { return []Seed{{c.Name, own}} }
	}
	ring, err := newKeyring(c.Keys)
	if err != nil {
		return nil, err
	}
	m := &Mesh{
		cfg:            c,
		ring:           ring,
		logs:           newLogQueue(c.Log),
		changed:        make(chan struct{}, 1),
		metaChanged:    make(chan struct{}, 1),
		messagesQueued: make(chan struct{}, 1),
		declaredDead:   make(chan deadMember, portProbesAtOnce),
		rejoin:         make(chan struct{}, 1),
	}
	first := c.First
	first.Keys = m.fingerprints()
	m.table = newTable(c.Name, own, first.encode(), time.Now())
	m.libraryLog = newLibraryLog(m.see, m.logs)
	if m.metrics, err = newMetrics(c.Registry, m.table, &m.conditions); err != nil {
		return nil, err
	}
	return m, nil
}

// Members returns all members sorted by name, this node included, and those
// that died or left within the last five minutes. The copies are deep.
func (m *Mesh) Members() []Member { return m.table.list() }

// Settled reports whether the membership may be acted upon: see the package
// comment. It goes back to false in one case only: when it was true without
// a single seed known, not even this node's own, and seeds appear.
func (m *Mesh) Settled() bool { return m.settled.Load() }

// SetMeta changes what this member says of itself, its keys left out. The others learn it at once
// if it differs, and directly if it is bad news (see worse); Members shows at once what they will
// see.
func (m *Mesh) SetMeta(meta Meta) {
	m.saying.Lock()
	defer m.saying.Unlock()
	m.publish(meta)
}

// publish is called with m.saying locked.
func (m *Mesh) publish(meta Meta) {
	meta.Keys, meta.Addrs = m.fingerprints(), m.table.addrs()
	was, changed := m.table.setMeta(meta.encode())
	if worse(was, meta) {
		m.urgent.Store(true)
	}
	if changed {
		poke(m.metaChanged)
	}
}

// Conditions returns what a person should repair, sorted by their words: a gossip port in use,
// peers with another key or of another cluster, two nodes of one name, a firewall that stops UDP,
// two members with one MAC, members without a Node. What was not seen for a minute, or is disproved
// by a good answer, is over. There are 64 at most and one that says so: senders can be forged.
func (m *Mesh) Conditions() []health.Condition {
	return slices.Concat(m.conditions.report(time.Now()), m.table.sharedMACs(), m.nodeless())
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
	c := m.table.summary()
	m.mu.Lock()
	fact(&m.settling)
	now := m.settling.update(c, time.Now())
	before := m.settled.Swap(now)
	m.mu.Unlock()
	if before == now {
		return
	}
	what := "mesh settled"
	if !now {
		what = "mesh is unsettled: seeds appeared"
	}
	m.logs.put(func(l *zerolog.Logger) { l.Info().Int("others", len(c.others)).Msg(what) })
	m.signal()
}

func (m *Mesh) settledForGood() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settling.done
}

// see counts the sighting of a condition, and tells when one begins.
func (m *Mesh) see(what condition) {
	if what.kind != kindBind && what.kind != kindFamily { // These are no packets.
		m.metrics.rejected.WithLabelValues(string(what.kind)).Inc()
	}
	if !what.kind.named() || !m.conditions.see(what, time.Now()) {
		return
	}
	m.logs.put(func(l *zerolog.Logger) { l.Warn().Str("reason", what.String()).Msg("gossip problem") })
	m.signal()
}

// over ends conditions that something good disproves.
func (m *Mesh) over(who string, kinds ...kind) { m.ended(m.conditions.over(who, kinds...)) }

func (m *Mesh) ended(reported []condition) {
	for _, what := range reported {
		m.logs.put(func(l *zerolog.Logger) { l.Info().Str("reason", what.String()).Msg("gossip problem is over") })
	}
	if len(reported) > 0 {
		m.signal()
	}
}

// logMember logs a change of a member's state.
func (m *Mesh) logMember(what, name string, addr netip.AddrPort) {
	m.logs.put(func(l *zerolog.Logger) { l.Info().Str("node", name).Stringer("addr", addr).Msg(what) })
}
