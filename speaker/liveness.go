package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

// onWire is the state of a member that gossip does not reach (dead, gone or
// never met) and whose speaker is there all the same: it answers on the wire. It
// stays in the electorate, so that all sides of a blocked gossip elect as before.
const onWire mesh.State = "wire"

// doubt is how long a member that gossip has just given up counts as alive while
// the wire has not said anything. The wire needs 75 ms; this is for when it
// cannot say anything at all.
const doubt = 200 * time.Millisecond

// reprieve is how long a member that gossip has just given up counts as alive
// whose speaker is silent on the wire, while its gossip port is open: its
// process is stopped or gets no processor. It is about as long as gossip needs
// for a death, and both together are as much as clients bear.
const reprieve = 400 * time.Millisecond

// The words that speakers answer on the wire when asked whether they are there,
// see Company.Say in arpd. Who may own nothing, or is leaving, does not answer.
const (
	sayInTouch uint8 = 1 + iota
	sayUnsure
	sayOutOfTouch
	sayReturning = 3 // is added to one of those
)

// say is what this node answers.
func say(m mesh.Meta, fit bool) uint8 {
	if !m.Ready || m.Draining || !fit {
		return 0
	}
	word := sayInTouch
	switch {
	case m.APIAge >= outOfTouch:
		word = sayOutOfTouch
	case m.APIAge >= unsure:
		word = sayUnsure
	}
	if m.Returning {
		word += sayReturning
	}
	return word
}

// said puts the word of an answer into the metadata of a member.
func said(m mesh.Meta, word uint8) mesh.Meta {
	m.Ready, m.Draining, m.Returning = true, false, word > sayReturning
	switch (word-1)%sayReturning + 1 {
	case sayUnsure:
		m.APIAge = unsure
	case sayOutOfTouch:
		m.APIAge = outOfTouch
	default:
		m.APIAge = inTouch
	}
	return m
}

// testimony is what the wire says of a node.
type testimony int

const (
	unheard testimony = iota // nothing yet
	silent                   // nobody is there
	present
)

// testify sums up the answers of all interfaces of a node: one is enough.
func testify(wire arpd.State, macs []string, now time.Time) (testimony, uint8) {
	asked := 0
	for _, mac := range macs {
		a, ok := wire.Answers[arpd.Question{MAC: mac}]
		s := wire.Speakers[mac]
		switch {
		case s.Say == 0:
		case ok && !a.Silent && !a.Last.IsZero(), now.Sub(s.Last) < doubt:
			return present, s.Say
		}
		if ok && a.Silent {
			asked++
		}
	}
	if asked == len(macs) {
		return silent, 0
	}
	return unheard, 0
}

// stations lists the MACs of every node by its name, sorted.
func stations(names map[string]string) map[string][]string {
	r := make(map[string][]string)
	for mac, name := range names {
		r[name] = append(r[name], mac)
	}
	for _, macs := range r {
		slices.Sort(macs)
	}
	return r
}

