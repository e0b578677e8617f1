package speaker

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

// still is a world in which nothing happens but what a benchmark lets happen.
type still struct {
	members  []mesh.Member
	changes  watcher.Changes
	cluster  watcher.State
	pools    *lease.Pools
	wire     arpd.State
	answered int
}

func (s *still) Members() []mesh.Member   { return append([]mesh.Member(nil), s.members...) }
func (s *still) Settled() bool            { return true }
func (s *still) SetMeta(mesh.Meta)        {}
func (s *still) Problems() []string       { return nil }
func (s *still) Changed() <-chan struct{} { return nil }
func (s *still) Pools() *lease.Pools      { return s.pools }

func (s *still) Write(context.Context, watcher.Write) error { return nil }
func (s *still) Event(watcher.Event)                        {}

type stillWire struct{ *still }

func (s stillWire) Set(vips []netip.Addr) { s.answered = len(vips) }
func (s stillWire) Watch([]netip.Addr)    {}
func (s stillWire) Confine([]arpd.Limit)  {}
func (s stillWire) Meet(arpd.Company)     {}
func (s stillWire) State() arpd.State     { return s.wire }

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
			if w.answered == 0 || w.answered == count {
				b.Fatalf("answers for %d of %d", w.answered, count)
			}
			for i := 0; b.Loop(); i++ {
				w.changes.Put = []watcher.Service{boundService(i%count, 1000000+i)}
				s.turn(now.Add(time.Minute))
			}
		})
	}
}

func boundService(i, version int) watcher.Service {
	ip := netip.AddrFrom4([4]byte{198, 18, byte(128 + i/256), byte(i)})
	lease := fmt.Sprintf(`{"v":1,"by":"here","holder":"n1","ips":[{"ip":%q,"pool":"p","state":"bound"}]}`, ip)
	return watcher.Service{
		Namespace: "default", Name: fmt.Sprint("s", i), UID: fmt.Sprint("u", i), Version: fmt.Sprint(version), Created: time.Unix(int64(i), 0),
		Type: "LoadBalancer", Families: []string{"IPv4"}, Ports: []string{"TCP/80"}, Ingress: []string{ip.String()},
		Annotations: map[string]string{"starling-lb.io/lease": lease, "starling-lb.io/ip-allocated-from-pool": "p"},
	}
}

func stillSpeaker(b *testing.B, count int) (*Speaker, *still) {
	b.Helper()
	pools, err := lease.NewPools([]lease.Pool{{Name: "p", Ranges: []string{"198.18.128.0/17"}}})
	if err != nil {
		b.Fatal(err)
	}
	segment := netip.MustParsePrefix("198.18.0.0/16")
	w := &still{pools: pools, wire: arpd.State{
		Interfaces: []arpd.Interface{{Name: "eth0", Used: true, Prefixes: []netip.Prefix{segment}}},
		Answers:    map[arpd.Question]arpd.Answer{{MAC: arpd.Everybody}: {Silent: true}},
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
		w.cluster.Endpoints[s.Key()] = watcher.Endpoints{Nodes: []string{"n1"}}
	}
	return New(Config{
		Node: "n1", Installation: "here", Mesh: w, Wire: stillWire{w}, Cluster: stillCluster{w}, API: w, Settings: w, Log: zerolog.Nop(),
	}), w
}
