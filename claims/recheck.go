package claims

import (
	"container/heap"
	"net/netip"
	"time"
)

// Recheck is how the owner asks for its own addresses: a station that has one of them and never
// says so by itself is heard by its reply.
type Recheck struct {
	// Every is the time between questions for an address that is not young; negative: none are
	// asked.
	Every time.Duration
	// Tries questions, Gap apart, ask for an address that was gained: a station may have taken it
	// since it was tried out, and nobody has used it yet.
	Tries int
	Gap   time.Duration
	// Young is how long a gained address is asked for every Soon. What gave it to this node, a new
	// Service or a node that failed, says that the network is changing.
	Young, Soon time.Duration
	// Reply is for how long after a recheck a reply may be to that, and says nothing about a
	// question that asks who holds on to the address: who hands it over replies to the one and not
	// to the other.
	Reply time.Duration
}

// Rechecking is the rhythm that speakers use unless they are asked for another.
func Rechecking() Recheck {
	return Recheck{Every: time.Minute, Tries: 3, Gap: 250 * time.Millisecond, Young: 10 * time.Minute, Soon: 10 * time.Second, Reply: 15 * time.Millisecond}
}

const (
	// recheckLeast is the least share of a second that each question has in the long run, for the
	// addresses that are young and for all others alike. Every host on the link has to read them,
	// so 10,000 addresses take some three minutes.
	recheckLeast = 20 * time.Millisecond
	// recheckRest lies between any two questions, recheckFirst between those of Tries.
	recheckRest  = 10 * time.Millisecond
	recheckFirst = time.Millisecond
)

// recheck is an own address that is asked for now and then.
type recheck struct {
	ip          netip.Addr
	gained, due time.Time
	asked       time.Time // last; zero: never
	times       int       // asked for since the gain
	young       bool
	pos         int // in the heap; -1: it is not, since nobody asks
}

// rechecks says which own address to ask for next, the one that has been due for longest.
type rechecks struct {
	*Config // of the machine
	of      map[netip.Addr]*recheck
	young   int
	heap    recheckHeap
}

func newRechecks(c *Config) *rechecks { return &rechecks{Config: c, of: make(map[netip.Addr]*recheck)} }

// gain adds an address, which is due at once.
func (r *rechecks) gain(ip netip.Addr, now time.Time) {
	if r.of[ip] != nil {
		return
	}
	x := &recheck{ip: ip, gained: now, due: now, pos: -1}
	r.of[ip] = x
	if r.Recheck.Every >= 0 {
		x.young = true
		r.young++
		heap.Push(&r.heap, x)
	}
}

// lose takes an address out.
func (r *rechecks) lose(ip netip.Addr) {
	if x := r.of[ip]; x != nil {
		if x.pos >= 0 {
			heap.Remove(&r.heap, x.pos)
		}
		delete(r.of, ip)
		r.age(x)
	}
}

// fresh reports whether an address was asked for a moment ago.
func (r *rechecks) fresh(ip netip.Addr, now time.Time) bool {
	x := r.of[ip]
	return x != nil && !x.asked.IsZero() && now.Sub(x.asked) < r.Recheck.Reply
}

// gained reports whether an address was gained a moment ago.
func (r *rechecks) gained(ip netip.Addr, within time.Duration, now time.Time) bool {
	x := r.of[ip]
	return x != nil && now.Sub(x.gained) < within
}

// age counts x among the young no more.
func (r *rechecks) age(x *recheck) {
	if x.young {
		x.young = false
		r.young--
	}
}

// next returns the address to ask for now and how long to rest after that; an invalid one if there
// is none, and when to call again (zero: not before gain).
func (r *rechecks) next(now time.Time) (ip netip.Addr, rest time.Duration, wake time.Time) {
	if len(r.heap) == 0 {
		return netip.Addr{}, 0, time.Time{}
	}
	x := r.heap[0]
	if x.due.After(now) {
		return netip.Addr{}, 0, x.due
	}
	if rest = recheckRest; x.times < r.Recheck.Tries {
		rest = recheckFirst
	}
	x.times++
	x.asked = now
	x.due = now.Add(r.pause(x, now))
	heap.Fix(&r.heap, 0)
	return x.ip, rest, time.Time{}
}

// pause is the time until the next question for x.
func (r *rechecks) pause(x *recheck, now time.Time) time.Duration {
	if now.Sub(x.gained) >= r.Recheck.Young {
		r.age(x)
	}
	switch {
	case x.times < r.Recheck.Tries:
		return r.Recheck.Gap
	case x.young:
		return max(min(r.Recheck.Every, r.Recheck.Soon), time.Duration(r.young)*recheckLeast)
	}
	return max(r.jitter(r.Recheck.Every), time.Duration(len(r.heap))*recheckLeast)
}

// recheckHeap has the address on top that is due first.
type recheckHeap []*recheck

func (h recheckHeap) Len() int           { return len(h) }
func (h recheckHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }

func (h recheckHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i, j
}

func (h *recheckHeap) Push(x any) {
	e := x.(*recheck)
	e.pos = len(*h)
	*h = append(*h, e)
}

func (h *recheckHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return e
}

// Recheck returns the own address to ask for now and how long to rest after that; an invalid one if
// there is none, and when to call again (zero: not before one is gained).
func (m *Machine) Recheck(now time.Time) (ip netip.Addr, rest time.Duration, wake time.Time) {
	return m.rechecks.next(now)
}
