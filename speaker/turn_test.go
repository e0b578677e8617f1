package speaker

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/forward"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/probe"
	"github.com/starling-lb/starling/report"
	"github.com/starling-lb/starling/watcher"
)

// still is a world in which nothing happens but what a benchmark lets happen.
type still struct {
	at       time.Time // by its clock; zero: the real one
	members  []mesh.Member
	changes  watcher.Changes
	cluster  watcher.State
	pools    *lease.Pools
	wire     arpd.State
	answered []netip.Addr
	watched  []netip.Addr
	set      time.Time // when the wire was told last
	unknown  bool      // nobody configured the pools
}

func (s *still) Members() []mesh.Member         { return append([]mesh.Member(nil), s.members...) }
func (s *still) Settled() bool                  { return true }
func (s *still) SetMeta(mesh.Meta)              {}
func (s *still) Conditions() []health.Condition { return nil }
func (s *still) Changed() <-chan struct{}       { return nil }
func (s *still) Send([]peers.Message)           {}
func (s *still) Messages() []peers.Message      { return nil }
func (s *still) Pools() *lease.Pools            { return s.pools }
func (s *still) Known() bool                    { return !s.unknown }

func (s *still) Write(context.Context, watcher.Write) error { return nil }
func (s *still) Event(watcher.Event)                        {}

type stillWire struct{ *still }

func (s stillWire) Assign(a claims.Assignment) []netip.Addr {
	s.answered, s.watched, s.set = a.Own, a.Watched, time.Now()
	return nil
}
func (s stillWire) SetLimits([]netif.Limit)  {}
func (s stillWire) SetPeers(arpd.Peers)      {}
func (s stillWire) Probe([]netip.Addr)       {}
func (s stillWire) Send([]probe.Question)    {}
func (s stillWire) Test([]forward.Question)  {}
func (s stillWire) Replies() []any           { return nil }
func (s stillWire) Replied() <-chan struct{} { return nil }
func (s stillWire) State() arpd.State        { return s.wire }

type stillCluster struct{ *still }

func (s stillCluster) State() watcher.State { return s.cluster }
func (s stillCluster) Drain() (c watcher.Changes) {
	c, s.changes = s.changes, watcher.Changes{}
	return c
}

// BenchmarkTurn is what one change of one Service costs among many.
func BenchmarkTurn(b *testing.B) {
	for _, count := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprint(count, " addresses"), func(b *testing.B) {
			s, w := stillSpeaker(b, count)
			now := time.Now()
			s.turn(now)
			s.turn(now.Add(time.Minute)) // It has come back for good.
			if n := len(w.answered); n == 0 || n == count {
				b.Fatalf("answers for %d of %d", n, count)
			}
			for i := 0; b.Loop(); i++ {
				w.changes.Put = []*watcher.Service{boundService(i%count, 1000000+i)}
				s.turn(now.Add(time.Minute))
			}
		})
	}
}

// BenchmarkTakeOver is what passes from the news that a member is dead until the wire has
// its addresses.
func BenchmarkTakeOver(b *testing.B) {
	for _, count := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprint(count, " addresses"), func(b *testing.B) {
			s, w := stillSpeaker(b, count)
			now := time.Now()
			s.turn(now)
			s.turn(now.Add(time.Minute))
			all, took := len(w.answered), time.Duration(0)
			for i := 0; b.Loop(); i++ {
				w.members[2].State = mesh.Dead
				w.set = time.Time{}
				begun := time.Now()
				s.turn(now.Add(time.Minute))
				took += w.set.Sub(begun)
				if n := len(w.answered); n <= all {
					b.Fatalf("answers for %d addresses after another died, %d before", n, all)
				}
				w.members[2].State = mesh.Alive
				s.turn(now.Add(time.Minute))
			}
			b.ReportMetric(float64(took.Microseconds())/float64(b.N)/1000, "ms-to-wire")
		})
	}
}

// TestRollForgetsNothing holds elections of which some are kept from turn to turn against all held
// anew.
func TestRollForgetsNothing(t *testing.T) {
	const count = 30
	r := rand.New(rand.NewPCG(1, 2))
	s, w := stillSpeaker(t, count)
	now := time.Now()
	nodes := [][]string{nil, {"n1"}, {"n2"}, {"n2", "n3"}}
	local := make([]bool, count)
	for step := range 500 {
		switch i := r.IntN(count); r.IntN(6) {
		case 0:
			key := boundService(i, 0).Key()
			w.changes.Endpoints = []watcher.Key{key}
			w.cluster.Endpoints = maps.Clone(w.cluster.Endpoints)
			w.cluster.Endpoints[key] = everywhere(nodes[r.IntN(len(nodes))]...)
		case 1:
			local[i] = !local[i]
			svc := boundService(i, count+step+1)
			svc.Local = local[i]
			w.changes.Put = []*watcher.Service{svc}
		case 2:
			w.changes.Deleted = []watcher.Key{boundService(i, 0).Key()}
		case 3:
			w.members[1+r.IntN(2)].Meta.Ready = r.IntN(2) == 0
		case 4:
			w.members[1+r.IntN(2)].Meta.Draining = r.IntN(2) == 0
		case 5: // Nothing has changed.
		}
		got := s.turn(now.Add(time.Minute))
		var mine, others []netip.Addr
		for i, v := range got.VIPs {
			if got.elections[i].Result().Owner == "n1" {
				mine = append(mine, v.IP)
			} else {
				others = append(others, v.IP)
			}
			if diff := cmp.Diff(got.Candidates.Elect(s.candidate(got, v)), got.elections[i].Elected); diff != "" {
				t.Fatalf("step %d, %s (-anew +got):\n%s", step, v.IP, diff)
			}
		}
		if diff := cmp.Diff([][]netip.Addr{mine, others}, [][]netip.Addr{w.answered, w.watched}, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("step %d: answered and watched (-want +got):\n%s", step, diff)
		}
	}
}

