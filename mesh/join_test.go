package mesh

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func addrPorts(text ...string) (out []netip.AddrPort) {
	for _, s := range text {
		out = append(out, netip.MustParseAddrPort(s))
	}
	return out
}

// seedsAt are seeds of which no names are known.
func seedsAt(addrs ...netip.AddrPort) (out []Seed) {
	for _, a := range addrs {
		out = append(out, Seed{Addr: a})
	}
	return out
}

func TestOtherSeeds(t *testing.T) {
	self4, self6 := "198.18.0.1:7927", "[2001:db8::1]:7927"
	tests := []struct {
		name string
		self string
		all  []netip.AddrPort
		want []netip.AddrPort
	}{
		{"none", self4, nil, nil},
		{"only self", self4, addrPorts(self4), nil},
		{"self under another port is another", self4, addrPorts("198.18.0.1:7928"), addrPorts("198.18.0.1:7928")},
		{"sorted and once", self4, addrPorts("198.18.0.3:7927", "198.18.0.2:7927", "198.18.0.3:7927"), addrPorts("198.18.0.2:7927", "198.18.0.3:7927")},
		{"mapped", self4, addrPorts("[::ffff:198.18.0.1]:7927", "[::ffff:198.18.0.2]:7927"), addrPorts("198.18.0.2:7927")},
		{"only our family", self4, addrPorts("[2001:db8::2]:7927", "198.18.0.2:7927"), addrPorts("198.18.0.2:7927")},
		{"only our family, the other way", self6, addrPorts("[2001:db8::2]:7927", "198.18.0.2:7927"), addrPorts("[2001:db8::2]:7927")},
		{"no port", self4, addrPorts("198.18.0.2:0"), nil},
		{"no address", self4, []netip.AddrPort{{}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			self := netip.MustParseAddrPort(tt.self)
			if diff := cmp.Diff(tt.want, addrsOfSeeds(otherSeeds(seedsAt(tt.all...), summary{name: "self", self: self})), cmpPrefix()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefusalOf(t *testing.T) {
	tests := []struct {
		err  string
		want kind
	}{
		{"failed to join 198.18.0.2:7927: mesh: no answer: dial tcp 198.18.0.2:7927: connect: connection refused", ""},
		{"failed to join 198.18.0.2:7927: read tcp 198.18.0.1:1->198.18.0.2:7927: i/o timeout", ""},
		{"failed to join 198.18.0.2:7927: no installed keys could decrypt the message", kindKey},
		{"failed to join 198.18.0.2:7927: EOF", kindRefused},
		{"failed to join 198.18.0.2:7927: read: connection reset by peer", kindRefused},
		{"failed to join 198.18.0.2:7927: encryption is configured but remote state is not encrypted", kindRefused},
	}
	for _, tt := range tests {
		if got := refusalOf(errors.New(tt.err)); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.err, got, tt.want)
		}
	}
}

// script stands in for memberlist.
type script struct {
	mu      sync.Mutex // Guards all following fields.
	asked   []string
	now     int // Joins under way.
	most    int
	answer  func(seed string) error
	waiting time.Duration
}

func (s *script) Join(seeds []string) (int, error) {
	s.mu.Lock()
	s.asked = append(s.asked, seeds...)
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	time.Sleep(s.waiting) // Virtual.
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now--
	return 1, s.answer(seeds[0])
}

func (s *script) drain() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.asked
	s.asked = nil
	return out
}

func joinerTest(t *testing.T, seeds []netip.AddrPort, answer func(string) error) (*joiner, *script) {
	t.Helper()
	m, err := New(Config{Name: "n0", Bind: addrNo(0), Seeds: func() []Seed { return seedsAt(seeds...) }})
	if err != nil {
		t.Fatal(err)
	}
	s := &script{answer: answer, waiting: time.Second}
	return &joiner{mesh: m, via: s, alias: map[netip.AddrPort]time.Time{}}, s
}

func silentSeed(string) error { return fmt.Errorf("failed to join: %w", errNoAnswer) }

func TestRoundAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, s := joinerTest(t, addrNos(0, 50), silentSeed)
		begin := time.Now()
		j.round(t.Context())
		if got := len(s.drain()); got != 50 {
			t.Errorf("a lonely node asked %d of 50 seeds", got)
		}
		if took, want := time.Since(begin), 4*time.Second; took != want || s.most != joinWidth {
			t.Errorf("round of 50 took %v with %d at once, want %v with %d", took, s.most, want, joinWidth)
		}
	})
}

func TestRoundStopsAtTheFirstSuccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, s := joinerTest(t, addrNos(1, 50), func(string) error { return nil })
		j.round(t.Context())
		if got := len(s.drain()); got > joinWidth {
			t.Errorf("%d seeds were asked although the first answered, want at most %d", got, joinWidth)
		}
	})
}

func TestRoundAmongOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, s := joinerTest(t, addrNos(0, 50), silentSeed)
		for i := range 40 {
			j.mesh.table.alive(fmt.Sprintf("n%d", i), addrNo(i), nil, time.Now())
		}
		asked := map[string]int{}
		for range 200 {
			j.round(t.Context())
			got := s.drain()
			if len(got) != joinFew {
				t.Fatalf("a round asked %q, want %d missing seeds", got, joinFew)
			}
			for _, seed := range got {
				asked[seed]++
			}
		}
		if len(asked) != 11 { // 40 to 50.
			t.Errorf("200 rounds asked %d seeds, want the 11 missing ones and no other: %v", len(asked), asked)
		}
	})
}

func TestRoundLeavesAliasesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, s := joinerTest(t, addrNos(0, 1), func(string) error { return nil })
		rounds := 0
		for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(joinPause) {
			j.round(t.Context())
			rounds++
		}
		if got := len(s.drain()); got < 4 || got > 6 {
			t.Errorf("a seed that answers and is no member was asked %d times in %d rounds, want about once in %v", got, rounds, aliasTime)
		}
		// It dies as a member: then it is asked in every round.
		j.mesh.table.alive("n1", addrNo(1), nil, time.Now())
		j.round(t.Context())
		if got := s.drain(); len(got) > 0 {
			t.Errorf("asked %q although all are there", got)
		}
		j.mesh.table.gone("n1", time.Now())
		j.round(t.Context())
		if got := s.drain(); len(got) != 1 {
			t.Errorf("asked %q, want the dead one", got)
		}
	})
}

func TestRoundsHaveJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, s := joinerTest(t, addrNos(0, 1), silentSeed)
		s.waiting = 0
		j.mesh.settled.Store(true)
		j.mesh.settling.done = true
		ctx, end := context.WithCancel(t.Context())
		go j.run(ctx)
		time.Sleep(200 * time.Second)
		end()
		synctest.Wait()
		if got := len(s.drain()); got < 85 || got > 120 {
			t.Errorf("%d rounds in 200 s, want one in about 2 s", got)
		}
	})
}
