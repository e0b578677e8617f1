package peers

import (
	"cmp"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/probe"
	"github.com/starling-lb/starling/wake"
)

// Peers is the machine. It is not safe for concurrent use.
type Peers struct {
	cfg  Config
	self string

	// What it was given.
	met      []Member // all that gossip has
	gossip   []Member // of these, peers: see admit
	nodes    []Node
	me       Self
	stations map[string]Station // by MAC

	own          *probe.Asker // what this package wants to know
	close        *probe.Asker // the same of hosts whose speakers are away, and of all stations while every peer is dead
	asked        *probe.Asker // what the caller does
	names        map[string]string
	chosen       []Member // what watches was chosen from
	chosenFor    []netip.Prefix
	ranked       []string                        // hosts that this node is one of the watchers of
	watches      []string                        // hosts that it watches
	suspicions   map[string]*suspicion           // of this node, by suspect
	suspected    map[string]map[string]time.Time // by others: when each said so last, by suspect
	refuted      map[string]time.Time            // when each last did
	lost         map[string]time.Time            // dead against the word of gossip, since then
	dead         map[string]bool                 // as of the last evaluation
	ready        map[string]*Word                // of peers that could own addresses, the same
	absences     map[string]*absence             // of peers that are absent
	known        map[string]bool                 // peers that were ready, or whose absence has ended
	stopped      time.Time                       // end of the last stop of this process
	ran          time.Time                       // when it did something last
	due          time.Time                       // when it is to at the latest; zero: at once
	drops        map[string]map[string]drop      // by node and tester
	ownSuspicion ownSuspicion
	contact      contact
	touch        Contact // its value
	hold         hold
	cutOff       bool
	heals        int
	discovered   bool

	dirty bool
	wake  time.Time // by time alone
	last  Snapshot
	out   Ready
}

// New makes a machine that knows nobody.
func New(c Config) *Peers {
	c.Timing = cmp.Or(c.Timing, Times())
	return &Peers{
		cfg: c, self: c.Self, own: probe.NewAsker(c.Rhythms), close: probe.NewAsker(c.Rhythms.Closer()), asked: probe.NewAsker(c.Rhythms), hold: newHold(&c.Timing, c.LastReturn), contact: contact{times: &c.Timing},
		stations: map[string]Station{}, suspicions: map[string]*suspicion{}, suspected: map[string]map[string]time.Time{},
		refuted: map[string]time.Time{}, lost: map[string]time.Time{}, dead: map[string]bool{}, ready: map[string]*Word{}, absences: map[string]*absence{}, known: map[string]bool{}, drops: map[string]map[string]drop{}, names: map[string]string{},
	}
}

// Step takes an event. What follows from it, Ready says.
func (p *Peers) Step(e Event, now time.Time) {
	p.run(now)
	switch e := e.(type) {
	case Gossip:
		p.met = e
		p.admit()
	case Nodes:
		if !reflect.DeepEqual([]Node(e), p.nodes) {
			p.nodes, p.dirty = e, true
			p.admit()
		}
	case Self:
		p.become(e, now)
	case Wanted:
		p.asked.Set(e, p.cfg.Pace, now)
	case probe.Reply:
		p.reply(e, now)
	case probe.Located:
		if s, known := p.stations[e.MAC]; known && len(s.Addrs) == 0 {
			s.Addrs, p.dirty = e.Addrs, true
			p.stations[e.MAC] = s
		}
	case Message:
		p.dirty = p.hear(e, now) || p.dirty
	}
}

// run notes that this process runs, and whether it was stopped before: then it comes later than it
// was to. If that is longer than the grace, peers have its addresses: like a start, the end of that
// is a return.
func (p *Peers) run(now time.Time) {
	if late := !p.due.IsZero() && now.Sub(p.due) >= p.cfg.Timing.Late; late {
		p.stopped, p.dirty = now, true
		if now.Sub(p.ran) >= p.cfg.Grace {
			p.hold.fit = false
		}
	}
	p.due, p.ran = time.Time{}, now
}

// admit makes those members peers that Kubernetes has a Node for.
func (p *Peers) admit() {
	all := p.met
	if len(p.nodes) > 0 && !p.without(NodeNamed) {
		named := make(map[string]bool, len(p.nodes))
		for i := range p.nodes {
			named[p.nodes[i].Name] = true
		}
		if without := func(m Member) bool { return m.Name != p.self && !named[m.Name] }; slices.ContainsFunc(all, without) {
			all = slices.DeleteFunc(slices.Clone(all), without)
		}
	}
	if !reflect.DeepEqual(all, p.gossip) {
		p.rejoined(all)
		p.gossip, p.dirty = all, true
	}
}

// become takes what this node is. The time of the last contact counts by what follows from it
// alone.
func (p *Peers) become(me Self, now time.Time) {
	touch := p.contact.at(now, me.Contact)
	before := p.me
	p.me, before.Contact = me, me.Contact
	p.dirty = p.dirty || touch != p.touch || !reflect.DeepEqual(before, me)
	p.touch = touch
}

// maxRest is the longest time between two evaluations: for what ends by time alone and does not
// hurry, as stations that are forgotten, and so that a stop of the process is noticed.
const maxRest = time.Second

// rejoined forgets what was said of members that gossip has again.
func (p *Peers) rejoined(members []Member) {
	for i := range members {
		if old := p.member(members[i].Name); members[i].State == Alive && (old == nil || old.State != Alive) {
			delete(p.suspected, members[i].Name)
		}
	}
}

