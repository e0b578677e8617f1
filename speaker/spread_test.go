package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/elect"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/report"
	"github.com/starling-lb/starling/watcher"
)

var lan = []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16"), netip.MustParsePrefix("2001:db8::/64")}

// of is the spread of a fleet.
func of(s *elect.Spread, w *world) *lease.Spread { return s.Of(w.Candidates, w.Pools, w.scopes) }

// fleet is a world of n members of one network, ready and in touch.
func fleet(n int) *world {
	w := &world{World: report.World{Now: time.Unix(0, 0)}}
	for i := range n {
		w.Members = append(w.Members, mesh.Member{Name: fmt.Sprintf("node-%d", i+1), State: mesh.Alive, Meta: mesh.Meta{Ready: true, Segments: lan}})
	}
	w.Candidates, w.writers = elect.Candidates(w.Members, nil, false)
	return w
}

func newService(i int) lease.Service {
	return lease.Service{
		Namespace: "ns", Name: fmt.Sprintf("s%05d", i), UID: fmt.Sprintf("uid-%05d", i), Version: "1", Type: "LoadBalancer",
		Created: time.Unix(int64(i), 0), Families: []string{"IPv4"}, Ports: []string{"TCP/80"},
	}
}

func terms(t testing.TB, pool string, s *lease.Spread) lease.View {
	t.Helper()
	p, err := lease.ParsePoolFlag(pool)
	if err != nil {
		t.Fatal(err)
	}
	pools, err := lease.NewPools([]lease.Pool{p})
	if err != nil {
		t.Fatal(err)
	}
	return lease.View{Now: time.Unix(0, 0), Installation: "here", Pools: pools, Spread: s}
}

// picks creates Services at once and returns the addresses that are claimed for them.
func picks(t testing.TB, v lease.View, services int) []netip.Addr {
	t.Helper()
	table := lease.NewTable()
	var list []*lease.Service
	for i := range services {
		s := newService(i)
		list = append(list, &s)
	}
	table.Apply(true, list, nil, v.Now)
	var ips []netip.Addr
	steps, _ := table.Steps(v)
	for _, st := range steps {
		l, err := lease.DecodeLease(st.Annotations[lease.LeaseAnnotation])
		if err != nil || len(l.IPs) != 1 {
			t.Fatalf("%+v: %v", st, err)
		}
		ips = append(ips, l.IPs[0].IP)
	}
	if len(ips) != services {
		t.Fatalf("%d addresses for %d Services", len(ips), services)
	}
	return ips
}

// fullest elects the announcer of each address and returns how many the busiest one has.
func fullest(w *world, ips []netip.Addr) int {
	by := map[string]int{}
	most := 0
	for _, ip := range ips {
		name := w.Candidates.Elect(owner.VIP{IP: ip, Serving: true}).Owner
		by[name]++
		most = max(most, by[name])
	}
	return most
}

var spreads = []struct{ nodes, services int }{{3, 60}, {7, 3}, {50, 1000}}

// TestSpread elects the announcers of addresses as they are chosen, and of the lowest addresses.
func TestSpread(t *testing.T) {
	for _, tt := range spreads {
		t.Run(fmt.Sprintf("%d nodes, %d Services", tt.nodes, tt.services), func(t *testing.T) {
			w := fleet(tt.nodes)
			var s elect.Spread
			chosen := picks(t, terms(t, "198.18.0.0/16", s.Of(w.Candidates, w.Pools, w.scopes)), tt.services)
			lowest := picks(t, terms(t, "198.18.0.0/16", nil), tt.services)
			mean := float64(tt.services) / float64(tt.nodes)
			got := fullest(w, chosen)
			t.Logf("fullest node: %d, mean %.1f; with the lowest addresses it would be %d", got, mean, fullest(w, lowest))
			if most := (tt.services + tt.nodes - 1) / tt.nodes; got > most {
				t.Errorf("fullest node: %d, want at most %d", got, most)
			}
			if chosen[0] != lowest[0] {
				t.Errorf("the first Service has %v, want the first address %v", chosen[0], lowest[0])
			}
		})
	}
}

