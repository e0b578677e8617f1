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
	Epoch   uint64 // Of its process: another one has another.
	// Recalled: an earlier process of this node knew the member, and nobody is there who knows
	// better. The mesh does not say so.
	Recalled bool
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

	mu      sync.Mutex       // Guards all following fields.
	members []entry          // Sorted by name.
	local   []netip.AddrPort // That self listens on; none: not yet.
	shift   time.Time        // When a member other than self last came or went.
	met     time.Time        // When another member was first seen.
}

type entry struct {
	Member
	raw     string    // Meta as received, to see whether it differs.
	order   order     // Of raw.
	message order     // Of the latest message of the member, see fresh; of self, of the last one sent.
	heard   uint64    // Messages of that process that came, the latest as bit 0, the one before as bit 1.
	goodbye time.Time // When the member said that it goes.
	ping    Ping
}

func newTable(self string, addr netip.AddrPort, meta []byte, now time.Time) *table {
	t := &table{self: self}
	t.members = []entry{{Member: Member{Name: self, Addr: addr, State: Alive, Since: now}}}
	t.members[0].setMeta(ordered(meta, order{epoch: uint64(now.UnixMilli())}))
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
		e.State, e.Since, e.Listens, e.goodbye, e.order = Alive, now, false, time.Time{}, order{}
		t.moved(name, now)
	}
	changed = came || e.Addr != addr
	if !e.order.after(orderOf(meta)) {
		changed = e.setMeta(meta) || changed
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

// goodbye records that a member said it goes, and reports whether that
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

// fresh reports whether a message of a member is new: of its present process, and not said before.
// Messages overtake each other, also within memberlist, so the last 64 are known apart, as RFC 4303
// (section 3.4.3) does. Of members that are not known nothing is known.
func (t *table) fresh(name string, o order) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, known := t.find(name)
	if !known {
		return true
	}
	e := &t.members[i]
	switch {
	case o.epoch < max(e.order.epoch, e.message.epoch):
		return false
	case o.epoch > e.message.epoch:
		e.message, e.heard = o, 1
	case o.seq > e.message.seq:
		e.heard, e.message = e.heard<<(o.seq-e.message.seq)|1, o
	default:
		bit := uint64(1) << (e.message.seq - o.seq) // 0 for one that is too old to tell
		if bit == 0 || e.heard&bit != 0 {
			return false
		}
		e.heard |= bit
	}
	return true
}

// nextMessage is the order of the next message that self sends.
func (t *table) nextMessage() order {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, _ := t.find(t.self)
	e := &t.members[i]
	e.message = order{e.order.epoch, e.message.seq + 1}
	return e.message
}

// orderOf is that of what a member said last; zero: it said nothing.
func (t *table) orderOf(name string) order {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i, known := t.find(name); known {
		return t.members[i].order
	}
	return order{}
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

// setMeta changes what self says, before anybody learns of it, and returns what
// it said before.
func (t *table) setMeta(meta []byte) (was Meta, changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, _ := t.find(t.self)
	e := &t.members[i]
	if was = e.Meta; e.raw == string(ordered(meta, e.order)) {
		return was, false
	}
	return was, e.setMeta(ordered(meta, order{e.order.epoch, e.order.seq + 1}))
}

// outlive makes what self says newer than what an earlier process of this node said, and reports
// whether it was not.
func (t *table) outlive(meta []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, _ := t.find(t.self)
	e := &t.members[i]
	heard := orderOf(meta)
	if heard.epoch <= e.order.epoch {
		return false
	}
	return e.setMeta(ordered(e.Meta.encode(), order{epoch: heard.epoch + 1}))
}

// learn records what a member that is alive says of itself. What is older than what is known, a
// datagram that was held up, is dropped.
func (t *table) learn(name string, meta []byte) (changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, known := t.find(name)
	if !known || t.members[i].State != Alive || t.members[i].order.after(orderOf(meta)) {
		return false
	}
	return t.members[i].setMeta(meta)
}

// setMeta changes the metadata, and returns whether they differ.
func (e *entry) setMeta(meta []byte) bool {
	if e.raw == string(meta) {
		return false
	}
	e.raw, e.order, e.Meta = string(meta), orderOf(meta), decodeMeta(meta).After(e.Meta)
	e.Epoch = e.order.epoch
	return true
}

// ownMeta returns what self says, encoded.
func (t *table) ownMeta() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, _ := t.find(t.self)
	return []byte(t.members[i].raw)
}

// expire forgets members that are gone for long.
func (t *table) expire(now time.Time) (changed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := len(t.members)
	t.members = slices.DeleteFunc(t.members, func(e entry) bool {
		return e.State != Alive && e.Name != t.self && now.Sub(e.Since) >= keepGone
	})
	return len(t.members) != before
}

// list returns deep copies, in a few allocations however many members there are.
func (t *table) list() []Member {
	t.mu.Lock()
	defer t.mu.Unlock()
	segments, texts, addrs := 0, 0, 0
	for i := range t.members {
		segments += len(t.members[i].Meta.Segments)
		texts += len(t.members[i].Meta.MACs) + len(t.members[i].Meta.Keys)
		addrs += len(t.members[i].Meta.Addrs)
	}
	ports := make([]netip.AddrPort, 0, addrs)
	out, nets, words := make([]Member, len(t.members)), make([]netip.Prefix, 0, segments), make([]string, 0, texts)
	for i := range t.members {
		out[i] = t.members[i].Member
		out[i].Addr, out[i].Meta.Addrs = t.shown(&t.members[i]), carve(&ports, out[i].Meta.Addrs)
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

// summary is the table as settling and joining see it.
type summary struct {
	name   string
	self   netip.AddrPort
	local  []netip.AddrPort
	others map[netip.AddrPort]string // Names of the alive ones, self left out, by address.
	shift  time.Time
	met    time.Time
}

func (t *table) summary() summary {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := summary{others: make(map[netip.AddrPort]string, len(t.members)), shift: t.shift, met: t.met, name: t.self, local: t.local}
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
