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

// Config of a node.
type Config struct {
	Self string
	// Grace is for how long others keep this node's addresses for it while its speaker is away; 0: they
	// do not.
	Grace time.Duration
	// Pace lies between two probes of the host watch; 0: no host is watched.
	Pace time.Duration
	// LastReturn is of an earlier process of this node that ended without being asked to.
	LastReturn Return
	Rhythms    probe.Rhythms // of the questions
	Timing     Timing        // zero: Times
	Without    Rows          // of the table in the package comment: what they say does not happen
}

// Self is what this node is, as far as it matters to its peers.
type Self struct {
	Networks []netip.Prefix // that it speaks on, sorted
	MACs     []string       // of its interfaces, sorted
	Fit      bool           // it could own addresses
	Behind   bool           // its kube-proxy is missing: like a return when it ends
	Only     bool           // Kubernetes knows no other node
	Contact  time.Time      // when the API server was last heard
	Cordoned bool           // Kubernetes is to put nothing on it
	Asked    string         // how somebody asks for the end of a hold, by a new value; "" nobody ever did
	Synced   bool           // that is as Kubernetes has it
}

// The events of Step. The sets are whole.
type (
	// Gossip is all members that gossip has, sorted by name; the slice is kept.
	Gossip []Member
	// Nodes are those of Kubernetes; the slice is kept.
	Nodes []Node
	// Wanted are the probes that the caller wants beside those of this package.
	Wanted []probe.Question
)

// Event is one of those above, a [Self], a [Message], a [probe.Reply] or a [probe.Located].
type Event any

// Note is something that a person may want to know of, for logs and metrics.
type Note struct {
	Peer string
	What What
}

// What a note is about.
type What string

// The notes.
const (
	Silent    What = "host is silent"                                                     // the host watch suspects it
	Accused   What = "a peer suspects us"                                                 // the peer is who does
	Died      What = "peer declared dead: no reply by ARP or neighbor discovery"          // against the word of gossip
	Revived   What = "peer alive again"                                                   // the end of that
	Gone      What = "dead"                                                               // it counts as dead from now on, for whatever reason
	Away      What = "its speaker is away"                                                // it is absent from now on
	Failed    What = "its speaker is away and it does not forward, so its addresses move" // its absence ends
	Late      What = "its speaker was not back in time, so its addresses move"            // its absence has ended
	Lost      What = "its host is gone as well as its speaker, so its addresses move"     // the same
	Returned  What = "this node has come back"                                            // the peer is this node
	Released  What = "the hold-down of this node ends before its time"                    // the same
	Prolonged What = "the hold-down of this node goes on until it is uncordoned"          // the same
	CutOff    What = "this node hears no peers"                                           // the same
)

// Ready is what follows from the events up to now.
type Ready struct {
	Probes   []probe.Question // to send now
	Messages []Message        // to send to every peer
	Notes    []Note
	Changed  bool      // Snapshot is not what it was
	Wake     time.Time // call Ready again then; zero: not before the next event
}

// Snapshot is what is believed. It is never changed once it was given away.
type Snapshot struct {
	Peers      []Peer            // sorted by name, without this node
	Names      map[string]string // node by MAC, this node's included
	Unnamed    []string          // MACs at which a speaker replied that is of no node known, sorted
	Returning  bool              // this node is, or will be as soon as somebody hears it: it is cut off
	Until      time.Time         // end of that
	Recent     bool              // it came back less than Timing.Recent ago
	Held       bool              // a peer takes this node for absent
	Drops      []Message         // of testers that say this node does not forward, sorted by tester
	Absent     []string          // peers that are, and whose hosts this node watches, sorted
	Contact    Contact           // of this node with the API server
	Discovered bool              // every station of the networks was asked, and had time to reply
	Heals      int               // grows when neighbors may have been told of another owner
	Return     Return            // the last one of this node
}

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

	own        *probe.Asker // what this package wants to know
	close      *probe.Asker // the same of hosts whose speakers are away
	asked      *probe.Asker // what the caller does
	names      map[string]string
	chosen     []Member // what watches was chosen from
	chosenFor  []netip.Prefix
	watches    []string                        // hosts that this node watches
	suspicions map[string]*suspicion           // of this node, by suspect
	suspected  map[string]map[string]time.Time // by others: when each said so last, by suspect
	refuted    map[string]time.Time            // when each last did
	lost       map[string]time.Time            // dead against the word of gossip, since then
	dead       map[string]bool                 // as of the last evaluation
	ready      map[string]*Word                // of peers that could own addresses, the same
	absences   map[string]*absence             // of peers that are absent
	known      map[string]bool                 // peers that were ready, or whose absence has ended
	stopped    time.Time                       // end of the last stop of this process
	ran        time.Time                       // when it did something last
	due        time.Time                       // when it is to at the latest; zero: at once
	drops      map[string]map[string]drop      // by node and tester
	accused    accusation
	contact    contact
	touch      Contact // its value
	hold       hold
	cutOff     bool
	heals      int
	discovered bool

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

