package speaker

import (
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
)

// The wire watch notices a silent death before gossip does, which must allow for
// processes that are slow. A kernel is not, so it is asked instead:
//
//  1. Every member is watched by the three others on its networks that rank
//     highest for its name. They ask the kernel of its host again and again. Who
//     never answers such a question (a firewall, another release) is not watched.
//
//  2. A watcher whose questions are not answered any more raises the alarm: it
//     tells all members. A member that hears that it was accused objects.
//
//  3. Who hears an alarm asks the accused itself, its kernel and its speaker. It is
//     given up when both are silent and a second witness is, so that a node which
//     hears nobody gives up nobody:
//
//     network of the accused            ->
//     shared, this node hears it         alive
//     shared, this node hears nothing    given up, if one other raised the alarm
//     shared, there is no third node     given up
//     another one                        given up, if two others raised the alarm
//
//  4. It is back when it answers or objects. From the moment that gossip gives it
//     up as well, judge has the say.
//
// A wrong alarm (a machine paused for long, frames lost in one direction) thus
// ends as a wrong word of gossip does: the two nodes hear each other, and one
// gives way. The accused announces its addresses again in any case, because
// neighbours may have been told otherwise.
const (
	// watchers is how many watch one member.
	watchers = 3
	// wardsMost is how many members one node watches, whatever their number.
	wardsMost = 16
	// alarmTimes is how often an alarm is raised, at pauses that begin with
	// alarmPause and double: messages may be lost, and a link that is back soon
	// lets the accused hear one.
	alarmTimes = 5
	alarmPause = 50 * time.Millisecond
	// accusedAnew is the least time between two accusations of which both count:
	// an alarm is raised several times.
	accusedAnew = time.Second
	// gossipMost is how long a member is given up against the word of gossip,
	// which should have found the same by then.
	gossipMost = 10 * time.Second
)

// vigil is what a node knows of the members that it watches.
type vigil struct {
	seen    []mesh.Member  // of which the wards were chosen
	own     []netip.Prefix // networks of this node
	wards   []string
	asked   map[string][]arpd.Question // the kernels of the wards
	raised  map[string]*alarm          // by this node
	lost    map[string]time.Time       // members given up, and when
	accused time.Time                  // when this node was
}

// wardsOf are the members that self is to watch, of all that gossip reaches.
func wardsOf(members []mesh.Member, self string, own []netip.Prefix) []string {
	var r []string
	for _, m := range members {
		if m.Name == self || m.State != mesh.Alive || !share(m.Meta.Segments, own) {
			continue
		}
		mine, higher := owner.ScoreKey(self, m.Name), 0
		for _, o := range members {
			if o.Name == self || o.Name == m.Name || o.State != mesh.Alive {
				continue
			}
			if s := owner.ScoreKey(o.Name, m.Name); (s > mine || s == mine && o.Name < self) && share(o.Meta.Segments, m.Meta.Segments) {
				if higher++; higher == watchers {
					break
				}
			}
		}
		if higher < watchers && len(r) < wardsMost {
			r = append(r, m.Name)
		}
	}
	return r
}

// share tells whether two nodes have a network in common.
func share(a, b []netip.Prefix) bool {
	return slices.ContainsFunc(a, func(p netip.Prefix) bool { return slices.Contains(b, p) })
}

func newVigil() vigil {
	return vigil{asked: map[string][]arpd.Question{}, raised: map[string]*alarm{}, lost: map[string]time.Time{}}
}

// choose brings the wards up to the members. Most turns change nothing of them.
func (v *vigil) choose(members []mesh.Member, self string, own []netip.Prefix) {
	if slices.Equal(v.own, own) && slices.EqualFunc(v.seen, members, func(a, b mesh.Member) bool {
		return a.Name == b.Name && a.State == b.State && slices.Equal(a.Meta.Segments, b.Meta.Segments)
	}) {
		return
	}
	v.seen, v.own, v.wards = members, own, wardsOf(members, self, own)
}

// hostQuestions ask the kernel of a member's host for those of its addresses that
// are on networks of this node.
func hostQuestions(m mesh.Member, wire arpd.State, own []netip.Prefix) []arpd.Question {
	known := []netip.Addr{m.Addr.Addr()}
	for _, mac := range m.Meta.MACs {
		known = append(known, wire.Speakers[mac].Addrs...)
	}
	var r []arpd.Question
	for _, p := range own {
		i := slices.IndexFunc(known, p.Contains)
		for _, mac := range m.Meta.MACs {
			if i >= 0 {
				r = append(r, arpd.Question{IP: known[i], MAC: mac, Host: true})
			}
		}
	}
	return r
}

// speakerQuestions ask whether a member's speaker is there.
func speakerQuestions(m mesh.Member) []arpd.Question {
	var r []arpd.Question
	for _, mac := range m.Meta.MACs {
		r = append(r, arpd.Question{MAC: mac})
	}
	return r
}

// hear sums up the answers to all questions: one is enough to be present, and all
// must be silent for silence.
func hear(wire arpd.State, questions []arpd.Question) testimony {
	mute := 0
	for _, q := range questions {
		switch a := wire.Answers[q]; {
		case a.Silent:
			mute++
		case !a.Last.IsZero():
			return present
		}
	}
	if mute < len(questions) || mute == 0 {
		return unheard
	}
	return silent
}

// answeredOnce are the questions that were ever answered.
func answeredOnce(wire arpd.State, questions []arpd.Question) []arpd.Question {
	return slices.DeleteFunc(slices.Clone(questions), func(q arpd.Question) bool { return wire.Answers[q].Last.IsZero() })
}
