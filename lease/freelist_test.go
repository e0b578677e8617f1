package lease

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// bench is a free list with the world around it.
type bench struct {
	*freeList
	now             time.Time
	taken, reserved map[netip.Addr]bool
	loads           *loads
	rested          func(netip.Addr, time.Time) time.Time
	asked           int // how often the world was asked
}

func newBench(t testing.TB, p Pool, f int) *bench {
	t.Helper()
	q := mustPools(t, p).list[0]
	return &bench{freeList: newFreeList(q, f), now: epoch, taken: map[netip.Addr]bool{}, reserved: map[netip.Addr]bool{}, loads: newLoads(nil)}
}

func (b *bench) ask() (netip.Addr, bool, time.Time) {
	return b.first(&facts{
		now:      b.now,
		taken:    func(ip netip.Addr) bool { b.asked++; return b.taken[ip] },
		reserved: func(ip netip.Addr) bool { return b.reserved[ip] },
		loads:    b.loads,
		rested:   b.rested,
	})
}

// take picks as many addresses as there are, n at most.
func (b *bench) take(n int) []string {
	var ips []string
	for range n {
		ip, ok, _ := b.ask()
		if !ok {
			break
		}
		b.taken[ip] = true
		ips = append(ips, ip.String())
	}
	return ips
}

func (b *bench) give(text string) {
	ip := netip.MustParseAddr(text)
	delete(b.taken, ip)
	b.release(ip, b.now)
}

func TestFreeListOrder(t *testing.T) {
	b := newBench(t, Pool{Name: "a", Ranges: []string{"192.0.2.8-192.0.2.9", "192.0.2.1-192.0.2.4"}}, 0)
	expect := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, b.take(len(want)+1)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff([]string{"192.0.2.1", "192.0.2.2"}, b.take(2)); diff != "" {
		t.Errorf("the lowest first (-want +got):\n%s", diff)
	}
	b.give("192.0.2.2")
	delete(b.taken, netip.MustParseAddr("192.0.2.1"))
	b.putBack(netip.MustParseAddr("192.0.2.1"))
	expect("192.0.2.1", "192.0.2.3", "192.0.2.4", "192.0.2.8", "192.0.2.9") // and none that rests
	if _, _, wake := b.ask(); !wake.Equal(epoch.Add(Rest)) {
		t.Errorf("wakes at %v", wake)
	}
	b.now = b.now.Add(time.Second)
	b.give("192.0.2.1")
	b.now = b.now.Add(Rest)
	expect("192.0.2.2", "192.0.2.1") // the longest released first
	if _, _, wake := b.ask(); !wake.IsZero() {
		t.Errorf("wakes at %v", wake)
	}
}

func TestFreeListOfOtherFamily(t *testing.T) {
	b := newBench(t, Pool{Name: "a", Ranges: []string{"192.0.2.8-192.0.2.9"}}, 1)
	if ip, ok, wake := b.ask(); ok || !wake.IsZero() {
		t.Errorf("%v %v", ip, wake)
	}
}

func TestFreeListReserved(t *testing.T) {
	b := newBench(t, Pool{Name: "a", Ranges: []string{"2001:db8::/64"}}, 1)
	ip := netip.MustParseAddr("2001:db8::")
	for range maxSkips + 10 {
		b.reserved[ip] = true
		ip = ip.Next()
	}
	if _, ok, wake := b.ask(); ok || !wake.Equal(b.now) {
		t.Errorf("one call must not skip more than %d; wakes at %v", maxSkips, wake)
	}
	if got, ok, _ := b.ask(); !ok || got != ip {
		t.Errorf("got %v, want %v", got, ip)
	}
}

func TestFreeListForgetsReleased(t *testing.T) {
	b := newBench(t, Pool{Name: "a", Ranges: []string{"192.0.2.1-192.0.2.250"}}, 0)
	b.limit = 10
	b.take(200)
	for i := range 9 {
		b.give(fmt.Sprint("192.0.2.", 100-i))
		b.now = b.now.Add(time.Second)
	}
	b.give("192.0.2.50")
	b.give("192.0.2.51")
	if len(b.resting) != 6 || len(b.when) != len(b.resting) {
		t.Errorf("%d rest, %d times", len(b.resting), len(b.when))
	}
	want := []string{"192.0.2.96", "192.0.2.97", "192.0.2.98", "192.0.2.99", "192.0.2.100"}
	if diff := cmp.Diff(want, b.take(5)); diff != "" {
		t.Errorf("what has rested counts as never used (-want +got):\n%s", diff)
	}
}

// TestFreeListAgainstNaive compares a free list with a look at every address.
func TestFreeListAgainstNaive(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		b := newBench(t, Pool{Name: "a", Ranges: []string{"192.0.2.250-192.0.3.3", "192.0.3.6-192.0.3.8"}, AvoidBuggyIPs: true}, 0)
		if rapid.Bool().Draw(r, "forgetful") {
			b.limit = 3
		}
		var all []netip.Addr
		for _, s := range b.pool.spans[0] {
			for ip := s.first; ip.Compare(s.last) <= 0; ip = ip.Next() {
				if !isBuggy(ip) {
					all = append(all, ip)
				}
			}
		}
		releasedAt := map[netip.Addr]time.Time{}
		for range rapid.IntRange(1, 80).Draw(r, "length") {
			ip := rapid.SampledFrom(all).Draw(r, "ip")
			switch rapid.IntRange(0, 5).Draw(r, "action") {
			case 0:
				b.taken[ip] = true // asked for by name, or held by whatever the stream shows
			case 1:
				if b.taken[ip] {
					b.give(ip.String())
					releasedAt[ip] = b.now
				}
			case 2:
				b.reserved[ip] = !b.reserved[ip]
			case 3:
				b.now = b.now.Add(time.Duration(rapid.IntRange(0, 3000).Draw(r, "ms")) * time.Millisecond)
			case 4:
				if b.taken[ip] {
					delete(b.taken, ip)
					b.putBack(ip)
				}
			case 5:
				b.compare(r, all, releasedAt)
			}
		}
		b.compare(r, all, releasedAt)
	})
}