// run notes that this process runs, and whether it was stopped before: then it comes later than it was
// to. If that is longer than the grace, peers have its addresses: like a start, the end of that is a
// return.
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

// become takes what this node is. The time of the last contact counts by what follows from it alone.
func (p *Peers) become(me Self, now time.Time) {
	touch := p.contact.at(now, me.Contact)
	before := p.me
	p.me, before.Contact = me, me.Contact
	p.dirty = p.dirty || touch != p.touch || !reflect.DeepEqual(before, me)
	p.touch = touch
}

// maxRest is the longest time between two evaluations: for what ends by time alone and does not hurry,
// as stations that are forgotten, and so that a stop of the process is noticed.
const maxRest = time.Second

// rejoined forgets what was said of members that gossip has again.
func (p *Peers) rejoined(members []Member) {
	for i := range members {
		if old := p.member(members[i].Name); members[i].State == Alive && (old == nil || old.State != Alive) {
			delete(p.suspected, members[i].Name)
		}
	}
}

const (
	// stationMemory is how long a station is remembered after its last reply.
	stationMemory = 5 * time.Minute
	// maxStations bounds the memory: replies can be forged.
	maxStations = 1024
)

// reply notes a reply of a station.
func (p *Peers) reply(r probe.Reply, now time.Time) {
	p.dirty = p.own.Heard(r.Question, now) || p.dirty
	p.dirty = p.close.Heard(r.Question, now) || p.dirty
	p.out.Changed = p.asked.Heard(r.Question, now) || p.out.Changed
	if r.Kind() != probe.Speaker {
		return
	}
	was, known := p.stations[r.MAC]
	if !known && len(p.stations) >= maxStations {
		return
	}
	is := Station{Addrs: was.Addrs, Node: r.Node, Code: r.Word, Last: now}
	if len(r.Addrs) > 0 {
		is.Addrs = r.Addrs
	}
	p.stations[r.MAC] = is
	p.dirty = p.dirty || !known || was.Code != is.Code || was.Node != is.Node || !slices.Equal(was.Addrs, is.Addrs)
}

// Ready returns what follows from the events and the time, and forgets it.
func (p *Peers) Ready(now time.Time) Ready {
	p.run(now)
	send, _, verdict := p.own.Next(now)
	closely, _, doubt := p.close.Next(now)
	send = append(send, closely...)
	if verdict || doubt || p.dirty || !p.wake.IsZero() && !now.Before(p.wake) {
		p.evaluate(now)
		for _, a := range []*probe.Asker{p.own, p.close} {
			fresh, _, _ := a.Next(now) // new questions
			send = append(send, fresh...)
		}
	}
	wanted, _, verdict := p.asked.Next(now)
	p.out.Changed = p.out.Changed || verdict
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

// LastReply is when a node's speaker last replied on the wire; zero: never.
func (p *Peers) LastReply(name string) (last time.Time) {
	for mac, s := range p.stations {
		if p.names[mac] == name && s.Last.After(last) {
			last = s.Last
		}
	}
	return last
}

// without reports whether a row of the table is left out.
func (p *Peers) without(row Rows) bool { return p.cfg.Without&row != 0 }

// evaluate judges anew.
func (p *Peers) evaluate(now time.Time) {
	p.dirty, p.wake = false, now.Add(maxRest)
	for mac, s := range p.stations {
		if now.Sub(s.Last) > stationMemory {
			delete(p.stations, mac)
		}
	}
	p.names = p.nameMACs()
	list := p.judge(now)
	probes, closely := p.hostWatch(list, now)
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

// evaluateSelf judges what this node is to its peers.
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

// forgetGone keeps nothing about who is no peer any more: gossip forgets members that died long ago.
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

// presenceProbes ask for the speakers that gossip does not reach, and, while this node is not fit or
// meets nobody by gossip, for all.
func (p *Peers) presenceProbes() []probe.Question {
	live := map[string]bool{p.self: true}
	macs, met := map[string]bool{}, false
	for i := range p.gossip {
		m := &p.gossip[i]
		switch {
		case m.State == Alive:
			met = met || m.Name != p.self
			live[m.Name] = true
		case m.State == Dead:
			for _, mac := range m.MACs {
				macs[mac] = true
			}
		}
	}
	for mac := range p.stations {
		macs[mac] = true
	}
	var r []probe.Question
	for mac := range macs {
		if !live[p.names[mac]] {
			r = append(r, probe.Question{MAC: mac})
		}
	}
	if len(p.me.MACs) > 0 && (!p.me.Fit || !met && !p.me.Only) {
		r = append(r, probe.Question{MAC: probe.Everybody})
	}
	return r
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
