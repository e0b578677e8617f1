//go:build !race

// GoBGP's server (4.8.0) has data races of its own, so the race detector never sees these tests.

package bgp_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	packet "github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/osrg/gobgp/v4/pkg/server"

	"github.com/starling-lb/starling/bgp"
	"github.com/starling-lb/starling/routes"
)

// wait is how long a test waits for what must happen.
const wait = 20 * time.Second

// router is the GoBGP server of all tests, as the speaker of one test sees it: servers in one
// process share variables, so a second one is a data race.
type router struct {
	*server.BgpServer
	t       *testing.T
	speaker string // the speaker's address
}

// gobgp is the server. It listens on the loopback until the tests end.
var gobgp = sync.OnceValues(func() (*server.BgpServer, error) {
	s := server.NewBgpServer(server.LoggerOption(slog.New(slog.DiscardHandler), new(slog.LevelVar)))
	go s.Serve()
	return s, s.StartBgp(context.Background(), &api.StartBgpRequest{Global: &api.Global{
		Asn: 64512, RouterId: "192.0.2.1", ListenPort: int32(gobgpPort()), ListenAddresses: []string{"127.0.0.1"},
	}})
})

var speakers atomic.Uint32

// start makes the router, of AS 64512, a peer of a speaker with an address of its own. It keeps
// routes of who restarts, and takes several paths.
func start(t *testing.T) *router {
	t.Helper()
	s, err := gobgp()
	if err != nil {
		t.Fatalf("start GoBGP: %v", err)
	}
	r := &router{t: t, BgpServer: s, speaker: fmt.Sprintf("127.0.0.%d", 10+speakers.Add(1))}
	family := func(afi api.Family_Afi) *api.AfiSafi {
		return &api.AfiSafi{
			Config:            &api.AfiSafiConfig{Family: &api.Family{Afi: afi, Safi: api.Family_SAFI_UNICAST}, Enabled: true},
			AddPaths:          &api.AddPaths{Config: &api.AddPathsConfig{Receive: true}},
			MpGracefulRestart: &api.MpGracefulRestart{Config: &api.MpGracefulRestartConfig{Enabled: true}},
		}
	}
	if err := r.AddPeer(t.Context(), &api.AddPeerRequest{Peer: &api.Peer{
		Conf:            &api.PeerConf{NeighborAddress: r.speaker, PeerAsn: 64513},
		Transport:       &api.Transport{PassiveMode: true},
		EbgpMultihop:    &api.EbgpMultihop{Enabled: true, MultihopTtl: 255},
		GracefulRestart: &api.GracefulRestart{Enabled: true, RestartTime: 60, HelperOnly: true},
		AfiSafis:        []*api.AfiSafi{family(api.Family_AFI_IP), family(api.Family_AFI_IP6)},
	}}); err != nil {
		t.Fatalf("add the speaker: %v", err)
	}
	return r
}

// gobgpPort is a port that nobody listened at.
var gobgpPort = sync.OnceValue(func() uint16 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort().Port()
})

// paths are those that the router has of the speaker, in words.
func (r *router) paths() []string {
	var out []string
	for _, f := range []packet.Family{packet.RF_IPv4_UC, packet.RF_IPv6_UC} {
		err := r.ListPath(apiutil.ListPathRequest{TableType: api.TableType_TABLE_TYPE_ADJ_IN, Family: f, Name: r.speaker}, func(prefix packet.NLRI, paths []*apiutil.Path) {
			for _, p := range paths {
				out = append(out, inWords(prefix, p))
			}
		})
		if err != nil {
			r.t.Fatalf("list paths: %v", err)
		}
	}
	slices.Sort(out)
	return out
}

func inWords(prefix packet.NLRI, p *apiutil.Path) string {
	out := prefix.String()
	for _, a := range p.Attrs {
		switch a := a.(type) {
		case *packet.PathAttributeNextHop:
			out += " by " + a.Value.String()
		case *packet.PathAttributeMpReachNLRI:
			out += " by " + a.Nexthop.String()
		case *packet.PathAttributeAsPath, *packet.PathAttributeCommunities, *packet.PathAttributeLargeCommunities:
			out += " " + a.String()
		}
	}
	if p.Stale {
		out += " stale"
	}
	return out
}

