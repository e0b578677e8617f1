package peers

import (
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/probe"
)

// maxWatched is how many hosts one node watches, whatever their number.
const maxWatched = 16

// watched are the members whose hosts this node is to watch, of all that gossip reaches or that are
// absent: those for whose name fewer than so many others on their networks rank higher.
func watched(members []Member, self string, own []netip.Prefix, watchers int) []string {
	var r []string
	for i := range members {
		m := &members[i]
		if m.Name == self || m.State != Alive && m.State != Absent || !Share(m.Networks, own) {
			continue
		}
		ranksHigher, higher := rankedAbove(self, m.Name), 0
		for j := range members {
			o := &members[j]
			if o.Name == self || i == j || o.State != Alive || !ranksHigher(o.Name) || !Share(o.Networks, m.Networks) {
				continue
			}
			if higher++; higher == watchers {
				break
			}
		}
		if higher < watchers && len(r) < maxWatched {
			r = append(r, m.Name)
		}
	}
	return r
}

// rankedAbove reports of others whether they rank higher than a node does for a name.
func rankedAbove(self, name string) func(other string) bool {
	mine := owner.ScoreKey(self, name)
	return func(other string) bool {
		score := owner.ScoreKey(other, name)
		return score > mine || score == mine && other < self
	}
}

// Share reports whether two nodes have a network in common.
func Share(a, b []netip.Prefix) bool {
	return slices.ContainsFunc(a, func(p netip.Prefix) bool { return slices.Contains(b, p) })
}

// fellows counts the nodes that have a network in common with a peer and may agree that it has
// died, this one included. If gossip loses it as well, who is cut off from all others may believe
// that alone. Of one that is absent gossip knows nothing: those that gossip does not reach count as
// well, since they may hear its host.
func (p *Peers) fellows(q *Peer, m *Member, list []Peer) int {
	n := 0
	if Share(p.me.Networks, m.Networks) {
		n++
	}
	for i := range list {
		if o := p.member(list[i].Name); o != nil && o.Name != m.Name && (o.State == Alive || q.State == Absent && list[i].State == Wire) && Share(o.Networks, m.Networks) {
			n++
		}
	}
	return n
}

// chooseWatched brings the watched hosts up to the members. Most steps change nothing of them.
func (p *Peers) chooseWatched(list []Peer, now time.Time) {
	members := p.withAbsent(list)
	if p.chosen == nil || !slices.Equal(p.chosenFor, p.me.Networks) || !slices.EqualFunc(p.chosen, members, func(a, b Member) bool {
		return a.Name == b.Name && a.State == b.State && slices.Equal(a.Networks, b.Networks)
	}) {
		p.chosen, p.chosenFor, p.ranked = members, p.me.Networks, watched(members, p.self, p.me.Networks, p.cfg.Timing.Watchers)
	}
	p.watches = slices.Concat(p.ranked, p.unwatched(list, now))
}

// unwatched are the absent peers whose hosts this node watches although others rank higher for
// that: none of these says that it does. They may take the peer for dead, which this node missed.
func (p *Peers) unwatched(list []Peer, now time.Time) (names []string) {
	for i := range list {
		q := &list[i]
		if q.State != Absent || slices.Contains(p.ranked, q.Name) || p.without(Unwatched) {
			continue
		}
		m := p.member(q.Name)
		if !Share(m.Networks, p.me.Networks) || slices.ContainsFunc(m.MissedBy, rankedAbove(p.self, q.Name)) {
			continue
		}
		if due := q.Since.Add(p.cfg.Timing.SuspectMemory); now.Before(due) {
			p.wakeAt(due)
		} else if len(p.ranked)+len(names) < maxWatched {
			names = append(names, q.Name)
		}
	}
	return names
}

// withAbsent is what gossip has of the members, with those that are absent as such.
func (p *Peers) withAbsent(list []Peer) []Member {
	members := p.gossip
	for i := range list {
		if q := &list[i]; q.State == Absent {
			if &members[0] == &p.gossip[0] {
				members = slices.Clone(members)
			}
			for j := range members {
				if members[j].Name == q.Name {
					members[j].State = Absent
				}
			}
		}
	}
	return members
}

// watchedAbsent are the absent peers whose hosts this node watches, sorted, but for those that it
// knows from others alone: nodes must not go on believing something because of each other.
func (p *Peers) watchedAbsent(list []Peer) (names []string) {
	for i := range list {
		q := &list[i]
		if q.State == Absent && (!p.absences[q.Name].reported || p.member(q.Name).Recalled) && slices.Contains(p.watches, q.Name) {
			names = append(names, q.Name)
		}
	}
	return names
}

// asker is the one that asks a question: hosts of absent peers are watched more closely.
func (p *Peers) asker(x probe.Question) *probe.Asker {
	if p.close.Asks(x) {
		return p.close
	}
	return p.own
}

// answer is what became of a question of this package.
func (p *Peers) answer(x probe.Question) probe.Answer {
	a, _ := p.asker(x).Answer(x)
	return a
}

// doubts reports whether a station that replied before has missed some questions, or one that never
// did so many that it is silent.
func (p *Peers) doubts(x probe.Question) bool {
	a := p.answer(x)
	return p.asker(x).Doubts(x) || a.Silent && a.Last.IsZero()
}

// hostProbes ask the kernel of a member's host for those of its addresses that are on networks of
// this node.
func (p *Peers) hostProbes(m *Member) []probe.Question {
	known := []netip.Addr{m.Addr.Addr()}
	for _, mac := range m.MACs {
		known = append(known, p.stations[mac].Addrs...)
	}
	var r []probe.Question
	for _, network := range p.me.Networks {
		if i := slices.IndexFunc(known, network.Contains); i >= 0 {
			for _, mac := range m.MACs {
				r = append(r, probe.Question{IP: known[i], MAC: mac, Host: true})
			}
		}
	}
	return r
}

// speakerProbes ask at each MAC whether a speaker is there.
func speakerProbes(macs []string) []probe.Question {
	r := make([]probe.Question, len(macs))
	for i, mac := range macs {
		r[i] = probe.Question{MAC: mac}
	}
	return r
}

// watchResult of several probes to one node.
type watchResult uint8

const (
	open    watchResult = iota // nothing is certain yet
	silent                     // nobody replies
	present                    // somebody does
)

// watchResultOf sums up the answers to probes: one reply is enough to be present, and all must be
// silent for silence.
func (p *Peers) watchResultOf(probes []probe.Question) watchResult {
	mute := 0
	for _, x := range probes {
		switch a := p.answer(x); {
		case a.Silent:
			mute++
		case !a.Last.IsZero():
			return present
		}
	}
	if mute < len(probes) || mute == 0 {
		return open
	}
	return silent
}

// replied are the probes that were ever replied to.
func (p *Peers) replied(probes []probe.Question) []probe.Question {
	return slices.DeleteFunc(slices.Clone(probes), func(x probe.Question) bool {
		return p.answer(x).Last.IsZero()
	})
}
