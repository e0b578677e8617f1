package forward

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/wake"
)

// Config of a node.
type Config struct {
	Self   string
	Timing Timing // zero: Times
}

// Timing is all durations and counts that decide.
type Timing struct {
	Every, Absent time.Duration // from one round to the next, and if the speaker is absent
	Wait          time.Duration // for an answer
	Rest          time.Duration // after a comparison that decided nothing
	Memory        time.Duration // for how long a report counts that is not repeated
	Testers       int           // of one node
	Copies        int           // of each question of a comparison
	Others        int           // nodes that are compared with
	Again         int           // rounds answered in a row until a node that drops forwards again
	Page          time.Duration // from one question for a page to the next, while the speaker is there
	Misses        int           // questions for a page in a row without an answer: kube-proxy is gone
	Unproved      time.Duration // for how long a speaker may be absent while nothing can be tested
}

// Memory is Timing.Memory of the standard timing.
const Memory = 5 * time.Second

// Times is the timing that speakers use.
func Times() Timing {
	return Timing{
		Every: time.Second, Absent: 500 * time.Millisecond, Wait: 200 * time.Millisecond, Rest: 5 * time.Second,
		Memory: Memory, Testers: 2, Copies: 8, Others: 2, Again: 3,
		Page: 10 * time.Second, Misses: 3, Unproved: 10 * time.Second,
	}
}

// The events of Step.
type (
	// World is what is known of the nodes and Services. The slices are kept.
	World struct {
		Networks []netip.Prefix // of this node
		Ready    bool           // this node may test others
		Proxy    bool           // kube-proxy of this node is up
		Nodes    []Node         // the others, sorted by name
		Places   []Place
	}
	// Reply says that a question was answered, and by which station.
	Reply struct {
		ID  uint64
		MAC string
	}
)

// Node is another node.
type Node struct {
	Name     string
	Networks []netip.Prefix   // that it speaks on, masked
	MACs     []string         // as net.HardwareAddr writes them
	Ready    bool             // it could own addresses
	Absent   bool             // its speaker is away: it tests nobody
	Drops    bool             // it says itself that it does not forward
	Holds    bool             // it announces an address at least
	Only     bool             // of these, one at least that no other node may announce
	Pages    []netip.AddrPort // where its kube-proxy may be asked
}

// Place is a port of a Service that can be asked for.
type Place struct {
	At    netip.AddrPort
	Owner string   // who announces the address
	Local []string // policy Local: the nodes that have an endpoint, sorted; nil: every node forwards
}

// Question is to begin a connection by way of a station. Questions with the same ID are one.
type Question struct {
	ID  uint64
	MAC string
	To  netip.AddrPort
}

// Report is what a test says of a node, to that node or to all. One without Other is about a node
// whose speaker is absent, and goes to all: its kube-proxy, at At, is gone, or without At, nothing
// of it can be tested.
type Report struct {
	About    string
	To       string // "" is every node
	First    bool   // it was not found before
	Forwards bool   // again
	At       netip.AddrPort
	Other    string // by which node At was answered
}

// Ready is what follows from the events up to now.
type Ready struct {
	Questions []Question
	Reports   []Report
	Wake      time.Time // call Ready again then; zero: not before the next event
}

// Machine tests nodes. It is not safe for concurrent use.
type Machine struct {
	cfg     Config
	world   World
	targets map[string]*target
	open    map[uint64]*ask // questions of the rounds that are under way
	last    uint64          // ID
	out     Ready
}

// New makes a machine that tests nobody.
func New(c Config) *Machine {
	if c.Timing == (Timing{}) {
		c.Timing = Times()
	}
	return &Machine{cfg: c, targets: map[string]*target{}, open: map[uint64]*ask{}}
}

// Step takes an event: a World or a Reply. What follows from it, Ready says.
func (m *Machine) Step(e any, now time.Time) {
	switch e := e.(type) {
	case World:
		m.world = e
		m.retarget(now)
	case Reply:
		if m.seen(e.ID, now) {
			return
		}
		if a := m.open[e.ID]; a != nil && now.Before(a.of.round.end) {
			m.count(a, m.routed(a, e.MAC))
		}
	}
}

// Ready returns what follows from the events and the time, and forgets it.
func (m *Machine) Ready(now time.Time) Ready {
	for _, name := range slices.Sorted(maps.Keys(m.targets)) {
		t := m.targets[name]
		if !t.left.IsZero() && !now.Before(t.left.Add(m.cfg.Timing.Memory)) {
			m.forget(t)
			continue
		}
		m.advance(t, now)
		m.repeat(t, now)
		m.out.Wake = wake.Earlier(m.out.Wake, t.wake())
	}
	out := m.out
	m.out = Ready{}
	return out
}

// advance ends the round of a target that is decided, and begins what is due.
func (m *Machine) advance(t *target, now time.Time) {
	if t.round.asking() && (t.round.decided() || !now.Before(t.round.end)) {
		m.conclude(t, now)
	}
	if !t.round.asking() && t.left.IsZero() && len(t.places) > 0 && !now.Before(t.next) {
		t.next = now.Add(m.pace(t))
		m.single(t, first, now)
	}
	m.look(t, now)
}

// conclude says what follows from a round: the table in the package comment.
func (m *Machine) conclude(t *target, now time.Time) {
	r := t.round
	m.close(t)
	switch {
	case r.own > 0:
		t.unproved = now
		m.answered(t)
	case t.drops != nil:
		t.streak = 0
	case r.routed > 0:
		t.tried = 0
	case r.step == first:
		m.single(t, second, now)
	case r.step == compare && r.proof(m.cfg.Timing.Copies) != nil:
		at := r.proof(m.cfg.Timing.Copies)
		t.drops, t.streak, t.say = &Report{About: t.Name, First: true, At: *at, Other: r.other.Name}, 0, now
	default:
		m.compare(t, now)
	}
}

// answered notes that a node forwards.
func (m *Machine) answered(t *target) {
	t.tried = 0
	if t.streak++; t.drops == nil || t.streak < m.cfg.Timing.Again {
		return
	}
	m.out.Reports = append(m.out.Reports, Report{About: t.Name, To: t.to(), Forwards: true})
	t.drops = nil
}

// repeat reports a node that drops as long as it does.
func (m *Machine) repeat(t *target, now time.Time) {
	if t.drops == nil || now.Before(t.say) {
		return
	}
	t.say = now.Add(m.pace(t))
	r := *t.drops
	r.To, t.drops.First = t.to(), false
	m.out.Reports = append(m.out.Reports, r)
}

// pace is the time from one round to the next.
func (m *Machine) pace(t *target) time.Duration {
	if t.Absent {
		return m.cfg.Timing.Absent
	}
	return m.cfg.Timing.Every
}
