package lease

import (
	"net/netip"
	"slices"
	"time"
)

// Table is the index of holds over all Services: what the stream has shown, and nothing else. It
// decides which steps are due. It belongs to one goroutine.
type Table struct {
	entries map[Key]*entry
	holds   map[netip.Addr][]*entry       // who holds an address, oldest first
	flying  map[netip.Addr][]*entry       // own picks that the stream has not shown yet; never checked against
	keys    map[string]map[netip.Addr]int // addresses that Services with a sharing key hold or are picked for
	dirty   []*entry                      // to be looked at by the next Steps

	seen      seen // what of the last View was relevant to all Services
	freeLists map[string]*[2]*freeList
	used      map[string][2]uint64 // of each family, by pool
	ranks     map[string]int
	behind    int                  // of the last View
	progress  map[string]time.Time // when a lease with an address of the pool changed last

	spent   map[portion]map[netip.Addr]int     // addresses of namespaces, of pools that limit them
	wanted  map[netip.Addr]map[*entry]struct{} // wait for one address
	queues  map[string]*queue                  // wait for any address
	waiting map[string]uint64
	lacking map[*entry]Waiting // those that cannot have what they want, see Waiting
	timers  timers
	loads   *loads
	looks   uint64 // how many Services Steps has looked at

	spaces   map[string]Labels // of namespaces, as decisions were told them
	spacesAt uint64            // NamespaceEdits of the last View

	foreign   *Foreign // nil: to be made again
	formers   formers
	externals map[netip.Addr][]*entry // who lists an address in externalIPs, oldest first
	conflicts map[netip.Addr]string   // of the last View

	vips  []VIP // never changed in place
	stale map[netip.Addr]struct{}

	off guards
}

// seen is the part of a View that concerns every Service.
type seen struct {
	pools        *Pools
	installation string
	classes      Classes
	freeze       bool
}

// guards are the rules that tests take away one at a time to see that each of them matters.
type guards struct {
	check, claims, ingress, types, tie, edited, perAddress, others, unknown, was, said, outdone, external bool
	foreign, idle, many, void, shown, across, reserved                                                    bool
}

// NewTable returns an empty table.
func NewTable() *Table {
	return &Table{
		entries: make(map[Key]*entry), holds: make(map[netip.Addr][]*entry), flying: make(map[netip.Addr][]*entry),
		keys: make(map[string]map[netip.Addr]int), ranks: make(map[string]int), progress: make(map[string]time.Time),
		wanted: make(map[netip.Addr]map[*entry]struct{}),
		queues: make(map[string]*queue), waiting: make(map[string]uint64), lacking: make(map[*entry]Waiting),
		used: make(map[string][2]uint64), stale: make(map[netip.Addr]struct{}), spaces: make(map[string]Labels),
		loads: newLoads(nil), externals: make(map[netip.Addr][]*entry), spent: make(map[portion]map[netip.Addr]int),
	}
}

// Apply advances the table along the ordered stream by one atomic step: what was deleted goes
// first, then put is entered; with reset, put is everything that exists. It costs what has changed.
func (t *Table) Apply(reset bool, put []*Service, deleted []Key, now time.Time) {
	for _, k := range deleted {
		t.remove(t.entries[k], now)
	}
	if reset {
		t.keepOnly(put, now)
	}
	for _, s := range put {
		t.put(s, now)
	}
}

func (t *Table) keepOnly(put []*Service, now time.Time) {
	exists := make(map[Key]struct{}, len(put))
	for _, s := range put {
		exists[s.Key()] = struct{}{}
	}
	var gone []*entry
	for k, e := range t.entries {
		if _, ok := exists[k]; !ok {
			gone = append(gone, e)
		}
	}
	slices.SortFunc(gone, older)
	for _, e := range gone {
		t.remove(e, now)
	}
}

func (t *Table) remove(e *entry, now time.Time) {
	if e == nil {
		return
	}
	delete(t.entries, e.s.Key())
	delete(t.lacking, e)
	held := e.holds
	if e.by == t.seen.installation {
		t.formers.leave(e.s.Key(), e.written(held), now, t.seen.pools.keepFor())
	}
	t.unlink(e)
	t.land(e)
	t.forget(e)
	t.stopTimer(e)
	e.holds, e.dirty = nil, true // nobody looks at it any more
	t.relisted(e.external, nil)
	t.changed(e, held, now)
}

func (t *Table) put(s *Service, now time.Time) {
	e := t.entries[s.Key()]
	if e != nil && e.s.UID != s.UID {
		t.remove(e, now)
		e = nil
	}
	var lease string
	switch {
	case e == nil:
		e = &entry{}
		t.entries[s.Key()] = e
	case e.s.Same(s):
		return // a relist shows it again
	default:
		lease = e.s.note(LeaseAnnotation)
	}
	held, asked, by, listed := e.holds, e.req.slots, e.by, e.external
	t.unlink(e)
	e.read(s, t.off.perAddress)
	e.sift(t.seen.installation, &t.off)
	t.link(e)
	if t.seen.pools != nil {
		e.learn(held, now)
	}
	e.recall(held, now)
	if by == t.seen.installation && !e.leased() {
		t.formers.leave(s.Key(), e.written(held), now, t.seen.pools.keepFor())
	}
	e.lose(held, asked, now)
	if lease != s.note(LeaseAnnotation) {
		t.progressed(e, now)
	}
	if e.agenda != nil {
		e.dueFor, e.fails = "", 0
	}
	t.land(e) // the write has landed, or never will
	t.mark(e)
	t.relisted(listed, e.external)
	t.changed(e, held, now)
}

