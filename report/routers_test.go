package report

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/routes"
)

// bound is an address of Services, which its pool announces by BGP.
const bound = "203.0.113.1"

// withRouter is what n1 sees of a router, of which n1 and n2 are peers.
func withRouter(mode string, up bool, s routes.Session) *World {
	ip := netip.MustParseAddr(bound)
	var meta mesh.Meta
	if up {
		meta.Sessions = []uint32{mesh.ShortName("tor1")}
	}
	candidate := owner.VIP{IP: ip, Serving: true}
	node := func(name, addr, unfit string) routes.Node {
		return routes.Node{Node: owner.Node{Name: name, Unfit: unfit}, Ready: true, Addresses: []netip.Addr{netip.MustParseAddr(addr)}, Sessions: meta.Sessions}
	}
	s.Router = "tor1"
	return &World{
		Self: "n1", VIPs: []lease.VIP{{IP: ip}}, Sessions: []routes.Session{s},
		Members:  []mesh.Member{{Name: "n1", State: mesh.Alive, Meta: meta}, {Name: "n2", State: mesh.Alive}},
		Election: func(int) Election { return Election{Candidate: candidate} },
		Plan: routes.New(routes.World{
			Self: "n1", BGP: &lease.BGP{ASN: 64513, Sessions: mode, Routers: []lease.Router{{Name: "tor1", Address: netip.MustParseAddr("198.18.0.254"), ASN: 64512}}},
			Nodes:     []routes.Node{node("n1", "198.18.0.1", ""), node("n2", "198.18.0.2", "not ready")},
			Addresses: []routes.Address{{VIP: candidate, Pool: "p", Entries: []lease.Announcement{{}}}},
		}),
	}
}

