package mesh

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/starling-lb/starling/health"
)

const (
	// conditionTime is for how long a condition is reported after its last sighting.
	conditionTime = time.Minute
	// keyTime is for how long another key is reported of a peer that answers with the
	// right one: two programs may share an address, or a member hold both keys.
	keyTime = 3 * time.Second
	// conditionLimit bounds the table: the senders of datagrams can be forged.
	conditionLimit = 64
)

// kind is also the value of the metrics' label reason.
type kind string

const (
	kindKey       kind = "key"       // Encrypted with none of our keys, or not at all.
	kindLabel     kind = "label"     // Of another cluster.
	kindUnlabeled kind = "unlabeled" // No gossip of ours: a port scan, another program. Only counted.
	kindMalformed kind = "malformed" // Broken otherwise. Only counted.
	kindExcess    kind = "excess"    // More streams, or bytes without proof of the key, than one may send. Only counted.
	kindOld       kind = "old"       // Said before, or by an earlier process: held up, or recorded and sent again. Only counted.
	kindNoNode    kind = "no-node"   // A member whose name no Node has. Only counted; see refusals.
	kindRefused   kind = "refused"   // Took our connection and gave no answer of ours.
	kindUDP       kind = "udp"       // Answers by TCP, but not by UDP.
	kindName      kind = "name"      // Two nodes of one name.
	kindBind      kind = "bind"      // We cannot listen.
	kindFamily    kind = "family"    // It has no address of a family on which we listen.
)

// threshold is how many sightings make a condition. A peer that is killed
// while we join it refuses us once, a lost datagram looks like blocked UDP
// once; a real condition repeats itself every second or two.
func (k kind) threshold() int {
	switch k {
	case kindRefused:
		return 3
	case kindUDP:
		return 5
	}
	return 1
}

// named reports whether the kind is worth words, or only a count.
func (k kind) named() bool {
	return k != kindUnlabeled && k != kindMalformed && k != kindExcess && k != kindOld && k != kindNoNode
}

// condition is something that a person should repair.
type condition struct {
	kind  kind
	who   string // Peer address, or node name.
	other string // kindName: both addresses. kindBind: the reason. kindFamily: what it has, and we.
}

func (t condition) String() string {
	switch t.kind {
	case kindKey:
		return fmt.Sprintf("peer %s uses another gossip key", t.who)
	case kindLabel:
		return fmt.Sprintf("peer %s belongs to another cluster", t.who)
	case kindRefused:
		return fmt.Sprintf("peer %s takes connections but does not answer as a speaker of this cluster", t.who)
	case kindUDP:
		return fmt.Sprintf("node %s answers gossip by tcp but not by udp", t.who)
	case kindName:
		return fmt.Sprintf("two nodes are named %s: %s", t.who, t.other)
	case kindBind:
		return t.other
	case kindFamily:
		return fmt.Sprintf("gossip cannot reach node %s: it has only %s", t.who, t.other)
	}
	return fmt.Sprintf("peer %s sends %s packets", t.who, t.kind)
}

// sighting of a condition.
type sighting struct {
	times int
	last  time.Time
}

// conditions remembers what was seen lately. It is called from memberlist's
// logger, so it never waits.
type conditions struct {
	mu   sync.Mutex // Guards all following fields.
	seen map[condition]sighting
	lost time.Time // When one was last left out because the table was full.
}

// see records a sighting and reports whether the condition becomes one.
func (t *conditions) see(what condition, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen == nil {
		t.seen = map[condition]sighting{}
	}
	s, known := t.seen[what]
	if !known && len(t.seen) >= conditionLimit {
		t.lost = now
		return false
	}
	if known && now.Sub(s.last) >= conditionTime {
		s = sighting{}
	}
	s.times, s.last = s.times+1, now
	t.seen[what] = s
	return s.times == what.kind.threshold()
}

// over forgets the conditions of a kind that a good answer disproves.
func (t *conditions) over(who string, kinds ...kind) []condition {
	return t.forget(func(what condition, _ sighting) bool {
		return what.who == who && slices.Contains(kinds, what.kind)
	})
}

// answered forgets what a member's answer by UDP disproves: that it gives none, and
// that it has another key, unless somebody at its address used one a moment ago.
func (t *conditions) answered(name, addr string, now time.Time) []condition {
	return t.forget(func(what condition, s sighting) bool {
		return what.kind == kindUDP && what.who == name ||
			what.kind == kindKey && what.who == addr && now.Sub(s.last) >= keyTime
	})
}

// expire forgets what was not seen for a while.
func (t *conditions) expire(now time.Time) []condition {
	return t.forget(func(what condition, s sighting) bool {
		return what.kind != kindBind && now.Sub(s.last) >= conditionTime
	})
}

// forget returns the forgotten ones that had been told.
func (t *conditions) forget(which func(condition, sighting) bool) (reported []condition) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for what, s := range t.seen {
		if !which(what, s) {
			continue
		}
		delete(t.seen, what)
		if s.times >= what.kind.threshold() {
			reported = append(reported, what)
		}
	}
	return reported
}

// current are the conditions that are reported at present, sorted, and whether others
// had no room. That a peer refuses us is none where the reason is known.
func (t *conditions) current(now time.Time) (out []condition, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for what, s := range t.seen {
		if reported(what, s, now) && (what.kind != kindRefused || !t.explainedLocked(what.who, now)) {
			out = append(out, what)
		}
	}
	slices.SortFunc(out, func(a, b condition) int { return cmp.Compare(a.String(), b.String()) })
	return out, !t.lost.IsZero() && now.Sub(t.lost) < conditionTime
}

func reported(what condition, s sighting, now time.Time) bool {
	fresh := what.kind == kindBind || now.Sub(s.last) < conditionTime
	return fresh && s.times >= what.kind.threshold()
}

// explainedLocked reports whether a peer is known to be of another cluster or key.
func (t *conditions) explainedLocked(who string, now time.Time) bool {
	for _, k := range []kind{kindLabel, kindKey} {
		what := condition{kind: k, who: who}
		if s, seen := t.seen[what]; seen && reported(what, s, now) {
			return true
		}
	}
	return false
}

// report are the current conditions for people, sorted by their words. The subject of one with a
// peer is its address, or the node where its name is known.
func (t *conditions) report(now time.Time) (out []health.Condition) {
	all, more := t.current(now)
	for _, what := range all {
		out = append(out, what.health())
	}
	if more {
		out = append(out, health.New(health.ProblemsUnlisted, health.Node(""), fmt.Sprintf("more than %d problems with gossip; the others are not listed", conditionLimit)))
	}
	return out
}

func (t condition) health() health.Condition {
	switch t.kind {
	case kindKey:
		return health.New(health.GossipKeyMismatch, health.Address(t.who), t.String())
	case kindLabel:
		return health.New(health.OtherCluster, health.Address(t.who), t.String())
	case kindRefused:
		return health.New(health.PeerNoSpeaker, health.Address(t.who), t.String())
	case kindUDP:
		return health.New(health.GossipUDPBlocked, health.Node(t.who), t.String())
	case kindName:
		return health.New(health.NodeNameTwice, health.Node(t.who), t.String())
	case kindFamily:
		return health.New(health.GossipNoFamily, health.Node(t.who), t.String())
	}
	return health.New(health.GossipPortInUse, health.Node(""), t.String())
}
