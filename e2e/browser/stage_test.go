package browser

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/status"
)

// stage plays a mesh: nodes n1, n2, ... at 127.0.0.1, 127.0.0.2, ..., each with the real status
// server, all at one port, and what they show. Who announces what is elected by the real rank.
type stage struct {
	port int

	mu    sync.Mutex // guards all following fields
	now   func() time.Time
	nodes []*actor
	vips  []api.VIP
	shown api.Snapshot // what is the same for all: pools, waiting, conflicts
}

// actor is a node of the stage.
type actor struct {
	api.Member
	believes map[string]string // announcers that it alone believes in, by address
	stop     func()            // ends its server
}

// newStage plays nodes that serve until the test ends.
func newStage(t *testing.T, nodes int) *stage {
	t.Helper()
	s := &stage{port: freePort(t, nodes), now: time.Now}
	for i := range nodes {
		s.nodes = append(s.nodes, &actor{Member: api.Member{
			Name: fmt.Sprintf("n%d", i+1), Addr: fmt.Sprintf("127.0.0.%d:7927", i+1), State: "alive", Ready: true, Health: "ready", Tier: "normal",
			Version: "v1.0.0", Segments: []string{"198.18.0.0/24", "2001:db8::/64"}, RoundTrip: 0.00031 * float64(i),
		}})
	}
	for _, a := range s.nodes {
		s.serve(t, a)
	}
	return s
}

// serve runs the node's status server until it is stopped, or the test ends.
func (s *stage) serve(t *testing.T, a *actor) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	srv := status.New(status.Config{
		Addr:     net.JoinHostPort(netip.MustParseAddrPort(a.Addr).Addr().String(), strconv.Itoa(s.port)),
		Snapshot: func() api.Snapshot { return s.view(a) },
		Who:      func(ip netip.Addr) api.Who { return s.who(a, ip) },
		Healthy:  func() error { return nil },
		Log:      zerolog.Nop(),
	})
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	a.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", a.Name, err)
		}
	})
	t.Cleanup(a.stop)
}

// freePort is a port that is free at the loopback address of each node.
func freePort(t *testing.T, nodes int) int {
	t.Helper()
	for range 20 {
		if port, ok := tryPort(nodes); ok {
			return port
		}
	}
	t.Fatalf("no port is free at %d loopback addresses", nodes)
	return 0
}

func tryPort(nodes int) (port int, ok bool) {
	for i := range nodes {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:%d", i+1, port))
		if err != nil {
			return 0, false
		}
		defer ln.Close()
		port = int(netip.MustParseAddrPort(ln.Addr().String()).Port())
	}
	return port, true
}

// url is the page of a node, counted from 1.
func (s *stage) url(n int) string { return fmt.Sprintf("http://127.0.0.%d:%d/", n, s.port) }

// change lets something happen to everything at once.
func (s *stage) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// view is what the node shows.
func (s *stage) view(a *actor) api.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.shown
	r.Node, r.Version, r.Ready, r.At = a.Name, a.Version, a.Ready, s.now()
	r.VIPs = slices.Clone(s.vips)
	announces := map[string]int{}
	for i := range r.VIPs {
		if other, ok := a.believes[r.VIPs[i].IP]; ok {
			r.VIPs[i].Owner = other
		}
		announces[r.VIPs[i].Owner]++
	}
	for _, n := range s.nodes {
		m := n.Member
		m.Announces = announces[m.Name]
		r.Members = append(r.Members, m)
	}
	return r
}

// add makes addresses, each with a Service, announced for an hour.
func (s *stage) add(services ...string) {
	for _, name := range services {
		ip := netip.AddrFrom4([4]byte{198, 18, byte(64 + len(s.vips)/250), byte(1 + len(s.vips)%250)})
		s.vips = append(s.vips, api.VIP{IP: ip.String(), Services: []string{name}, Pool: "default", Since: s.now().Add(-time.Hour)})
		s.elect(&s.vips[len(s.vips)-1])
	}
}

// owners is all nodes as an election sees them.
func (s *stage) owners() *owner.Nodes {
	var nodes []owner.Node
	for _, a := range s.nodes {
		n := owner.Node{Name: a.Name}
		if a.State == "dead" {
			n.Unfit = a.State
		}
		nodes = append(nodes, n)
	}
	return owner.New(nodes)
}

// elect says who announces the address, by the rules of the product.
func (s *stage) elect(v *api.VIP) {
	e := s.owners().Elect(owner.VIP{IP: netip.MustParseAddr(v.IP), Serving: true})
	v.Owner, v.Next, v.Reason = e.Owner, e.Next, e.Reason
}

// who explains an address.
func (s *stage) who(a *actor, ip netip.Addr) api.Who {
	vips := s.view(a).VIPs
	s.mu.Lock()
	defer s.mu.Unlock()
	r := api.Who{Node: a.Name, IP: ip.String(), Words: ip.String() + " is held by no Service"}
	if i := slices.IndexFunc(vips, func(v api.VIP) bool { return v.IP == r.IP }); i >= 0 {
		r.VIP, r.Words = &vips[i], vips[i].Owner+" announces "+r.IP+": "+vips[i].Reason
	}
	for _, c := range s.owners().Ranking(owner.VIP{IP: ip, Serving: true}) {
		x := api.Candidate{Node: c.Node, Score: fmt.Sprintf("%016x", c.Score), Eligible: c.Reason == "", Reason: c.Reason}
		if r.VIP != nil {
			x.Role = map[string]string{r.VIP.Owner: "announcer", r.VIP.Next: "next"}[c.Node]
		}
		r.Ranking = append(r.Ranking, x)
	}
	return r
}

// die lets a node die: its addresses move.
func (s *stage) die(name string) {
	i := slices.IndexFunc(s.nodes, func(a *actor) bool { return a.Name == name })
	m := &s.nodes[i].Member
	m.State, m.Ready, m.Health, m.Tier, m.RoundTrip = "dead", false, "dead", "", 0
	s.shown.Conditions = append(s.shown.Conditions, health.New(health.NodeLost, health.Node(name), "neither gossip nor the wire reaches "+name))
	moves := map[string]*api.Move{}
	for i := range s.vips {
		v := &s.vips[i]
		was := v.Owner
		s.elect(v)
		if v.Owner == was {
			continue
		}
		v.From, v.Since, v.Cause, v.Change = was, s.now(), "member-lost", was+" was lost"
		m := moves[v.Owner]
		if m == nil {
			m = &api.Move{At: v.Since, From: was, To: v.Owner, Cause: v.Cause, Change: v.Change, Silent: 0.18, Held: 3600}
			moves[v.Owner] = m
		}
		m.Count++
		m.IPs = append(m.IPs, v.IP)
	}
	for _, to := range slices.Sorted(maps.Keys(moves)) {
		s.shown.Moves = append(s.shown.Moves, *moves[to])
	}
}