// progressed notes that somebody works on the pools of a lease.
func (t *Table) progressed(e *entry, now time.Time) {
	for _, h := range e.holds {
		if h.leased {
			t.progress[t.poolName(h.ip)] = now
		}
	}
}

// changed tells everybody whom the change of a Service's holds concerns.
func (t *Table) changed(e *entry, held []hold, now time.Time) {
	for _, h := range held {
		if !h.void && !e.has(h.ip) {
			t.touch(e, h.ip)
			t.freed(h.ip, now)
		}
	}
	for _, h := range e.holds {
		if !h.void {
			t.touch(e, h.ip)
		}
	}
}

// touch marks those whose state at an address may depend on the changed Service.
func (t *Table) touch(e *entry, ip netip.Addr) {
	t.stale[ip] = struct{}{}
	t.weigh(ip)
	holds, key := e.has(ip), ""
	for _, o := range t.holds[ip] {
		if o != e && (!o.at(ip).bound || o.edited || holds && t.clash(o, e, ip) != "") {
			t.mark(o)
		}
		if key != o.req.share {
			key = o.req.share
			t.shareable(ip, key)
		}
	}
	for o := range t.wanted[ip] {
		t.mark(o)
	}
	for _, o := range t.externals[ip] {
		t.mark(o)
	}
}

// freed puts an address back when nobody holds it any more.
func (t *Table) freed(ip netip.Addr, now time.Time) {
	if len(t.holds[ip]) == 0 {
		if s := t.freeListOf(ip); s != nil {
			s.release(ip, now)
		}
		t.stir(ip)
	}
}

func (t *Table) mark(e *entry) {
	if !e.dirty {
		e.dirty = true
		t.dirty = append(t.dirty, e)
	}
}

// link enters the holds of a Service into the index, unlink takes them out.
func (t *Table) link(e *entry) {
	t.linkExternal(e)
	for _, h := range e.holds {
		if h.void {
			continue
		}
		t.outdate(e)
		t.share(e.req.share, h.ip, 1)
		t.spend(e, h.ip, 1)
		list := t.holds[h.ip]
		if len(list) == 0 {
			t.use(h.ip, 1)
		}
		i, _ := slices.BinarySearchFunc(list, e, older)
		t.holds[h.ip] = slices.Insert(list, i, e)
	}
}

func (t *Table) unlink(e *entry) {
	t.unlinkExternal(e)
	for _, h := range e.holds {
		if h.void {
			continue
		}
		t.outdate(e)
		t.share(e.req.share, h.ip, -1)
		t.spend(e, h.ip, -1)
		t.holds[h.ip] = without(t.holds[h.ip], e)
		if len(t.holds[h.ip]) == 0 {
			delete(t.holds, h.ip)
			t.use(h.ip, -1)
		}
	}
}

// outdate has Foreign made again if a Service is part of it.
func (t *Table) outdate(e *entry) {
	if e.foreign(t.seen.installation) {
		t.foreign = nil
	}
}

// use counts a held address for its pool.
func (t *Table) use(ip netip.Addr, by int) {
	if name := t.poolName(ip); name != "" {
		n := t.used[name]
		n[family(ip)] += uint64(by)
		t.used[name] = n
	}
}

// share counts an address under a sharing key.
func (t *Table) share(key string, ip netip.Addr, by int) {
	if key == "" {
		return
	}
	if t.keys[key] == nil {
		t.keys[key] = make(map[netip.Addr]int)
	}
	if t.keys[key][ip] += by; t.keys[key][ip] == 0 {
		delete(t.keys[key], ip)
	}
	if len(t.keys[key]) == 0 {
		delete(t.keys, key)
	}
}

// Get returns a Service as the table shows it.
func (t *Table) Get(k Key) (Service, bool) {
	if e := t.entries[k]; e != nil {
		return *e.s, true
	}
	return Service{}, false
}

// Len counts the Services.
func (t *Table) Len() int { return len(t.entries) }

func (t *Table) poolName(ip netip.Addr) string {
	if t.seen.pools == nil {
		return ""
	}
	name, _ := t.seen.pools.Of(ip)
	return name
}

func (t *Table) freeListOf(ip netip.Addr) *freeList {
	if both := t.freeLists[t.poolName(ip)]; both != nil {
		return both[family(ip)]
	}
	return nil
}

func without(list []*entry, e *entry) []*entry {
	if i := slices.Index(list, e); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}