// compare picks an address and makes sure that it may be picked; or that none may.
func (b *bench) compare(t *rapid.T, all []netip.Addr, releasedAt map[netip.Addr]time.Time) {
	rests := func(ip netip.Addr) bool {
		at, ok := b.when[ip]
		return ok && at.Equal(releasedAt[ip]) && at.Add(Rest).After(b.now)
	}
	got, ok, wake := b.ask()
	free, resting := 0, 0
	for _, ip := range all {
		switch {
		case b.taken[ip] || b.reserved[ip]:
		case rests(ip):
			resting++
		default:
			free++
		}
	}
	switch {
	case ok && (b.taken[got] || b.reserved[got] || b.pool.avoids(got)):
		t.Fatalf("picked %s, which must not be", got)
	case ok && rests(got) && free > 0:
		t.Fatalf("picked %s, which rests, while %d are free", got, free)
	case !ok && free > 0:
		t.Fatalf("picked none while %d are free", free)
	case !ok && resting > 0 && wake.IsZero():
		t.Fatalf("no waking, but %d rest", resting)
	}
	if ok && rapid.Bool().Draw(t, "keep") {
		b.taken[got] = true
	}
}

// TestFreeListCost counts how often the world is asked: a few times for each pick, whatever is
// held.
func TestFreeListCost(t *testing.T) {
	b := newBench(t, Pool{Name: "a", Ranges: []string{"198.18.0.0/16"}}, 0)
	for i := range 60000 {
		b.taken[netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})] = true
	}
	b.take(1)
	b.asked = 0
	for i := range 10000 {
		b.now = b.now.Add(time.Millisecond)
		b.take(1)
		b.give(fmt.Sprintf("198.18.%d.%d", i>>8, i&255))
	}
	if b.asked > 50000 {
		t.Errorf("asked %d times for 10000 picks", b.asked)
	}
}

// TestFreeListRested: of what rests the first is picked of which it is known that it may be, and
// only some are asked about.
func TestFreeListRested(t *testing.T) {
	b := newBench(t, Pool{Name: "a", Ranges: []string{"192.0.2.1-192.0.2.99"}}, 0)
	b.take(99)
	known, asked := map[string]bool{}, map[string]bool{}
	b.rested = func(ip netip.Addr, _ time.Time) time.Time {
		asked[ip.String()] = true
		if known[ip.String()] {
			return b.now
		}
		return b.now.Add(20 * time.Millisecond)
	}
	for i := range 30 {
		b.give(fmt.Sprint("192.0.2.", i+1))
	}
	if _, ok, wake := b.ask(); ok || !wake.Equal(b.now.Add(20*time.Millisecond)) || len(asked) != maxAsked {
		t.Errorf("%v, wakes at %v, asked about %d", ok, wake, len(asked))
	}
	known["192.0.2.3"], known["192.0.2.5"], known["192.0.2.29"] = true, true, true
	if diff := cmp.Diff([]string{"192.0.2.3", "192.0.2.5"}, b.take(9)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.now = b.now.Add(Rest)
	if got := b.take(99); len(got) != 28 || got[0] != "192.0.2.1" {
		t.Errorf("after the rest: %v", got)
	}
}

// TestFreeListLooksAgainAtReserved: when everything else is taken.
func TestFreeListLooksAgainAtReserved(t *testing.T) {
	b := newBench(t, Pool{Name: "a", Ranges: []string{"192.0.2.1-192.0.2.2"}}, 0)
	b.reserved[netip.MustParseAddr("192.0.2.2")] = true
	b.take(2)
	if _, ok, wake := b.ask(); ok || !wake.Equal(b.now.Add(recheck)) {
		t.Errorf("%v, wakes at %v", ok, wake)
	}
}

// TestFreeListKeepsEachOnce: however often it is said that an address is free, it is one candidate.
func TestFreeListKeepsEachOnce(t *testing.T) {
	ip := netip.MustParseAddr("192.0.2.1")
	for _, tt := range []struct {
		name  string
		again func(b *bench)
	}{
		{"not picked", func(b *bench) { b.putBack(ip) }},
		{"picked and left", func(b *bench) { b.putBack(ip); b.ask() }},
		{"ahead of the cursor", func(b *bench) { b.putBack(netip.MustParseAddr("192.0.2.9")); b.ask() }},
		{"taken while it was looked at", func(b *bench) {
			b.taken[ip] = true
			b.ask()
			delete(b.taken, ip)
			b.putBack(ip)
		}},
		{"reserved", func(b *bench) { b.reserved[ip] = true; b.putBack(ip); b.ask() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, Pool{Name: "a", Ranges: []string{"192.0.2.1-192.0.2.9"}}, 0)
			for range 50 {
				tt.again(b)
			}
			if n := len(b.unsorted) + b.fresh.n + len(b.reserved); n < 1 || n > 3 {
				t.Errorf("%d unsorted, %d sorted, %d reserved", len(b.unsorted), b.fresh.n, len(b.reserved))
			}
			clear(b.reserved)
			if got := b.take(10); len(got) != 9 {
				t.Errorf("%v are free, want all 9", got)
			}
		})
	}
}
