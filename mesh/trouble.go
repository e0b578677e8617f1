package mesh

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
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
	kindRefused   kind = "refused"   // Took our connection and gave no answer of ours.
	kindUDP       kind = "udp"       // Answers by TCP, but not by UDP.
	kindName      kind = "name"      // Two nodes of one name.
	kindBind      kind = "bind"      // We cannot listen.
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
func (k kind) named() bool { return k != kindUnlabeled && k != kindMalformed }

// trouble is something that a person should repair.
type trouble struct {
	kind  kind
	who   string // Peer address, or node name.
	other string // kindName: both addresses. kindBind: the reason.
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
// had no room. That a peer refuses us needs no words where it is known why.
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

// Complaint is a problem with a peer.
type Complaint struct {
	Kind  string // As the metrics' label reason: "key", "label", "refused", "udp", "name".
	Who   string // An address, or by "udp" and "name" a node's name.
	Words string // As among the Problems.
}

// complaints are the current troubles with peers, sorted by their words.
func (t *troubles) complaints(now time.Time) (out []Complaint) {
	all, _ := t.current(now)
	for _, what := range all {
		if what.kind != kindBind {
			out = append(out, Complaint{string(what.kind), what.who, what.String()})
		}
	}
	return out
}

// words are the troubles for people, sorted.
func (t *troubles) words(now time.Time) []string {
	var out []string
	all, more := t.current(now)
	for _, what := range all {
		out = append(out, what.String())
	}
	if more {
		out = append(out, fmt.Sprintf("more than %d gossip troubles, others are not listed", troubleLimit))
	}
	return out
}