// await waits until the router has these paths. It tells nobody when that changes.
func (r *router) await(want ...string) {
	r.t.Helper()
	late := time.Now().Add(wait)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		got := r.paths()
		diff := cmp.Diff(want, got)
		if diff == "" {
			return
		}
		if time.Now().After(late) {
			r.t.Fatalf("paths (-want +got):\n%s", diff)
		}
		<-tick.C
	}
}

// set is what is announced to the router, by paths in the form prefix, next hop, prefix, ...
func (r *router) set(texts ...string) routes.Set {
	one := routes.Router{
		Name: "gobgp", Address: netip.MustParseAddr("127.0.0.1"), Port: gobgpPort(), ASN: 64512,
		Source: netip.MustParseAddr(r.speaker),
		Hold:   90 * time.Second, Keepalive: 30 * time.Second, AddPath: true, Restart: time.Minute,
	}
	for pair := range slices.Chunk(texts, 2) {
		one.Paths = append(one.Paths, routes.Path{Prefix: netip.MustParsePrefix(pair[0]), NextHop: netip.MustParseAddr(pair[1])})
	}
	return routes.Set{ASN: 64513, RouterID: netip.MustParseAddr("192.0.2.11"), Routers: []routes.Router{one}}
}

// speak runs a speaker. What it returns ends it.
func speak(t *testing.T) (*bgp.Speaker, func()) {
	t.Helper()
	s := bgp.New(bgp.Config{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s, func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

const (
	four = "203.0.113.1/32"
	six  = "2001:db8:1::1/128"
)

func by(prefix, hop string) string { return fmt.Sprintf("%s {AsPath: 64513} by %s", prefix, hop) }

// One speaker announces several paths to a router that is a GoBGP server.
func TestGoBGPPaths(t *testing.T) {
	t.Parallel()
	r := start(t)
	s, stop := speak(t)
	s.Apply(r.set(four, "192.0.2.11", four, "192.0.2.12", six, "2001:db8::11"))
	r.await(by(six, "2001:db8::11"), by(four, "192.0.2.11"), by(four, "192.0.2.12"))
	set := r.set(four, "192.0.2.12")
	set.Routers[0].Paths[0].Communities = []string{"64513:100", "large:64513:1:2"}
	set.Routers[0].Paths[0].Leaving = true
	s.Apply(set)
	r.await(by(four, "192.0.2.12") + " {Communities: 64513:100, planned-shut} {LargeCommunity: [ 64513:1:2]}")
	s.Apply(routes.Set{})
	r.await()
	stop()
}

// A speaker that ends leaves its paths there, stale; the one after it takes them over, and what it
// does not announce goes.
func TestGoBGPRestart(t *testing.T) {
	t.Parallel()
	r := start(t)
	before, stop := speak(t)
	before.Apply(r.set(four, "192.0.2.11", six, "2001:db8::11"))
	r.await(by(six, "2001:db8::11"), by(four, "192.0.2.11"))
	stop()
	r.await(by(six, "2001:db8::11")+" stale", by(four, "192.0.2.11")+" stale")
	after, stop := speak(t)
	defer stop()
	after.Apply(r.set(four, "192.0.2.11"))
	r.await(by(four, "192.0.2.11"))
}

func TestGoBGPWantsAnotherAS(t *testing.T) {
	t.Parallel()
	r := start(t)
	s, stop := speak(t)
	defer stop()
	set := r.set()
	set.ASN = 64999
	s.Apply(set)
	late := time.After(wait)
	for {
		for _, got := range s.Sessions() {
			if got.Cause == routes.WrongAS && strings.Contains(got.Text, "another AS of this node than 64999") {
				return
			}
		}
		select {
		case <-s.Changed():
		case <-late:
			t.Fatalf("sessions %+v", s.Sessions())
		}
	}
}
