// Package chaos does random things to a cluster, one after the other, and counts what a client
// notices. Meanwhile Services can come and go (Churn), and a Recorder can write the history of some
// addresses, for package history to check.
//
// A Plan follows from its seed alone, so that a run which went wrong is repeated by its number.
// Faults pile up until they are healed, in any order; at least one node always keeps its link and a
// speaker that runs, so that there is no moment in which nobody could answer.
package chaos

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Kind of a fault.
type Kind string

// What may happen. The link and the process of a node, gossip and the API server stay as they are
// until they are healed; a speaker that was ended is started anew by Kubernetes. The second group
// happens only if it is asked for.
const (
	Cut    Kind = "link cut"
	Freeze Kind = "SIGSTOP"
	Deaf   Kind = "gossip blocked towards"
	Mute   Kind = "gossip blocked everywhere"
	NoAPI  Kind = "API server away"
	Term   Kind = "pod deleted"
	Kill   Kind = "SIGKILL"

	Loss    Kind = "frames lost of"
	Repeat  Kind = "frames sent twice to"
	SlowAPI Kind = "API server slow"
	FailAPI Kind = "API server fails"
	Ahead   Kind = "clock jumps an hour ahead on"
	Behind  Kind = "clock jumps an hour back on"
)

// More are the kinds that a plan has only if it is asked for them. SlowAPI and FailAPI need a gate
// in front of the API server, Ahead and Behind speakers with a clock of their own.
func More() []Kind { return []Kind{Loss, Repeat, SlowAPI, FailAPI, Ahead, Behind} }

// excludes is the kind that does not last on a node at the same time: a port of the switch is
// impaired in one way, and a clock is ahead or behind.
var excludes = map[Kind]Kind{Loss: Repeat, Repeat: Loss, Ahead: Behind, Behind: Ahead} //nolint:gochecknoglobals // a constant

// Fault is one of them, on one of the nodes, or its end.
type Fault struct {
	Kind Kind
	Node int // Its index; -1 if the fault is of no node.
	Heal bool
	Rest time.Duration // Until the next one.
}

func (f Fault) String() string {
	text := string(f.Kind)
	if f.Node >= 0 {
		text = fmt.Sprintf("%s n%d", text, f.Node+1)
	}
	if f.Heal {
		text += ", healed"
	}
	return text
}

// The shortest and the longest time between two faults. Within the shortest one a second passes,
// after which one node is to answer, and no more.
const (
	restLeast = 1200 * time.Millisecond
	restMost  = 3 * time.Second
)

// state is what is broken.
type state struct {
	nodes int
	more  []Kind         // Of More, what may happen, too.
	hurt  map[Fault]bool // Faults that last, with nothing but kind and node.
}

// Plan returns so many faults for a cluster of so many nodes, always the same for one seed. Kinds
// of More happen if they are named.
func Plan(seed uint64, nodes, count int, more ...Kind) []Fault {
	random := rand.New(rand.NewPCG(seed, 0))
	s := state{nodes: nodes, more: more, hurt: map[Fault]bool{}}
	plan := make([]Fault, count)
	for i := range plan {
		all := s.possible()
		f := all[random.IntN(len(all))]
		s.apply(f)
		f.Rest = restLeast + time.Duration(random.Int64N(int64(restMost-restLeast)))
		plan[i] = f
	}
	return plan
}

// possible lists what may happen now, always in the same order.
func (s *state) possible() (all []Fault) {
	for n := range s.nodes {
		for _, kind := range []Kind{Cut, Freeze, Deaf} {
			switch {
			case s.hurt[Fault{Kind: kind, Node: n}]:
				all = append(all, Fault{Kind: kind, Node: n, Heal: true})
			case kind == Deaf && !s.is(Mute), kind != Deaf && s.spare(n):
				all = append(all, Fault{Kind: kind, Node: n})
			}
		}
		if s.whole(n) && s.spare(n) && !s.is(NoAPI) {
			all = append(all, Fault{Kind: Term, Node: n}, Fault{Kind: Kill, Node: n})
		}
	}
	if !s.anyDeaf() {
		all = append(all, Fault{Kind: Mute, Node: -1, Heal: s.is(Mute)})
	}
	all = append(all, Fault{Kind: NoAPI, Node: -1, Heal: s.is(NoAPI)})
	for _, kind := range s.more {
		all = append(all, s.possibleOf(kind)...)
	}
	return all
}

// possibleOf lists what may happen now of a kind of More.
func (s *state) possibleOf(kind Kind) (all []Fault) {
	if kind == SlowAPI || kind == FailAPI {
		return []Fault{{Kind: kind, Node: -1, Heal: s.is(kind)}}
	}
	for n := range s.nodes {
		if !s.hurt[Fault{Kind: excludes[kind], Node: n}] {
			all = append(all, Fault{Kind: kind, Node: n, Heal: s.hurt[Fault{Kind: kind, Node: n}]})
		}
	}
	return all
}

func (s *state) apply(f Fault) {
	switch {
	case f.Kind == Term || f.Kind == Kill:
	case f.Heal:
		delete(s.hurt, Fault{Kind: f.Kind, Node: f.Node})
	default:
		s.hurt[f] = true
	}
}

// is reports whether a fault of no node lasts.
func (s *state) is(kind Kind) bool { return s.hurt[Fault{Kind: kind, Node: -1}] }

func (s *state) anyDeaf() bool {
	for n := range s.nodes {
		if s.hurt[Fault{Kind: Deaf, Node: n}] {
			return true
		}
	}
	return false
}

// whole reports whether a node could answer.
func (s *state) whole(n int) bool {
	return !s.hurt[Fault{Kind: Cut, Node: n}] && !s.hurt[Fault{Kind: Freeze, Node: n}]
}

// spare reports whether another node could answer.
func (s *state) spare(n int) bool {
	for other := range s.nodes {
		if other != n && s.whole(other) {
			return true
		}
	}
	return false
}
