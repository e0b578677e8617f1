package speaker

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/arpd"
)

// logbook is a log that tests read.
type logbook struct {
	mu    sync.Mutex
	lines []string
}

func (b *logbook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, string(p))
	return len(p), nil
}

// since are the lines after the first n, without level: "message key=value ...", keys as asked for.
func (b *logbook) since(t *testing.T, n int, message string, keys ...string) (out []string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, line := range b.lines[n:] {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if fields["message"] != message {
			continue
		}
		words := []string{message}
		for _, k := range keys {
			if v, ok := fields[k]; ok {
				words = append(words, fmt.Sprint(k, "=", v))
			}
		}
		out = append(out, strings.Join(words, " "))
	}
	return out
}

func (b *logbook) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.lines)
}

// Each address that moves is a line with its reason, and many that move alike are one.
func TestMovesAreLogged(t *testing.T) {
	for _, count := range []int{3, 2*linesMost + 12} {
		lab(t, func(m *model) {
			for i := range count {
				m.create(fmt.Sprintf("s%02d", i), nil, "n1", "n2", "n3")
			}
			ips := map[string][]netip.Addr{}
			for i := range count {
				ip := m.bound(fmt.Sprintf("s%02d", i))
				ips[m.one(ip)] = append(ips[m.one(ip)], netip.MustParseAddr(ip))
			}
			m.pass(time.Minute)
			before := map[string]int{}
			for _, n := range []string{"n2", "n3"} {
				before[n] = m.speakers[n].log.count()
			}
			m.dies("n1", 500*time.Millisecond)
			m.pass(10 * time.Second)
			var want, got []string
			for _, n := range []string{"n2", "n3"} {
				var taken []netip.Addr
				for _, ip := range ips["n1"] {
					if m.one(ip.String()) == n {
						taken = append(taken, ip)
					}
				}
				got = append(got, m.speakers[n].log.since(t, before[n], "announcing", "vips", "vip", "from", "reason")...)
				slices.SortFunc(taken, netip.Addr.Compare)
				if len(taken) > linesMost {
					want = append(want, fmt.Sprintf("announcing vips=%d vip=%s from=n1 reason=member-lost", len(taken), taken[0]))
					continue
				}
				for _, ip := range taken {
					want = append(want, fmt.Sprintf("announcing vip=%s from=n1 reason=member-lost", ip))
				}
			}
			if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
				t.Errorf("%d addresses, %d of them n1's, logged (-want +got):\n%s", count, len(ips["n1"]), diff)
			}
		}, "default=198.18.64.0/24")
	}
}

// TestManyMovesAreOneLine: the death of a node with thousands of addresses does not bury the log.
func TestManyMovesAreOneLine(t *testing.T) {
	s, w := stillSpeaker(t, 1000)
	book := &logbook{}
	s.log = zerolog.New(book)
	w.at = time.Now()
	for range 10 {
		s.turn(w.at)
		w.at = w.at.Add(500 * time.Millisecond)
	}
	if got := book.since(t, 0, "announcing", "reason"); len(got) == 0 || len(got) > 4 {
		t.Errorf("%d lines of 1000 addresses: %q", len(got), got)
	}
}

// TestClaimsAreHeldBack: who claims every address on the network makes some lines, not one for
// each.
func TestClaimsAreHeldBack(t *testing.T) {
	lab(t, func(m *model) {
		claim := func(from, to int) {
			m.set("n1", func(b *node) {
				b.conflicts = nil
				for i := from; i < to; i++ {
					b.conflicts = append(b.conflicts, arpd.Conflict{IP: netip.AddrFrom4([4]byte{198, 18, 64, byte(i)}), MAC: mac3, Kind: "stranger"})
				}
			})
			m.pass(time.Second)
		}
		claim(0, 250)
		lines := func() int { return len(m.speakers["n1"].log.since(t, 0, "address conflict")) }
		if got := lines(); got != claimsBurst {
			t.Errorf("%d lines of 250 claims, want %d", got, claimsBurst)
		}
		if got := len(m.speakers["n1"].speaker.Snapshot().Conflicts); got != 250 {
			t.Errorf("the status shows %d claims of 250", got)
		}
		m.pass(claimsPeriod)
		claim(250, 251)
		if got := lines(); got != claimsBurst+1 {
			t.Errorf("%d lines after a quiet minute and one more claim, want %d", got, claimsBurst+1)
		}
	}, tenAddresses)
}
