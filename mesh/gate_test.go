package mesh

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// caller is a stream of some address that sends as many bytes as are asked for.
type caller struct {
	net.Conn
	from  string
	ended int       // How often it was closed.
	until time.Time // Its deadline.
}

func (c *caller) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(c.from), 40000))
}
func (c *caller) Read(b []byte) (int, error)        { return len(b), nil }
func (c *caller) Close() error                      { c.ended++; return nil }
func (c *caller) SetDeadline(until time.Time) error { c.until = until; return nil }

// testGate knows 198.18.0.1 and 2001:db8::1, in a mesh of so many members, and counts what it
// refuses.
func testGate(members int, refused *int) *gate {
	return newGate(func(a netip.Addr) (bool, int) {
		return a.String() == "198.18.0.1" || a.String() == "2001:db8::1", members
	}, func(what condition) {
		if what.kind == kindExcess {
			*refused++
		}
	})
}

func TestGateLimitsStreams(t *testing.T) {
	many := func(of string, n int) (all []string) {
		for i := range n {
			all = append(all, fmt.Sprintf(of, i+1))
		}
		return all
	}
	same := func(as string, n int) []string { return slices.Repeat([]string{as}, n) }
	for name, tt := range map[string]struct {
		from []string
		want int // Streams that are admitted.
	}{
		"of one stranger":                      {same("198.18.0.9", 20), streamsOfOne},
		"of a stranger with two families":      {append(same("198.18.0.9", 20), same("2001:db8::9", 20)...), 2 * streamsOfOne},
		"of a stranger with all of a /64":      {many("2001:db8:0:9::%d", 200), streamsOfOne},
		"of many strangers":                    {many("198.18.1.%d", 200), streamsMost},
		"of a member":                          {same("198.18.0.1", 20), streamsOfOne},
		"of a member, mapped into IPv6":        {same("::ffff:198.18.0.1", 20), streamsOfOne},
		"of a member while strangers have all": {append(many("198.18.1.%d", 200), "198.18.0.1", "2001:db8::1"), streamsMost + 2},
	} {
		t.Run(name, func(t *testing.T) {
			refused, admitted := 0, 0
			g := testGate(3, &refused)
			var open []net.Conn
			for _, from := range tt.from {
				c := &caller{from: from}
				if s := g.admit(c); s != nil {
					open = append(open, s)
					admitted++
				} else if c.ended != 1 {
					t.Errorf("a stream of %s was refused and closed %d times", from, c.ended)
				}
			}
			if admitted != tt.want || refused != len(tt.from)-tt.want {
				t.Errorf("%d admitted and %d refused, want %d and %d", admitted, refused, tt.want, len(tt.from)-tt.want)
			}
			for _, s := range open {
				_ = s.Close()
				_ = s.Close() // memberlist does it more than once.
			}
			if g.rooms != [2]room{} || len(g.of) > 0 {
				t.Errorf("in use after all were closed: %v of %d addresses", g.rooms, len(g.of))
			}
		})
	}
}

func TestGateLimitsBytes(t *testing.T) {
	for name, tt := range map[string]struct {
		members int
		from    []string // One stream each.
		want    []int    // MiB that each may send, after those before it.
	}{
		"a small mesh":             {3, []string{"198.18.0.9"}, []int{1}},
		"a large mesh":             {2048, []string{"198.18.0.9"}, []int{4}},
		"two of one address":       {3, []string{"198.18.0.9", "198.18.0.9"}, []int{1, 0}},
		"many, and then members":   {3, []string{"198.18.1.1", "198.18.1.2", "198.18.1.3", "198.18.1.4", "198.18.1.5", "198.18.0.1", "2001:db8::1"}, []int{1, 1, 1, 1, 0, 1, 1}},
		"a member, and a neighbor": {3, []string{"2001:db8::1", "2001:db8::2"}, []int{1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			refused := 0
			g := testGate(tt.members, &refused)
			var got []int
			for _, from := range tt.from {
				s, sent := g.admit(&caller{from: from}), 0
				for b := make([]byte, 1<<20); ; sent++ {
					if _, err := s.Read(b); err != nil {
						if !errors.Is(err, errExcess) {
							t.Fatal(err)
						}
						break
					}
				}
				got = append(got, sent)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("MiB (-want +got):\n%s", diff)
			}
		})
	}
}

// A stranger has guestTime for everything, whatever memberlist grants.
func TestGateLimitsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, refused := time.Now(), 0
		g := testGate(3, &refused)
		for from, want := range map[string]time.Duration{"198.18.0.9": guestTime, "198.18.0.1": 5 * time.Second} {
			c := &caller{from: from}
			if err := g.admit(c).SetDeadline(start.Add(5 * time.Second)); err != nil || !c.until.Equal(start.Add(want)) {
				t.Errorf("%s has until %v, %v, want %v", from, c.until.Sub(start), err, want)
			}
		}
	})
}

func TestKnownAddresses(t *testing.T) {
	m, err := New(Config{Name: "n1", Bind: addrNo(1)})
	if err != nil {
		t.Fatal(err)
	}
	m.table.alive("n1", addrNo(1), nil, time.Now())
	m.table.alive("n2", addrNo(2), Meta{Addrs: []netip.AddrPort{addrNo(2), netip.MustParseAddrPort("[2001:db8::2]:7927")}}.encode(), time.Now())
	seeds := seedsAt(addrNo(3))
	m.seeds.Store(&seeds)
	got := map[string]bool{}
	for _, a := range []string{"198.18.0.1", "198.18.0.2", "2001:db8::2", "198.18.0.3", "198.18.0.4"} {
		known, all := m.knows(netip.MustParseAddr(a))
		if got[a] = known; all != 3 {
			t.Errorf("%d members and seeds, want 3", all)
		}
	}
	want := map[string]bool{"198.18.0.1": false, "198.18.0.2": true, "2001:db8::2": true, "198.18.0.3": true, "198.18.0.4": false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("known (-want +got):\n%s", diff)
	}
}
