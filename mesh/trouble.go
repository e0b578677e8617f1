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
	// troubleTime is for how long a trouble is told after its last sighting.
	troubleTime = time.Minute
	// keyTime is for how long another key is told of a peer that answers with the
	// right one: two programs may share an address, or a member hold both keys.
	keyTime = 3 * time.Second
	// troubleLimit bounds the table: the senders of datagrams can be forged.
	troubleLimit = 64
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
	kindRefused   kind = "refused"   // Took our connection and gave no answer of ours.
	kindUDP       kind = "udp"       // Answers by TCP, but not by UDP.
	kindName      kind = "name"      // Two nodes of one name.
	kindBind      kind = "bind"      // We cannot listen.
	kindFamily    kind = "family"    // It has no address of a family on which we listen.
)

// threshold is how many sightings make a trouble. A peer that is killed
// while we join it refuses us once, a lost datagram looks like blocked UDP
// once; a real trouble repeats itself every second or two.
func (k kind) threshold() int {
	switch k {
	case kindRefused:
		return 3
	case kindUDP:
		return 5
	}
	return 1
}

// named says whether the kind is worth words, or only a count.
func (k kind) named() bool {
	return k != kindUnlabeled && k != kindMalformed && k != kindExcess && k != kindOld
}

// trouble is something that a person should repair.
type trouble struct {
	kind  kind
	who   string // Peer address, or node name.
	other string // kindName: both addresses. kindBind: the reason. kindFamily: what it has, and we.
}

func (t trouble) String() string {
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

// sighting of a trouble.
type sighting struct {
	times int
	last  time.Time
}

// troubles remembers what was seen lately. It is called from memberlist's
// logger, so it never waits.
type troubles struct {
	mu   sync.Mutex // Guards all following fields.
	seen map[trouble]sighting
	lost time.Time // When one was last left out because the table was full.
}

// see records a sighting and returns true when the trouble becomes one.
func (t *troubles) see(what trouble, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen == nil {
		t.seen = map[trouble]sighting{}
	}
	s, known := t.seen[what]
	if !known && len(t.seen) >= troubleLimit {
		t.lost = now
		return false
	}
	if known && now.Sub(s.last) >= troubleTime {
		s = sighting{}
	}
	s.times, s.last = s.times+1, now
	t.seen[what] = s
	return s.times == what.kind.threshold()
}

// over forgets the troubles of a kind that a good answer disproves.
func (t *troubles) over(who string, kinds ...kind) []trouble {
	return t.forget(func(what trouble, _ sighting) bool {
		return what.who == who && slices.Contains(kinds, what.kind)
	})
}

// answered forgets what a member's answer by UDP disproves: that it gives none, and
// that it has another key, unless somebody at its address used one a moment ago.
func (t *troubles) answered(name, addr string, now time.Time) []trouble {
	return t.forget(func(what trouble, s sighting) bool {
		return what.kind == kindUDP && what.who == name ||
			what.kind == kindKey && what.who == addr && now.Sub(s.last) >= keyTime
	})
}

// expire forgets what was not seen for a while.
func (t *troubles) expire(now time.Time) []trouble {
	return t.forget(func(what trouble, s sighting) bool {
		return what.kind != kindBind && now.Sub(s.last) >= troubleTime
	})
}

// forget returns the forgotten ones that had been told.
func (t *troubles) forget(which func(trouble, sighting) bool) (told []trouble) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for what, s := range t.seen {
		if !which(what, s) {
			continue
		}
		delete(t.seen, what)
		if s.times >= what.kind.threshold() {
			told = append(told, what)
		}
	}
	return told
}

// current are the troubles that are told at present, sorted, and whether others
// had no room. That a peer refuses us is no trouble where it is known why.
func (t *troubles) current(now time.Time) (out []trouble, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for what, s := range t.seen {
		if told(what, s, now) && (what.kind != kindRefused || !t.explainedLocked(what.who, now)) {
			out = append(out, what)
		}
	}
	slices.SortFunc(out, func(a, b trouble) int { return cmp.Compare(a.String(), b.String()) })
	return out, !t.lost.IsZero() && now.Sub(t.lost) < troubleTime
}

func told(what trouble, s sighting, now time.Time) bool {
	fresh := what.kind == kindBind || now.Sub(s.last) < troubleTime
	return fresh && s.times >= what.kind.threshold()
}

// explainedLocked says whether a peer is known to be of another cluster or key.
func (t *troubles) explainedLocked(who string, now time.Time) bool {
	for _, k := range []kind{kindLabel, kindKey} {
		what := trouble{kind: k, who: who}
		if s, seen := t.seen[what]; seen && told(what, s, now) {
			return true
		}
	}
	return false
}

// conditions are the current troubles for people, sorted by their words. The subject of one with a
// peer is its address, or the node where its name is known.
func (t *troubles) conditions(now time.Time) (out []health.Condition) {
	all, more := t.current(now)
	for _, what := range all {
		out = append(out, what.condition())
	}
	if more {
		out = append(out, health.New(health.TroublesUnlisted, health.Node(""), fmt.Sprintf("more than %d gossip troubles; the others are not listed", troubleLimit)))
	}
	return out
}

func (t trouble) condition() health.Condition {
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