// Ready returns what follows from the events and the time, and forgets it.
func (p *Peers) Ready(now time.Time) Ready {
	p.run(now)
	send, _, known := p.own.Next(now)
	closely, _, closer := p.close.Next(now)
	send = append(send, closely...)
	if known || closer || p.dirty || !p.wake.IsZero() && !now.Before(p.wake) {
		p.update(now)
		for _, a := range []*probe.Asker{p.own, p.close} {
			fresh, _, _ := a.Next(now) // new questions
			send = append(send, fresh...)
		}
	}
	wanted, _, known := p.asked.Next(now)
	p.out.Changed = p.out.Changed || known
	out := p.out
	out.Probes = append(send, wanted...)
	out.Wake = wake.Earlier(wake.Earlier(p.wake, p.close.Wake()), wake.Earlier(p.own.Wake(), p.asked.Wake()))
	p.out, p.due = Ready{}, out.Wake
	return out
}

// Snapshot returns what is believed, as of the last call of Ready.
func (p *Peers) Snapshot() Snapshot { return p.last }

// Answers are what became of the probes that the caller wanted.
func (p *Peers) Answers() map[probe.Question]probe.Answer { return p.asked.Answers() }

// without reports whether a row of the table is left out.
func (p *Peers) without(row Rows) bool { return p.cfg.Without&row != 0 }

// update evaluates anew.
func (p *Peers) update(now time.Time) {
	p.dirty, p.wake = false, now.Add(maxRest)
	p.forgetStations(now)
	p.names = p.nameMACs()
	list := p.evaluate(now)
	probes, closely := p.hostWatch(list, now)
	if cutOff(list, p.cutOff, 1) {
		closely = append(closely, probe.Question{MAC: probe.Everybody})
	}
	p.own.Set(append(probes, p.presenceProbes()...), p.cfg.Pace, now)
	p.close.Set(closely, p.cfg.Rhythms.Close.Steady, now)
	p.noteMoves(list, now)
	p.remember(list)
	p.count(list)
	p.forgetGone(list)
	p.evaluateSelf(list, now)
	_, recent := p.hold.recent(now)
	next := Snapshot{
		Peers: list, Names: p.names, Unnamed: p.unnamed(), Returning: p.hold.Held(now) || p.cutOff, Until: p.hold.Until, Recent: recent,
		Held: p.held(), Drops: p.dropped(p.self, now), Absent: p.watchedAbsent(list), Contact: p.touch, Discovered: p.discovered, Heals: p.heals, Return: p.hold.Return,
	}
	if !reflect.DeepEqual(next, p.last) {
		p.last, p.out.Changed = next, true
	}
}

// evaluateSelf finds what this node is to its peers.
func (p *Peers) evaluateSelf(list []Peer, now time.Time) {
	if a, _ := p.own.Answer(probe.Question{MAC: probe.Everybody}); a.Silent {
		p.discovered = true
	}
	was := p.cutOff
	if p.cutOff = cutOff(list, was, p.cfg.Timing.CutOff); p.cutOff && !was {
		p.note(p.self, CutOff)
	}
	steady, long := false, false
	for i := range list {
		if q := &list[i]; q.State.Owns() && q.Word.Ready && !q.Word.Draining && !q.Word.Returning && !q.Word.NoProxy {
			steady, long = true, long || !q.Word.Recent
		}
	}
	before := p.hold.Return
	returning, fresh, over := p.hold.returning(now, status{
		fit: p.me.Fit && !p.me.Behind && !p.cutOff, steady: steady, long: long, kept: p.kept(), synced: p.me.Synced, asked: p.me.Asked, cordon: p.me.Cordoned,
	})
	if fresh {
		p.note(p.self, Returned)
	}
	switch {
	case over:
		p.note(p.self, Released)
	case !fresh && before.Until.Before(p.hold.Until):
		p.note(p.self, Prolonged)
	}
	if returning {
		p.wakeAt(p.hold.Until)
	}
	if until, recent := p.hold.recent(now); recent {
		p.wakeAt(until)
	}
}

// count notes the peers that died since the last evaluation, and those that are back.
func (p *Peers) count(list []Peer) {
	dead := map[string]bool{}
	for i := range list {
		switch q := &list[i]; {
		case q.State == Dead:
			dead[q.Name] = true
			if !p.dead[q.Name] {
				p.note(q.Name, Gone)
			}
		case q.State.Owns() && p.dead[q.Name]:
			p.heals++
		}
	}
	p.dead = dead
}

// forgetGone keeps nothing about members that are no longer peers: gossip forgets members that died
// long ago.
func (p *Peers) forgetGone(list []Peer) {
	named := make(map[string]bool, len(list))
	for i := range list {
		named[list[i].Name] = true
	}
	keepOnly(p.suspicions, named)
	keepOnly(p.suspected, named)
	keepOnly(p.refuted, named)
	keepOnly(p.lost, named)
	keepOnly(p.absences, named)
	keepOnly(p.known, named)
	named[p.self] = true
	keepOnly(p.drops, named)
}

func keepOnly[V any](m map[string]V, names map[string]bool) {
	maps.DeleteFunc(m, func(name string, _ V) bool { return !names[name] })
}

// member is what gossip has of a peer; nil: nothing.
func (p *Peers) member(name string) *Member {
	i, known := slices.BinarySearchFunc(p.gossip, name, func(m Member, n string) int { return strings.Compare(m.Name, n) })
	if !known {
		return nil
	}
	return &p.gossip[i]
}

func (p *Peers) note(peer string, what What) { p.out.Notes = append(p.out.Notes, Note{peer, what}) }

// wakeAt makes Ready due then at the latest.
func (p *Peers) wakeAt(t time.Time) { p.wake = wake.Earlier(p.wake, t) }
