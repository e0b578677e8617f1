package forward

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/starling-lb/starling/owner"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// play runs a machine for a while in which questions are answered after 1 ms as the world says, and
// returns what it reported.
func play(m *Machine, d time.Duration, answers func(Question) bool) (out []Report) {
	now := epoch
	for end := now.Add(d); now.Before(end); {
		ready := m.Ready(now)
		out = append(out, ready.Reports...)
		var late []uint64
		for _, q := range ready.Questions {
			if answers(q) {
				late = append(late, q.ID)
			}
		}
		if now = ready.Wake; now.IsZero() {
			return out
		}
		if at := now.Add(-time.Millisecond); len(late) > 0 {
			for _, id := range late {
				m.Step(Reply{ID: id}, at)
			}
		}
	}
	return out
}

// seen is a world of nodes with one address each.
func seen(names ...string) World {
	w := World{Networks: []netip.Prefix{home}, Ready: true}
	for i, n := range names {
		w.Nodes = append(w.Nodes, nodeOf(n))
		w.Places = append(w.Places, Place{At: vip(i + 1), Owner: n})
	}
	return w
}

// TestBrokenEndpoints: whatever part of the endpoints of all Services is dead, no node is blamed.
func TestBrokenEndpoints(t *testing.T) {
	t.Parallel()
	for tenth := range 11 {
		for _, places := range []int{1, 3} {
			dice := rand.New(rand.NewPCG(uint64(tenth), uint64(places)))
			m := New(Config{Self: "n1"})
			w := seen("n2", "n3", "n4")
			w.Places = w.Places[:places]
			m.Step(w, epoch)
			if got := play(m, time.Hour, func(Question) bool { return dice.IntN(10) < tenth }); len(got) > 0 {
				t.Errorf("%d tenths of the endpoints of %d Services live: %+v", tenth, places, got[0])
			}
		}
	}
}

// TestFoundInTime: whatever the moment, a node whose rules are gone is found within 1.6 s, and
// within 1.1 s if its speaker is absent.
func TestFoundInTime(t *testing.T) {
	t.Parallel()
	for what, most := range map[string]time.Duration{"n2": 1600 * time.Millisecond, "n2=absent": 1100 * time.Millisecond} {
		for ms := range 100 {
			gone := epoch.Add(5*time.Second + time.Duration(ms)*10*time.Millisecond)
			m, w := New(Config{Self: "n1"}), seen("n2", "n3")
			w.Nodes[0] = nodeOf(what)
			m.Step(w, epoch)
			now, found := epoch, time.Time{}
			for found.IsZero() && now.Before(gone.Add(10*time.Second)) {
				ready := m.Ready(now)
				for _, q := range ready.Questions {
					if q.MAC != "n2" || now.Before(gone) {
						m.Step(Reply{ID: q.ID}, now)
					}
				}
				if len(ready.Reports) > 0 {
					found = now
				}
				now = m.Ready(now).Wake
			}
			if late := found.Sub(gone); found.IsZero() || late > most {
				t.Errorf("%s: found %s after its rules were gone, at most %s", what, late, most)
			}
		}
	}
}

// TestTesters: each node has two testers, whoever looks, and they are those that rank highest.
func TestTesters(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprint("n", i+10))
	}
	by := map[string][]string{}
	for _, self := range names {
		m := New(Config{Self: self})
		m.Step(seen(slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == self })...), epoch)
		for target := range m.targets {
			by[target] = append(by[target], self)
		}
	}
	for _, n := range names {
		others := slices.DeleteFunc(slices.Clone(names), func(o string) bool { return o == n })
		slices.SortFunc(others, func(a, b string) int {
			if owner.ScoreKey(a, n) > owner.ScoreKey(b, n) {
				return -1
			}
			return 1
		})
		want := slices.Sorted(slices.Values(others[:2]))
		if got := slices.Sorted(slices.Values(by[n])); !slices.Equal(got, want) {
			t.Errorf("%s is tested by %q, want %q", n, got, want)
		}
	}
}

// TestManyNodes: one node tests no more than so many, whatever their number.
func TestManyNodes(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 200 {
		names = append(names, fmt.Sprintf("m%03d", i))
	}
	m := New(Config{Self: "n1", Timing: Timing{Testers: 200}})
	m.Step(seen(names...), epoch)
	if len(m.targets) != maxTargets {
		t.Errorf("%d targets", len(m.targets))
	}
}