// judge joins what gossip says of the members with what the wire says.
//
//	gossip     the wire         its port   ->
//	alive      (not asked)      (unasked)  alive
//	dead       present          any        on the wire, as the answer says
//	dead       nothing yet      not open   on the wire for a moment (doubt), if it was ready
//	dead       nothing, silent  open       on the wire for longer (reprieve), if it was ready
//	dead       silent           not open   dead
//	left       present          (unasked)  on the wire: it is back, and gossip is blocked
//	never met  present          (unasked)  on the wire, on the networks of this node
//
// The third and the fourth are for members only that were not dead in this
// node's eyes before (the map dead): whose host fell silent on the wire, and
// who was given up before the answer of the port came, has no moment more. All
// members ask the same port at the same time, so they judge alike; where a
// firewall is between some of them, the wire has the last word as ever.
//
// A member without a MAC, of an earlier release, cannot be asked.
func judge(members []mesh.Member, names map[string]string, wire arpd.State, own []netip.Prefix, dead map[string]bool, now time.Time) []mesh.Member {
	at := stations(names)
	out := slices.Clone(members)
	for i := range out {
		m := &out[i]
		macs := at[m.Name]
		delete(at, m.Name)
		if m.State == mesh.Alive || len(macs) == 0 {
			continue
		}
		switch t, word := testify(wire, macs, now); {
		case t == present:
			m.State, m.Meta = onWire, said(m.Meta, word)
		case m.State == mesh.Dead && !dead[m.Name] && m.Meta.Ready && !m.Meta.Draining && now.Sub(m.Since) < mercy(t, m.Listens):
			m.State = onWire
		}
	}
	for name, macs := range at {
		if t, word := testify(wire, macs, now); t == present {
			out = append(out, mesh.Member{Name: name, State: onWire, Meta: said(mesh.Meta{Segments: own, MACs: macs}, word)})
		}
	}
	slices.SortFunc(out, func(a, b mesh.Member) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// mercy is how long a member that gossip has just given up counts as alive.
func mercy(t testimony, listens bool) time.Duration {
	switch {
	case listens:
		return reprieve
	case t == unheard:
		return doubt
	}
	return 0
}

// unknownMost is how many stations that nobody knows are asked at a time.
const unknownMost = 64

// questions are what the wire is to be asked: the nodes that gossip does not
// reach, at each of their MACs; unknown stations that announce addresses; and,
// while this node is not ready or meets nobody by gossip, everybody.
func (w *world) questions(self string) []arpd.Question {
	live := map[string]bool{self: true}
	ask, met := map[string]bool{}, false
	for _, m := range w.gossip {
		if m.State == mesh.Alive {
			met = met || m.Name != self
			live[m.Name] = true
		}
	}
	for _, m := range w.gossip {
		if m.State == mesh.Dead {
			for _, mac := range m.Meta.MACs {
				ask[mac] = true
			}
		}
	}
	for mac := range w.wire.Speakers {
		ask[mac] = true
	}
	for mac := range ask {
		if live[w.names[mac]] {
			delete(ask, mac)
		}
	}
	unknown := map[string]bool{}
	for _, mac := range w.wire.Heard {
		if w.names[mac] == "" && len(unknown) < unknownMost {
			unknown[mac] = true
		}
	}
	var r []arpd.Question
	for _, set := range []map[string]bool{ask, unknown} {
		for mac := range set {
			r = append(r, arpd.Question{MAC: mac})
		}
	}
	only := len(w.cluster.Nodes) == 1 && w.cluster.Nodes[0].Name == self
	if len(macs(w.wire)) > 0 && (len(w.reasons) > 0 || !met && !only) {
		r = append(r, arpd.Question{MAC: arpd.Everybody})
	}
	return r
}

// calling is why a node that has not yet asked everybody on the wire, and waited
// for the answers, is not ready: it may be alone in the mesh and not on the wire.
const calling = "asking the wire who is there"

// blocked says in words which members are alive on the wire only. As long as one
// that gossip has just given up may have but a moment more, that is all there is to say.
func blocked(gossip, members []mesh.Member, now time.Time) []string {
	known := make(map[string]mesh.Member, len(gossip))
	for _, m := range gossip {
		known[m.Name] = m
	}
	var r []string
	for _, m := range members {
		if m.State != onWire {
			continue
		}
		k, port := known[m.Name], ""
		if k.State == mesh.Dead && now.Sub(k.Since) < reprieve {
			r = append(r, fmt.Sprintf("gossip has just given up %s; it has a moment to object", m.Name))
			continue
		}
		if k.Addr.IsValid() {
			port = fmt.Sprintf(" on %d", k.Addr.Port())
		}
		r = append(r, fmt.Sprintf("gossip to %s%s is blocked; %s is alive on the wire", m.Name, port, m.Name))
	}
	return r
}

// healed counts the members that were dead as of the last turn and are back, and
// returns how many are dead since then.
func (s *Speaker) healed(members []mesh.Member) (deaths int) {
	dead := map[string]bool{}
	for _, m := range members {
		switch {
		case m.State == mesh.Dead:
			dead[m.Name] = true
			if !s.dead[m.Name] {
				deaths++
			}
		case reachable(m) && s.dead[m.Name]:
			s.heals++
		}
	}
	s.dead = dead
	return deaths
}

// company is what the wire is to know of the other nodes, and to ask them.
func (s *Speaker) company(w *world) arpd.Company {
	for _, m := range w.gossip {
		for _, d := range []time.Duration{doubt, reprieve} {
			if end := m.Since.Add(d); m.State == mesh.Dead && w.now.Before(end) {
				w.wake = earlier(w.wake, end)
			}
		}
	}
	w.wake = earlier(w.wake, w.due)
	s.metrics.deaths.Add(float64(s.healed(w.members)))
	return arpd.Company{
		Pace:  s.cfg.Pace,
		Heals: s.heals,
		Peers: peers(w.names, s.cfg.Node),
		Ask:   append(w.questions(s.cfg.Node), w.ask...),
		Say:   say(w.meta, !s.barred(w)),
	}
}

// barred tells whether Kubernetes does not want this node to announce.
func (s *Speaker) barred(w *world) bool {
	return slices.ContainsFunc(w.cluster.Nodes, func(n watcher.Node) bool {
		return n.Name == s.cfg.Node && barred(n, s.cfg.IgnoreExclude) != ""
	})
}
