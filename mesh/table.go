package mesh

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// State is what this node believes of a member.
type State string

// The states of a member. A suspected member is still alive.
const (
	Alive State = "alive" // Answers, or is answered for.
	Dead  State = "dead"  // Stopped answering without a word.
	Left  State = "left"  // Said that it goes.
)

// Member is one speaker as this node sees it.
type Member struct {
	Name  string
	Addr  netip.AddrPort
	State State
	Meta  Meta
	Since time.Time // Of the last change of State.
	// Listens: it is dead, and the kernel of its host took a connection to its
	// gossip port after that. Its process was there, then, and stopped or slow.
	// False is no news: the answer may be on its way, or a firewall between.
	Listens bool
}

const (
	// keepGone is for how long a dead member or one that left is shown.
	keepGone = 5 * time.Minute
	// goodbyeTime is for how long a goodbye explains a disappearance.
	goodbyeTime = 5 * time.Second
)

// table is our own copy of the membership. memberlist's is not for reading:
// it hands out pointers to nodes that it goes on changing, and knows nothing
// of members that it has forgotten. The table is written from memberlist's
// callbacks, which run under its lock: nothing here may wait.
type table struct {
	self string

	mu      sync.Mutex // Guards all following fields.
	members []entry    // Sorted by name.
	shift   time.Time  // When a member other than self last came or went.
	met     time.Time  // When another member was first seen.
}

type entry struct {
	Member
	raw     string    // Meta as received, to see whether it differs.
	gossip  string    // What gossip said last.
	goodbye time.Time // When the member said that it goes.
	ping    Ping
	word    word
}

func newTable(self string, addr netip.AddrPort, meta []byte, now time.Time) *table {
	t := &table{self: self}
	t.members = []entry{{Member: Member{Name: self, Addr: addr, State: Alive, Meta: decodeMeta(meta), Since: now}, raw: string(meta)}}
	return t
}

// find returns where the member is or belongs. The caller holds mu.
func (t *table) find(name string) (int, bool) {
	return slices.BinarySearchFunc(t.members, name, func(e entry, n string) int { return cmp.Compare(e.Name, n) })
}

// alive records a member that joined or changed. It returns whether anything
// is new, and whether the member was not alive before.
func (t *table) alive(name string, addr netip.AddrPort, meta []byte, now time.Time) (changed, came bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, known := t.find(name)
	if !known {
		t.members = slices.Insert(t.members, i, entry{Member: Member{Name: name}})
	}
	e := &t.members[i]
	came = e.State != Alive
	if came {
		e.State, e.Since, e.Listens, e.goodbye, e.word = Alive, now, false, time.Time{}, word{}
		t.moved(name, now)
	}
	held := e.word.holds(meta, now)
	e.gossip = string(meta)
	changed = came || e.Addr != addr || !held && e.raw != string(meta)
	if !known || !held && e.raw != string(meta) {
		e.raw, e.Meta = string(meta), decodeMeta(meta)
	}
	e.Addr = addr
	return changed, came
}

// gone records that memberlist gave a member up. It returns the new state,
// and false if that was known. memberlist does not tell a member that left
// from one that died (Node.State is never set), so a goodbye of the member's
// own tells, in whichever order the two arrive.
func (t *table) gone(name string, now time.Time) (State, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, known := t.find(name)
	if !known || t.members[i].State != Alive {
		return "", false
	}
	e := &t.members[i]
	e.State, e.Since = Dead, now
	if now.Sub(e.goodbye) <= goodbyeTime {
		e.State = Left
	}
	t.moved(name, now)
	return e.State, true
}

// goodbye records that a member said it goes, and returns true if that
// corrects what was believed.
func (t *table) goodbye(name string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, known := t.find(name)
	if !known {
		return false
	}
	e := &t.members[i]
	if e.State == Dead && now.Sub(e.Since) <= goodbyeTime {
		e.State, e.Listens = Left, false
		return true
	}
	if e.State == Alive {
		e.goodbye = now
	}
	return false
}

// known tells whether there is or was such a member of late.
func (t *table) known(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.find(name)
	return ok
}

func (t *table) moved(name string, now time.Time) {
	if name == t.self {
		return
	}
	t.shift = now
	if t.met.IsZero() {
		t.met = now
	}
}

// setMeta changes what self says, before it is told to anybody, and returns what
// it said before.
func (t *table) setMeta(meta []byte) (was Meta, changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, _ := t.find(t.self)
	was = t.members[i].Meta
	return was, t.members[i].says(meta)
}

// told records what a member that is alive says of itself.
func (t *table) told(name string, meta []byte, now time.Time) (changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, known := t.find(name)
	if !known || t.members[i].State != Alive {
		return false
	}
	e := &t.members[i]
	if changed = e.says(meta); changed || e.word.told != "" { // said again: what gossip said meanwhile is older
		e.word = word{told: string(meta), until: now.Add(newsTime)}
	}
	return changed
}

// says changes the metadata, and returns whether they differ.
func (e *entry) says(meta []byte) bool {
	if e.raw == string(meta) {
		return false
	}
	e.raw, e.Meta = string(meta), decodeMeta(meta)
	return true
}

// ownMeta returns what self says, encoded.
func (t *table) ownMeta() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, _ := t.find(t.self)
	return []byte(t.members[i].raw)
}

// expire forgets members that are gone for long, and believes gossip again.
func (t *table) expire(now time.Time) (changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	confirm := confirmTime(len(t.members))
	for i := range t.members {
		if meta := t.members[i].word.due(now, t.members[i].gossip, confirm); meta != nil {
			changed = t.members[i].says(meta) || changed
		}
	}
	before := len(t.members)
	t.members = slices.DeleteFunc(t.members, func(e entry) bool {
		return e.State != Alive && e.Name != t.self && now.Sub(e.Since) >= keepGone
	})
	return changed || len(t.members) != before
}

// list returns deep copies, in three allocations however many members there are.
func (t *table) list() []Member {
	t.mu.Lock()
	defer t.mu.Unlock()
	segments, texts := 0, 0
	for i := range t.members {
		segments += len(t.members[i].Meta.Segments)
		texts += len(t.members[i].Meta.MACs) + len(t.members[i].Meta.Keys)
	}
	out, nets, words := make([]Member, len(t.members)), make([]netip.Prefix, 0, segments), make([]string, 0, texts)
	for i := range t.members {
		out[i] = t.members[i].Member
		out[i].Meta.Segments = carve(&nets, out[i].Meta.Segments)
		out[i].Meta.MACs, out[i].Meta.Keys = carve(&words, out[i].Meta.MACs), carve(&words, out[i].Meta.Keys)
	}
	return out
}

// carve copies in to the end of pool and returns the copy; of nothing, nil.
func carve[T any](pool *[]T, in []T) []T {
	if len(in) == 0 {
		return nil
	}
	at := len(*pool)
	*pool = append(*pool, in...)
	return (*pool)[at:len(*pool):len(*pool)]
}

func (t *table) count(s State) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.members {
		if t.members[i].State == s {
			n++
		}
	}
	return n
}

// company is the table as settling and joining see it.
type company struct {
	self   netip.AddrPort
	others map[netip.AddrPort]string // Names of the alive ones, self left out, by address.
	shift  time.Time
	met    time.Time
}

func (t *table) company() company {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := company{others: make(map[netip.AddrPort]string, len(t.members)), shift: t.shift, met: t.met}
	for i := range t.members {
		switch e := &t.members[i]; {
		case e.Name == t.self:
			c.self = e.Addr
		case e.State == Alive:
			c.others[e.Addr] = e.Name
		}
	}
	return c
}