// TestPlaces: what a node is asked for, in this order.
func TestPlaces(t *testing.T) {
	t.Parallel()
	six := netip.MustParseAddrPort("[2001:db8::1]:80")
	routed, routed6 := netip.MustParseAddrPort("203.0.113.1:80"), netip.MustParseAddrPort("[2001:db8:1::1]:80")
	other := netip.MustParseAddrPort("192.0.2.100:80")
	for name, tc := range map[string]struct {
		networks []netip.Prefix // of the node
		places   []Place
		want     []netip.AddrPort
	}{
		"its own alone, policy Cluster before Local": {
			[]netip.Prefix{home},
			[]Place{{At: vip(1), Owner: "n3"}, {At: vip(2), Owner: "n2", Local: []string{"n2"}}, {At: vip(3), Owner: "n2"}},
			[]netip.AddrPort{vip(3), vip(2)},
		},
		"no endpoint":              {[]netip.Prefix{home}, []Place{{At: vip(1), Owner: "n3", Local: []string{"n3", "n4"}}}, nil},
		"a family that it has not": {[]netip.Prefix{home}, []Place{{At: six, Owner: "n3"}}, nil},
		"routed":                   {[]netip.Prefix{home}, []Place{{At: routed, Owner: "n3"}, {At: routed6, Owner: "n3"}}, []netip.AddrPort{routed}},
		"another network's":        {[]netip.Prefix{home}, []Place{{At: other, Owner: "n3"}}, nil},
		"one that n1 is not on":    {[]netip.Prefix{home, far}, []Place{{At: other, Owner: "n2"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := New(Config{Self: "n1"})
			w := seen("n2", "n3")
			w.Nodes[0].Networks, w.Places = tc.networks, tc.places
			w.Nodes = append(w.Nodes, nodeOf("n9=far"))
			m.Step(w, epoch)
			var got []netip.AddrPort
			for _, p := range m.targets["n2"].places {
				got = append(got, p.At)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

// TestEveryMAC: a node with several interfaces is asked at each, and one answer is enough.
func TestEveryMAC(t *testing.T) {
	t.Parallel()
	m, w := New(Config{Self: "n1"}), seen("n2")
	w.Nodes[0].MACs = []string{"a", "b"}
	m.Step(w, epoch)
	got := m.Ready(epoch).Questions
	if len(got) != 2 || got[0].ID != got[1].ID || got[0].MAC == got[1].MAC {
		t.Fatalf("%+v", got)
	}
	m.Step(Reply{ID: got[0].ID}, epoch.Add(time.Millisecond))
	m.Step(Reply{ID: got[0].ID}, epoch.Add(2*time.Millisecond))
	if got := m.Ready(epoch.Add(2 * time.Millisecond)); len(got.Questions) > 0 || !got.Wake.Equal(epoch.Add(time.Second)) {
		t.Errorf("%+v", got)
	}
}

// TestLateAnswers: what is answered after the time for it does not count.
func TestLateAnswers(t *testing.T) {
	t.Parallel()
	m := New(Config{Self: "n1"})
	m.Step(seen("n2", "n3"), epoch)
	ask := m.Ready(epoch).Questions
	end := epoch.Add(Times().Wait)
	m.Step(Reply{ID: ask[0].ID}, end)
	if got := m.Ready(end).Questions; len(got) != 2 {
		t.Errorf("%d questions follow, want a second one to each", len(got))
	}
	m.Step(Reply{ID: ask[1].ID}, end)
	if len(m.open) != 2 {
		t.Errorf("%d questions are open", len(m.open))
	}
}

// TestNothingIsKept: questions of nodes that are gone are forgotten.
func TestNothingIsKept(t *testing.T) {
	t.Parallel()
	m := New(Config{Self: "n1"})
	m.Step(seen("n2", "n3"), epoch)
	play(m, 2*time.Second, func(Question) bool { return false })
	m.Step(World{}, epoch.Add(2*time.Second))
	if got := m.Ready(epoch.Add(3 * time.Second)); len(m.open) > 0 || len(m.targets) > 0 || !got.Wake.IsZero() {
		t.Errorf("%d questions, %d targets, %+v", len(m.open), len(m.targets), got)
	}
}
