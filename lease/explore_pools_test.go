package lease

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// differ gives two speakers pools of their own: n1 the old ones, n2 the new ones, as "NAME=IP,IP"
// each. First they know anything or nothing of each other, then both know that they differ. In the
// end one is alone, or both agree.
func (w *scenario) differ(t *testing.T, before, after, end string) {
	t.Helper()
	pools := func(texts string) *Pools {
		var list []Pool
		for text := range strings.FieldsSeq(texts) {
			name, ips, _ := strings.Cut(text, "=")
			p := Pool{Name: name}
			for ip := range strings.SplitSeq(ips, ",") {
				p.Ranges = append(p.Ranges, fmt.Sprintf("%s-%s", ip, ip))
				if a := netip.MustParseAddr(ip); !w.has(a) {
					w.ips = append(w.ips, a)
				}
			}
			list = append(list, p)
		}
		return mustPools(t, list...)
	}
	p, q := pools(before), pools(after)
	var some []outlook
	for _, o := range []outlook{{}, {fresh: true}, {late: true}, {freeze: true}, {freeze: true, late: true}} {
		for name, pools := range map[string]*Pools{"n1": p, "n2": q} {
			o.self, o.pools = name, pools
			some = append(some, o)
		}
	}
	w.pools = q
	w.phases = []phase{
		{speakers: some, passes: true},
		{speakers: []outlook{{self: "n1", pools: p, freeze: true}, {self: "n2", pools: q, freeze: true}}},
	}
	switch end {
	case "n1":
		w.phases = append(w.phases, phase{speakers: []outlook{{self: "n1", pools: p, late: true}}})
	case "n2":
		w.phases = append(w.phases, phase{speakers: []outlook{{self: "n2", pools: q, late: true}}})
	case "agree":
		w.phases = append(w.phases, phase{speakers: []outlook{{self: "n1", pools: q}, {self: "n2", pools: q}}})
	}
}

func (w *scenario) has(ip netip.Addr) bool { return slices.Contains(w.ips, ip) }

// TestExploreDifferentPools: speakers have different pools, in any order, and know it sooner or
// later. Nothing is bound twice, nobody undoes forever what others do, and everybody is served by
// whoever can.
func TestExploreDifferentPools(t *testing.T) {
	const users, all = "note delete flip strip", "note delete flip strip forge+ copy+ ingress+"
	for _, tt := range []struct {
		name     string
		n        int
		old, new string
		requests string
		events   string
		budget   int
		slow     bool // left out with -short and with the race detector
		deep     bool // only with -deep
	}{
		{name: "other pools", n: 2, old: "p=192.0.2.1", new: "q=192.0.2.2", events: users, budget: 1},
		{name: "other pools, 2 events", n: 2, old: "p=192.0.2.1", new: "q=192.0.2.2", events: all, budget: 2, deep: true},
		{name: "one more pool", n: 2, old: "p=192.0.2.1", new: "p=192.0.2.1 q=192.0.2.2", events: users, budget: 1},
		{name: "one more pool, which is asked for", n: 2, old: "p=192.0.2.1", new: "p=192.0.2.1 q=192.0.2.2,192.0.2.3", requests: "pool=q", events: users, budget: 1},
		{name: "one more pool, an address of which is asked for", n: 2, old: "p=192.0.2.1", new: "p=192.0.2.1 q=192.0.2.2", events: "note delete request", budget: 2, slow: true},
		{name: "another name", n: 2, old: "p=192.0.2.1,192.0.2.2", new: "q=192.0.2.1,192.0.2.2", events: users, budget: 1},
		{name: "other addresses of one name", n: 2, old: "p=192.0.2.1,192.0.2.2", new: "p=192.0.2.2,192.0.2.3", events: users, budget: 1, slow: true},
		{name: "3 Services, other pools", n: 3, old: "p=192.0.2.1", new: "q=192.0.2.2,192.0.2.3", deep: true},
		{name: "the second family", n: 2, old: "p=192.0.2.1,192.0.2.2", new: "q=192.0.2.1,192.0.2.2,2001:db8::1,2001:db8::2", requests: "families=46 policy=RequireDualStack", slow: true},
	} {
		for _, end := range []string{"n1", "n2", "agree"} {
			t.Run(tt.name+", "+end, func(t *testing.T) {
				if tt.slow && (testing.Short() || raceDetector) {
					t.Skip("only without -short and without the race detector")
				}
				if tt.deep && !*deepFlag {
					t.Skip("only with -deep: it takes minutes")
				}
				w := newScenario(t, tt.n, "192.0.2.1", strings.Fields(tt.requests)...)
				w.events, w.budget = tt.events, tt.budget
				w.differ(t, tt.old, tt.new, end)
				begin := time.Now()
				x := explore(w, mostStates)
				if x.bad != "" {
					t.Fatal(x.bad)
				}
				t.Logf("%d states, %d snapshots, at most %d steps in a row, %v", len(x.seen), len(x.decided), x.depth, time.Since(begin).Round(time.Millisecond))
			})
		}
	}
}

// TestEveryGuardMattersBetweenPools takes away one rule about speakers with different pools at a
// time.
func TestEveryGuardMattersBetweenPools(t *testing.T) {
	for _, tt := range []struct {
		name   string
		remove func(*scenario)
		want   string
	}{
		{"claims are left to who wrote them", func(w *scenario) { w.off.others = true }, "no end"},
		{"nobody binds what its pools do not allow", func(w *scenario) { w.off.unknown = true }, "in no pool"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newScenario(t, 1, "192.0.2.1")
			w.differ(t, "p=192.0.2.1", "q=192.0.2.2", "agree")
			w.events, w.budget, w.nowhere = "forge+", 1, netip.MustParseAddr("203.0.113.1")
			w.ips = append(w.ips, w.nowhere)
			if x := explore(w, mostStates); x.bad != "" {
				t.Fatalf("with all guards: %s", x.bad)
			}
			tt.remove(&w)
			x := explore(w, mostStates)
			t.Logf("after %d states: %s", len(x.seen), x.bad)
			if !strings.Contains(x.bad, tt.want) {
				t.Errorf("without this guard the search must find %q", tt.want)
			}
		})
	}
}