// TestRouterConditions: each cause has a code of its own, and what harms everybody is an error.
func TestRouterConditions(t *testing.T) {
	t.Parallel()
	down := func(cause routes.Cause) routes.Session {
		return routes.Session{State: routes.Active, Cause: cause, Text: "text"}
	}
	four, both := [2]bool{true, false}, [2]bool{true, true}
	for _, tt := range []struct {
		name, mode string
		up         bool
		session    routes.Session
		want       string
	}{
		{"well", "each", true, routes.Session{State: routes.Established, Takes: four}, ""},
		{"not begun", "each", true, routes.Session{State: routes.Idle}, ""},
		{"nobody", "each", false, routes.Session{State: routes.Idle}, "no-router-session: no node has a session with router tor1 (198.18.0.254)"},
		{"unreachable", "each", true, down(routes.Unreachable), "router-unreachable: n1 has no session with router tor1 (198.18.0.254): unreachable (text)"},
		{"refused", "each", true, down(routes.Refused), "router-refuses: n1 has no session with router tor1 (198.18.0.254): refused (text)"},
		{"wrong AS", "each", true, down(routes.WrongAS), "router-wrong-as: n1 has no session with router tor1 (198.18.0.254): wrong AS (text)"},
		{"rejected", "each", true, down(routes.Rejected), "router-rejects: n1 has no session with router tor1 (198.18.0.254): rejected (text)"},
		{"no answer", "each", true, down(routes.NoAnswer), "router-silent: n1 has no session with router tor1 (198.18.0.254): no answer (text)"},
		{"hold time", "each", true, down(routes.Timeout), "router-silent: n1 has no session with router tor1 (198.18.0.254): hold time (text)"},
		{"flapping", "each", true, down(routes.Flapping), "router-flaps: n1 has no session with router tor1 (198.18.0.254): flapping (text)"},
		{"cannot start", "each", true, down(routes.Unusable), "router-unusable: n1 has no session with router tor1 (198.18.0.254): cannot start (text)"},
		{"one path", "few", true, routes.Session{State: routes.Established, Takes: four}, "router-one-path: router tor1 (198.18.0.254) takes one path for each prefix only, as n1 has seen"},
		{"several paths", "few", true, routes.Session{State: routes.Established, Takes: both, AddPath: both}, ""},
		{"no BFD", "each", true, routes.Session{State: routes.Established, Takes: both, NoBFD: "nothing comes from the router (UDP port 3784)"}, "router-no-bfd: the session of n1 with router tor1 (198.18.0.254) stands without BFD: nothing comes from the router (UDP port 3784)"},
		{"no IPv4", "each", true, routes.Session{State: routes.Established, Takes: [2]bool{false, true}}, "router-no-family: router tor1 (198.18.0.254) takes no paths of IPv4 from n1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, c := range withRouter(tt.mode, tt.up, tt.session).ofRouters() {
				if c.Subject != health.Router("tor1") {
					t.Errorf("about %s", c.Subject)
				}
				got = append(got, string(c.Code)+": "+c.Words)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, "\n")); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNoNodeSelected: a router whose nodeSelectors match no node, and what to do about it.
func TestNoNodeSelected(t *testing.T) {
	t.Parallel()
	pools, err := lease.ReadPools(nil, "f", []byte(
		"bgp: {asn: 1, peers: [{name: tor1, address: 198.18.0.254, asn: 2, nodeSelectors: [{matchLabels: {rack: '1'}}]}]}\npools: []"))
	if err != nil {
		t.Fatal(err)
	}
	for label, want := range map[string]string{
		"1": "no node has a session with router tor1 (198.18.0.254)",
		"2": "no node has a session with router tor1 (198.18.0.254): its nodeSelectors match no node",
	} {
		w := withRouter("each", false, routes.Session{})
		w.Plan = routes.New(routes.World{
			Self: "n1", BGP: pools.BGP(), Nodes: []routes.Node{{Node: owner.Node{Name: "n1"}, Ready: true, Labels: lease.Labels{"rack": label}}},
		})
		got := w.ofRouters()
		if len(got) != 1 || got[0].Code != health.NoRouterSession || got[0].Words != want {
			t.Errorf("rack %s: %+v", label, got)
		} else if advised := strings.Contains(got[0].Advice, "kubectl label nodes"); advised != (label == "2") {
			t.Errorf("rack %s: advice %q", label, got[0].Advice)
		}
	}
}

// TestRouterReports: what only this node has is reported by it for itself, the rest by one for all.
func TestRouterReports(t *testing.T) {
	t.Parallel()
	got := withRouter("each", false, routes.Session{State: routes.Active, Cause: routes.Refused}).reportsOfRouters()
	if len(got) != 2 || got[0].Once() != "RouterLost tor1" || !got[0].everywhere || got[1].Once() != "RouterLost tor1 on n1" || got[1].everywhere {
		t.Errorf("%+v", got)
	}
}

// TestUnrouted: addresses that no router learns of, though they have endpoints.
func TestUnrouted(t *testing.T) {
	t.Parallel()
	w := withRouter("each", true, routes.Session{State: routes.Established})
	if got := w.unrouted(); len(got) > 0 {
		t.Errorf("%v", got)
	}
	w.Plan = routes.New(routes.World{
		Self: "n1", BGP: &lease.BGP{Routers: []lease.Router{{Name: "tor1"}}}, Nodes: []routes.Node{{Node: owner.Node{Name: "n1", Unfit: "not ready"}}},
		Addresses: []routes.Address{{VIP: owner.VIP{IP: netip.MustParseAddr(bound), Serving: true}, Entries: []lease.Announcement{{}}}},
	})
	want := []health.Condition{health.New(health.NotRouted, health.Address(bound), "no router learns of 203.0.113.1: no node may be announced to tor1: not ready")}
	if diff := cmp.Diff(want, w.unrouted()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRouters: a router with this node's session, and how an address is announced to it.
func TestRouters(t *testing.T) {
	t.Parallel()
	w := withRouter("few", true, routes.Session{State: routes.Established, Sent: 2, Flaps: 1})
	want := []api.Router{{
		Name: "tor1", Address: "198.18.0.254", ASN: 64512, Sessions: "few", Why: "sessions: few", Speakers: []string{"n1", "n2"}, Up: []string{"n1"},
		Session: &api.Session{State: "established", Paths: 2, Flaps: 1},
	}}
	if diff := cmp.Diff(want, w.routers()); diff != "" {
		t.Errorf("routers (-want +got):\n%s", diff)
	}
	if got := api.Routed(routesOf(w.route(0))); got != "n1 to tor1" {
		t.Errorf("announced by %q", got)
	}
	if addresses, wanted, have := w.Routed(); addresses != 1 || wanted != 1 || have != 1 {
		t.Errorf("%d addresses, %d of %d sessions", addresses, have, wanted)
	}
	ranking := []api.Candidate{{Node: "n1"}, {Node: "n2"}}
	routed(ranking, w.route(0))
	if diff := cmp.Diff([]api.Candidate{{Node: "n1", Routers: []string{"tor1"}}, {Node: "n2", NotRouted: "not ready"}}, ranking); diff != "" {
		t.Errorf("ranking (-want +got):\n%s", diff)
	}
}

// TestNoNodeYet: without nodeSelectors none is at fault while no Node is known.
func TestNoNodeYet(t *testing.T) {
	t.Parallel()
	pools, err := lease.ReadPools(nil, "f", []byte("bgp: {asn: 1, peers: [{name: tor1, address: 198.18.0.254, asn: 2}]}\npools: []"))
	if err != nil {
		t.Fatal(err)
	}
	w := withRouter("each", false, routes.Session{})
	w.Plan = routes.New(routes.World{Self: "n1", BGP: pools.BGP()})
	got := w.ofRouters()
	if len(got) != 1 || got[0].Words != "no node has a session with router tor1 (198.18.0.254)" {
		t.Errorf("%+v", got)
	}
}
