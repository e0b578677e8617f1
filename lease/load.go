package lease

import (
	"math"
	"net/netip"
)

const (
	// leastWindow and mostWindow bound the candidates that a free list keeps, perAnnouncer is how
	// many it may keep for each announcer. Of 1,000 addresses on 50 nodes the fullest would have 34
	// if the hash alone chose, so some 700 are passed over before each node has its 20.
	leastWindow  = 1024
	mostWindow   = 8192
	perAnnouncer = 16
)

// Spread says which node would announce an address, so that addresses can be chosen whose
// announcers have few. It must not change: that something else is to be expected shows by another
// pointer.
type Spread struct {
	// Nodes are all that may be named, also by an address that nobody has asked about yet.
	Nodes []string
	// Announcer names the node that would announce an address now, "" if there is none.
	Announcer func(netip.Addr) string
}

// nobody is the announcer of addresses that none is known for.
const nobody = 0

// loads counts the addresses in the pools that are held or picked, for each announcer. They are not
// counted before a choice depends on it, and only what changes is counted after that.
type loads struct {
	spread  *Spread // nil: one announcer does it all, and is not counted
	index   map[string]int
	n       []int              // by announcer
	of      map[netip.Addr]int // announcer of each address that is counted
	counted bool
}

func newLoads(s *Spread) *loads {
	l := &loads{spread: s, index: map[string]int{"": nobody}, n: make([]int, 1), of: make(map[netip.Addr]int)}
	if s != nil {
		for _, name := range s.Nodes {
			l.number(name)
		}
	}
	return l
}

func (l *loads) number(name string) int {
	i, ok := l.index[name]
	if !ok {
		i = len(l.n)
		l.index[name], l.n = i, append(l.n, 0)
	}
	return i
}

// announcer returns the number of the node that would announce an address.
func (l *loads) announcer(ip netip.Addr) int {
	if l.spread == nil {
		return nobody
	}
	return l.number(l.spread.Announcer(ip))
}

// count returns how many addresses an announcer has. An address that nobody would announce comes
// last.
func (l *loads) count(announcer int) int {
	if announcer == nobody && l.spread != nil {
		return math.MaxInt
	}
	return l.n[announcer]
}

// fewest returns how many the announcers have that have the fewest.
func (l *loads) fewest() int {
	few := l.count(nobody)
	for _, n := range l.n[nobody+1:] {
		few = min(few, n)
	}
	return few
}

// window is how many candidates may be kept.
func (l *loads) window() int {
	return min(max(leastWindow, perAnnouncer*len(l.n)), mostWindow)
}

// set counts an address, or counts it no longer.
func (l *loads) set(ip netip.Addr, busy bool) {
	i, known := l.of[ip]
	switch {
	case busy && !known:
		i = l.announcer(ip)
		l.of[ip] = i
		l.n[i]++
	case !busy && known:
		delete(l.of, ip)
		l.n[i]--
	}
}

// weigh counts an address anew.
func (t *Table) weigh(ip netip.Addr) {
	if t.loads.counted {
		t.loads.set(ip, t.busy(ip) && t.poolName(ip) != "")
	}
}

// expect counts an address that is about to be picked; weighAll counts anew what became of it.
func (t *Table) expect(ip netip.Addr) {
	if t.loads.counted {
		t.loads.set(ip, true)
	}
}

func (t *Table) weighAll(ips []netip.Addr) {
	for _, ip := range ips {
		t.weigh(ip)
	}
}

// busy reports whether anybody holds an address or has just been picked for it.
func (t *Table) busy(ip netip.Addr) bool { return len(t.holds[ip]) > 0 || len(t.flying[ip]) > 0 }

// counted returns the loads, having counted everything if they are new.
func (t *Table) counted() *loads {
	l := t.loads
	if l.counted || l.spread == nil {
		return l
	}
	l.counted = true
	for ip := range t.holds {
		t.weigh(ip)
	}
	for ip := range t.flying {
		t.weigh(ip)
	}
	return l
}