func boundService(i, version int) *watcher.Service {
	ip := netip.AddrFrom4([4]byte{198, 18, byte(128 + i/256), byte(i)})
	lease := fmt.Sprintf(`{"v":1,"by":"here","holder":"n1","ips":[{"ip":%q,"pool":"p","state":"bound"}]}`, ip)
	return &watcher.Service{
		Namespace: "default", Name: fmt.Sprint("s", i), UID: fmt.Sprint("u", i), Version: fmt.Sprint(version), Created: time.Unix(int64(i), 0),
		Type: "LoadBalancer", Families: []string{"IPv4"}, Ports: []string{"TCP/80"}, Ingress: []string{ip.String()},
		Annotations: [][2]string{{"starling-lb.io/ip-allocated-from-pool", "p"}, {"starling-lb.io/lease", lease}},
	}
}

func stillSpeaker(b testing.TB, count int) (*Speaker, *still) {
	b.Helper()
	pools, err := lease.NewPools([]lease.Pool{{Name: "p", Ranges: []string{"198.18.128.0/17"}}})
	if err != nil {
		b.Fatal(err)
	}
	segment := netip.MustParsePrefix("198.18.0.0/16")
	w := &still{pools: pools, wire: arpd.State{
		Interfaces: []netif.Interface{{Name: "eth0", MAC: mac1, Used: true, Prefixes: []netip.Prefix{segment}}},
	}}
	w.cluster = watcher.State{Synced: true, LastContact: time.Now().Add(time.Minute), Endpoints: map[watcher.Key]watcher.Endpoints{}}
	for i := range 3 {
		name := fmt.Sprint("n", i+1)
		w.members = append(w.members, mesh.Member{Name: name, State: mesh.Alive, Meta: mesh.Meta{Ready: true, Segments: []netip.Prefix{segment}}})
		w.cluster.Nodes = append(w.cluster.Nodes, watcher.Node{Name: name})
	}
	w.changes.Reset = true
	for i := range count {
		s := boundService(i, i+1)
		w.changes.Put = append(w.changes.Put, s)
		w.cluster.Endpoints[s.Key()] = everywhere("n1")
	}
	w.at = time.Now().Add(-500 * time.Millisecond) // everybody was asked a moment ago
	s := New(Config{
		Now: func() time.Time {
			if w.at.IsZero() {
				return time.Now()
			}
			return w.at
		},
		Node: "n1", Installation: "here", Testing: true, Mesh: w, Wire: stillWire{w}, Cluster: stillCluster{w}, API: w, Settings: w, Log: zerolog.Nop(),
	})
	s.live.Step(peers.Self{MACs: []string{mac1}})
	for range 10 {
		s.live.Step()
		w.at = w.at.Add(50 * time.Millisecond)
	}
	w.at = time.Time{}
	return s, w
}

// TestFrozenPools: bound addresses stay as long as it is not known of all members that they have
// these pools.
func TestFrozenPools(t *testing.T) {
	t.Parallel()
	alike := []mesh.Member{{Name: "n1", State: mesh.Alive}, {Name: "n2", State: mesh.Alive}}
	differ := []mesh.Member{{Name: "n1", State: mesh.Alive}, {Name: "n2", State: mesh.Alive, Meta: mesh.Meta{Config: 1}}}
	asideFor := func(d time.Duration) []mesh.Member {
		return []mesh.Member{{Name: "n1", State: mesh.Alive}, {Name: "n2", State: mesh.OnWire, Since: time.Now().Add(-d)}}
	}
	for _, tt := range []struct {
		name    string
		members []mesh.Member
		unknown bool
		want    bool
	}{
		{"all alike", alike, false, false},
		{"another configuration", differ, false, true},
		{"one that the wire alone reaches", asideFor(time.Minute), false, true},
		{"the same, since a moment ago", asideFor(0), false, false},
		{"nobody configured any", alike, true, true},
	} {
		s, w := stillSpeaker(t, 0)
		w.unknown = tt.unknown
		if got := s.frozen(&world{World: report.World{Members: tt.members, Now: time.Now()}}); got != tt.want {
			t.Errorf("%s: frozen %v", tt.name, got)
		}
	}
}

// This node's entry is what it is in this turn, but for its keys, which the mesh knows.
func TestSelfTellsItsKeys(t *testing.T) {
	t.Parallel()
	others := []mesh.Member{{Name: "n1", State: mesh.Dead, Meta: mesh.Meta{Keys: []string{"0a0b0c0d"}}}, {Name: "n2", State: mesh.Alive}}
	got := withSelf(others, "n1", mesh.Meta{Ready: true})
	want := []mesh.Member{{Name: "n1", State: mesh.Alive, Meta: mesh.Meta{Ready: true, Keys: []string{"0a0b0c0d"}}}, {Name: "n2", State: mesh.Alive}}
	if diff := cmp.Diff(want, got, comparePrefix); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