// TestSpreadStays makes sure that a turn without news does not have the table count again, and that
// every change of what an election depends on does.
func TestSpreadStays(t *testing.T) {
	var s elect.Spread
	was := of(&s, fleet(3))
	if of(&s, fleet(3)) != was {
		t.Error("made anew without need")
	}
	if diff := cmp.Diff([]string{"node-1", "node-2", "node-3"}, was.Nodes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, tt := range []struct {
		name   string
		change func(*mesh.Member, *watcher.Node)
		want   []string // of the nodes that announce
	}{
		{"dead", func(m *mesh.Member, _ *watcher.Node) { m.State = mesh.Dead }, []string{"node-1", "node-3"}},
		{"not ready", func(m *mesh.Member, _ *watcher.Node) { m.Meta.Ready = false }, []string{"node-1", "node-3"}},
		{"draining", func(m *mesh.Member, _ *watcher.Node) { m.Meta.Draining = true }, []string{"node-1", "node-3"}},
		{"cordoned", func(_ *mesh.Member, n *watcher.Node) { n.Going = "DrainInProgress" }, []string{"node-1", "node-3"}},
		{"excluded", func(_ *mesh.Member, n *watcher.Node) { n.Excluded = true }, []string{"node-1", "node-3"}},
		{"elsewhere", func(m *mesh.Member, _ *watcher.Node) {
			m.Meta.Segments = []netip.Prefix{netip.MustParsePrefix("198.19.0.0/16")}
		}, []string{"node-1", "node-3"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := fleet(3)
			nodes := []watcher.Node{{Name: "node-2"}}
			tt.change(&w.Members[1], &nodes[0])
			w.Candidates, _ = elect.Candidates(w.Members, nodes, false)
			now := s.Of(w.Candidates, w.Pools, w.scopes)
			if now == was {
				t.Fatal("not made anew")
			}
			seen := map[string]bool{}
			for ip := netip.MustParseAddr("198.18.0.1"); len(seen) < 2; ip = ip.Next() {
				seen[now.Announcer(ip)] = true
			}
			for name := range seen {
				if !slices.Contains(tt.want, name) {
					t.Errorf("%s is expected to announce", name)
				}
			}
		})
	}
}

// BenchmarkSpread chooses an address for one more Service where 10,000 addresses are in use.
func BenchmarkSpread(b *testing.B) {
	for _, nodes := range []int{3, 50, 500} {
		for _, pool := range []string{"198.18.0.0/16", "2001:db8::/64"} {
			b.Run(fmt.Sprintf("%s/%d nodes", pool[:4], nodes), func(b *testing.B) {
				var s elect.Spread
				v := terms(b, pool, of(&s, fleet(nodes)))
				one := newService(99999)
				if pool[0] == '2' {
					one.Families = []string{"IPv6"}
				}
				table := lease.NewTable()
				table.Apply(true, inUse(pool, 10000), nil, v.Now)
				table.Steps(v)
				pick := func(i int) {
					s := one
					s.UID = fmt.Sprint("uid-", i)
					table.Apply(false, []*lease.Service{&s}, nil, v.Now)
					if steps, _ := table.Steps(v); len(steps) != 1 {
						b.Fatal("no claim")
					}
				}
				pick(-1) // everything is counted
				for i := 0; b.Loop(); i++ {
					pick(i)
				}
			})
		}
	}
}

// inUse are Services that are bound to the first addresses of a pool.
func inUse(pool string, n int) []*lease.Service {
	var list []*lease.Service
	ip := netip.MustParsePrefix(pool).Addr()
	for i := range n {
		ip = ip.Next()
		l := lease.Lease{V: 1, By: "here", IPs: []lease.Item{{IP: ip, Pool: "default", State: "bound"}}}
		s := newService(i)
		if ip.Is6() {
			s.Families = []string{"IPv6"}
		}
		s.Annotations = [][2]string{{lease.PoolAnnotation, "default"}, {lease.LeaseAnnotation, l.Encode()}}
		s.Ingress = []string{ip.String()}
		list = append(list, &s)
	}
	return list
}

// BenchmarkSpreading hands out all the addresses of the tests above.
func BenchmarkSpreading(b *testing.B) {
	for _, bb := range spreads {
		b.Run(fmt.Sprintf("%d nodes, %d Services", bb.nodes, bb.services), func(b *testing.B) {
			w := fleet(bb.nodes)
			most := 0
			for b.Loop() {
				var s elect.Spread
				most = fullest(w, picks(b, terms(b, "198.18.0.0/16", s.Of(w.Candidates, w.Pools, w.scopes)), bb.services))
			}
			b.ReportMetric(float64(most), "fullest")
			b.ReportMetric(float64(bb.services)/float64(bb.nodes), "mean")
		})
	}
}
