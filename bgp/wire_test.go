package bgp

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/routes"
)

// tor is the router as the configuration has it.
func tor() routes.Router {
	return routes.Router{
		Name: "tor", Address: netip.MustParseAddr(routerIPv4), Port: 179, ASN: 64512,
		Hold: 90 * time.Second, Keepalive: 30 * time.Second, AddPath: true,
	}
}

// setOf is a set of the node with a number, with paths in the form prefix, next hop, prefix, ...
func setOf(node byte, r routes.Router, texts ...string) routes.Set {
	for i := 0; i < len(texts); i += 2 {
		r.Paths = append(r.Paths, routes.Path{Prefix: netip.MustParsePrefix(texts[i]), NextHop: netip.MustParseAddr(texts[i+1]), LocalPref: 100})
	}
	return routes.Set{ASN: 64513, RouterID: netip.AddrFrom4([4]byte{192, 0, 2, 10 + node}), Routers: []routes.Router{r}}
}

// Lines of the routers' configurations, which edits add to.
const (
	birdLine = "protocol bgp starling {"
	frrLine  = "neighbor starling remote-as 64513"
)

const (
	vip  = "203.0.113.1/32"
	vip6 = "2001:db8:1::1/128"
)

// One speaker announces the paths of all nodes, of both families, and takes some of them back.
func TestPathsOfAllNodes(t *testing.T) {
	t.Parallel()
	eachRouter(t, func(t *testing.T, n *network, r router) {
		r.start(t, n.router)
		s := n.node(1).speak()
		s.Apply(setOf(1, tor(), vip, "192.0.2.11", vip, "192.0.2.12", vip, "192.0.2.13", vip6, "2001:db8::11", vip6, "2001:db8::12"))
		got := s.established()
		if got.Takes != [2]bool{true, true} || got.AddPath != [2]bool{true, true} {
			t.Errorf("takes %v, add-path %v", got.Takes, got.AddPath)
		}
		n.router.awaitRoutes(vip, "192.0.2.11", "192.0.2.12", "192.0.2.13")
		n.router.awaitRoutes(vip6, "2001:db8::11", "2001:db8::12")
		s.Apply(setOf(1, tor(), vip, "192.0.2.11", vip, "192.0.2.13", vip6, "2001:db8::12"))
		n.router.awaitRoutes(vip, "192.0.2.11", "192.0.2.13")
		n.router.awaitRoutes(vip6, "2001:db8::12")
		s.Apply(routes.Set{})
		n.router.awaitRoutes(vip)
		n.router.awaitRoutes(vip6)
	})
}

// Each node announces its own path; the router spreads over all of them.
func TestPathOfEachNode(t *testing.T) {
	t.Parallel()
	eachRouter(t, func(t *testing.T, n *network, r router) {
		r.start(t, n.router)
		one, two := n.node(1).speak(), n.node(2).speak()
		plain := tor()
		plain.AddPath = false
		one.Apply(setOf(1, plain, vip, "192.0.2.11", vip6, "2001:db8::11"))
		two.Apply(setOf(2, plain, vip, "192.0.2.12", vip6, "2001:db8::12"))
		n.router.awaitRoutes(vip, "192.0.2.11", "192.0.2.12")
		n.router.awaitRoutes(vip6, "2001:db8::11", "2001:db8::12")
		two.stop()
		n.router.awaitRoutes(vip, "192.0.2.11")
		n.router.awaitRoutes(vip6, "2001:db8::11")
	})
}

// Within one AS, with sessions over IPv6 and a password.
func TestWithinAS(t *testing.T) {
	t.Parallel()
	eachRouter(t, func(t *testing.T, n *network, r router) {
		switch r.(type) {
		case *bird:
			r.start(t, n.router, "as 64512", "as 64513", "local 192.0.2.1", "direct;\n  password \"secret\";\n  local 2001:db8::1", "192.0.2.0/24", "2001:db8::/64")
		default:
			r.start(t, n.router, "router bgp 64512", "router bgp 64513", "192.0.2.0/24", "2001:db8::/64", frrLine, frrLine+"\n neighbor starling password secret")
		}
		s := n.node(1).speak()
		inside := tor()
		inside.ASN, inside.Address, inside.Password = 64513, netip.MustParseAddr(routerIPv6), "secret"
		set := setOf(1, inside, vip, "192.0.2.11", vip6, "2001:db8::11")
		set.Routers[0].Paths[0].LocalPref, set.Routers[0].Paths[1].LocalPref = 250, 250
		s.Apply(set)
		n.router.awaitRoutes(vip, "192.0.2.11")
		n.router.awaitRoutes(vip6, "2001:db8::11")
		if got := r.show(vip); !strings.Contains(got, r.preference(250)) {
			t.Errorf("no local preference of 250:\n%s", got)
		}

		// A wrong one.
		inside.Password = "another"
		s.Apply(setOf(1, inside, vip, "192.0.2.11"))
		if got, want := s.caused(routes.Unreachable), "[2001:db8::1]:179 does not answer; with a wrong password it is silent too"; got.Text != want {
			t.Errorf("text %q, want %q", got.Text, want)
		}
	})
}

// Communities arrive, and a path that is about to go is the last choice before it goes.
func TestCommunitiesArrive(t *testing.T) {
	t.Parallel()
	eachRouter(t, func(t *testing.T, n *network, r router) {
		r.start(t, n.router)
		s := n.node(1).speak()
		set := func(leaving bool) routes.Set {
			out := setOf(1, tor(), vip, "192.0.2.11", vip, "192.0.2.12")
			paths := out.Routers[0].Paths
			paths[0].Communities, paths[1].Communities = []string{"64513:100", "large:64513:1:2", "no-export"}, []string{"64513:200"}
			paths[1].Leaving = leaving
			return out
		}
		s.Apply(set(false))
		n.router.awaitRoutes(vip, "192.0.2.11", "192.0.2.12")
		got := r.show(vip)
		for _, want := range r.communities() {
			if !strings.Contains(got, want) {
				t.Errorf("no %q:\n%s", want, got)
			}
		}
		s.Apply(set(true))
		n.router.awaitRoutes(vip, "192.0.2.11")
		s.Apply(set(false))
		n.router.awaitRoutes(vip, "192.0.2.11", "192.0.2.12")
	})
}

// The routes of a router that sends some are not taken, and change nothing.
func TestRouterSendsRoutes(t *testing.T) {
	t.Parallel()
	eachRouter(t, func(t *testing.T, n *network, r router) {
		switch r.(type) {
		case *bird:
			r.start(t, n.router, "export none", "export all", "protocol device {", "protocol static { ipv4; route 198.51.100.0/24 blackhole; }\nprotocol device {")
		default:
			r.start(t, n.router, "route-map nothing deny", "route-map nothing permit", " maximum-paths 64\n exit-address-family\n !\n address-family ipv6", " maximum-paths 64\n  network 198.51.100.0/24\n exit-address-family\n !\n address-family ipv6", " bgp router-id", " no bgp network import-check\n bgp router-id")
		}
		node := n.node(1)
		s := node.speak()
		s.Apply(setOf(1, tor(), vip, "192.0.2.11"))
		n.router.awaitRoutes(vip, "192.0.2.11")
		await(t, "the router's path on the way to us", func() bool { return r.sends("198.51.100.0/24") })
		if got := node.routesTo("198.51.100.0/24"); len(got) > 0 {
			t.Errorf("routes %v", got)
		}
		if got := s.established(); got.Flaps != 0 || got.Sent != 1 {
			t.Errorf("session %+v", got)
		}
	})
}

// Who cannot be reached has the cause that the kernel or the router gives.
func TestWhyNoSession(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		router func(*routes.Router)
		node   byte
		want   routes.Cause
		text   string
	}{
		{"closed port", func(r *routes.Router) { r.Port = 1179 }, 1, routes.Refused, "nothing listens at 192.0.2.1:1179, or it turns this node away"},
		{"no such neighbor", func(r *routes.Router) { r.Address = netip.MustParseAddr("192.0.2.99") }, 1, routes.Unreachable, "192.0.2.99 does not answer ARP or neighbor discovery, or a router on the way knows no route"},
		{"no route", func(r *routes.Router) { r.Address = netip.MustParseAddr("198.51.100.1") }, 1, routes.Unreachable, "this node has no route to 198.51.100.1"},
		{"another AS", func(r *routes.Router) { r.ASN = 64999 }, 1, routes.WrongAS, "the router has AS 64512, the configuration says 64999"},
		{"a source of somebody else", func(r *routes.Router) { r.Source = netip.MustParseAddr("192.0.2.77") }, 1, routes.Unusable, "this node does not have the source address 192.0.2.77"},
		{"a password where none is wanted", func(r *routes.Router) { r.Password = "secret" }, 1, routes.Unreachable, "192.0.2.1:179 does not answer; with a wrong password it is silent too"},
		{"not a neighbor of the router", func(*routes.Router) {}, 9, routes.Refused, ""},
	}
	eachRouter(t, func(t *testing.T, n *network, r router) {
		r.start(t, n.router, "192.0.2.0/24", "192.0.2.8/29")
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				router := tor()
				tt.router(&router)
				s := n.node(tt.node).speak()
				defer n.pull(tt.node)
				defer s.stop()
				s.Apply(setOf(tt.node, router))
				if got := s.caused(tt.want); tt.text != "" && got.Text != tt.text {
					t.Errorf("text %q, want %q", got.Text, tt.text)
				}
			})
		}
	})
}

// The router expects another AS of us than we have.
func TestRouterWantsAnotherAS(t *testing.T) {
	t.Parallel()
	eachRouter(t, func(t *testing.T, n *network, r router) {
		switch r.(type) {
		case *bird:
			r.start(t, n.router, "as 64513", "as 64999")
		default:
			r.start(t, n.router, "remote-as 64513", "remote-as 64999")
		}
		s := n.node(1).speak()
		s.Apply(setOf(1, tor()))
		if got, want := s.caused(routes.WrongAS), "the router expects another AS of this node than 64513"; got.Text != want {
			t.Errorf("text %q, want %q", got.Text, want)
		}
	})
}

// A process ends and another one takes over; the router keeps the routes all the while. What the
// new one does not announce goes with its End-of-RIB.
func TestGracefulRestart(t *testing.T) {
	t.Parallel()
	eachRouter(t, func(t *testing.T, n *network, r router) {
		r.start(t, n.router)
		restarting := tor()
		restarting.Restart = 2 * time.Minute
		node := n.node(1)
		before := node.speak()
		before.Apply(setOf(1, restarting, vip, "192.0.2.11", "203.0.113.2/32", "192.0.2.11", vip6, "2001:db8::11"))
		n.router.awaitRoutes(vip, "192.0.2.11")
		n.router.awaitRoutes("203.0.113.2/32", "192.0.2.11")
		n.router.awaitRoutes(vip6, "2001:db8::11")
		gone := n.router.watchGone(vip, vip6)
		before.stop()
		await(t, "the router's notice that the session ended", func() bool { return !r.stands() })
		after := node.speak()
		after.Apply(setOf(1, restarting, vip, "192.0.2.11", vip6, "2001:db8::11"))
		after.established()
		n.router.awaitRoutes("203.0.113.2/32")
		n.router.awaitRoutes(vip, "192.0.2.11")
		n.router.awaitRoutes(vip6, "2001:db8::11")
		if lost := gone(); len(lost) > 0 {
			t.Errorf("the router's kernel lost %v", lost)
		}
	})
}

// With BFD too a router keeps the routes of a process that ends: FRR in any case, BIRD with "bfd
// graceful". It is gone for longer than BFD takes.
func TestGracefulRestartWithBFD(t *testing.T) {
	t.Parallel()
	eachRouter(t, func(t *testing.T, n *network, r router) {
		switch r.(type) {
		case *bird:
			r.start(t, n.router, birdLine, birdLine+"\n  bfd graceful;\n", "protocol device {", "protocol bfd {\n}\n\nprotocol device {")
		default:
			r.start(t, n.router, frrLine, frrLine+"\n neighbor starling bfd 3 300 300")
		}
		restarting := tor()
		restarting.Restart, restarting.BFD = 2*time.Minute, &routes.BFD{Interval: 300 * time.Millisecond, Multiplier: 3}
		node := n.node(1)
		before := node.speak()
		before.Apply(setOf(1, restarting, vip, "192.0.2.11"))
		n.router.awaitRoutes(vip, "192.0.2.11")
		await(t, "BFD session that is up", func() bool { return r.bfdCount() == 1 })
		gone := n.router.watchGone(vip)
		before.stop()
		await(t, "the end of both sessions", func() bool { return !r.stands() && r.bfdCount() == 0 })
		after := node.speak()
		after.Apply(setOf(1, restarting, vip, "192.0.2.11"))
		after.established()
		n.router.awaitRoutes(vip, "192.0.2.11")
		if lost := gone(); len(lost) > 0 {
			t.Errorf("the router's kernel lost %v", lost)
		}
	})
}

// A router that dies silently is noticed by BFD in about its interval times its multiplier.
func TestBFD(t *testing.T) {
	t.Parallel()
	birdBFD := []string{"protocol device {", "protocol bfd { interface \"*\" { interval 100 ms; multiplier 3; }; }\nprotocol device {", birdLine, birdLine + "\n  bfd on;"}
	frrBFD := []string{frrLine, frrLine + "\n neighbor starling bfd 3 100 100"}
	tests := []struct {
		name, router string
		bird, frr    []string
	}{
		{"IPv4", routerIPv4, birdBFD, frrBFD},
		{"IPv6", routerIPv6, append([]string{"local 192.0.2.1", "local 2001:db8::1", "192.0.2.0/24", "2001:db8::/64"}, birdBFD...), append([]string{"192.0.2.0/24", "2001:db8::/64"}, frrBFD...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			eachRouter(t, func(t *testing.T, n *network, r router) {
				edits := tt.frr
				if _, ok := r.(*bird); ok {
					edits = tt.bird
				}
				r.start(t, n.router, edits...)
				watched := tor()
				watched.Address, watched.BFD = netip.MustParseAddr(tt.router), &routes.BFD{Interval: 100 * time.Millisecond, Multiplier: 3}
				s := n.node(1).speak()
				s.Apply(setOf(1, watched, vip, "192.0.2.11"))
				n.router.awaitRoutes(vip, "192.0.2.11")
				await(t, "BFD session that is up", func() bool { return r.bfdCount() == 1 })

				// Both ends notice, far sooner than in the 90 s of the hold time.
				n.unplug(1)
				if got, want := s.caused(routes.Timeout), "BFD: the router fell silent"; got.Text != want {
					t.Errorf("text %q, want %q", got.Text, want)
				}
				n.router.awaitRoutes(vip)
			})
		})
	}
}

// Where the port of BFD is taken BGP does without, says so, and tries again. It also says that a
// router has no BFD.
func TestBFDMissing(t *testing.T) {
	t.Parallel()
	eachRouter(t, func(t *testing.T, n *network, r router) {
		r.start(t, n.router)
		node := n.node(1)
		var other net.PacketConn
		node.Must("take the port", node.Inside(func() (err error) {
			other, err = net.ListenPacket("udp4", ":3784")
			return err
		}))
		defer other.Close()
		watched := tor()
		watched.BFD = &routes.BFD{Interval: 100 * time.Millisecond, Multiplier: 3}
		s := node.speak()
		s.Apply(setOf(1, watched, vip, "192.0.2.11"))
		n.router.awaitRoutes(vip, "192.0.2.11")
		lacks := func(why string) {
			t.Helper()
			s.await("with BFD that is said to be missing as "+why, func(got routes.Session) bool {
				text := why
				if why != "" {
					text = "BFD does not run: " + why
				}
				return got.State == routes.Established && got.NoBFD == why && got.Text == text
			})
		}
		lacks("listen at UDP port 3784: bind: address already in use")
		_ = other.Close()
		lacks("")
		lacks("nothing comes from the router (UDP port 3784)")
	})
}

// A router that takes only packets that no router has passed (RFC 5082) has a session with us.
func TestTTLSecurity(t *testing.T) {
	t.Parallel()
	eachRouter(t, func(t *testing.T, n *network, r router) {
		switch r.(type) {
		case *bird:
			r.start(t, n.router, birdLine, birdLine+"\n  ttl security on;")
		default:
			r.start(t, n.router, frrLine, frrLine+"\n neighbor starling ttl-security hops 1")
		}
		s := n.node(1).speak()
		s.Apply(setOf(1, tor(), vip, "192.0.2.11"))
		n.router.awaitRoutes(vip, "192.0.2.11")
	})
}

// A router with a password, BFD and TTL security at once: what docs/bgp.md says to write for that.
func TestGuarded(t *testing.T) {
	t.Parallel()
	eachRouter(t, func(t *testing.T, n *network, r router) {
		switch r.(type) {
		case *bird:
			r.start(t, n.router, birdLine, birdLine+"\n  password \"secret\";\n  bfd on;\n  ttl security on;", "protocol device {", "protocol bfd {\n}\n\nprotocol device {")
		default:
			r.start(t, n.router, frrLine, frrLine+"\n neighbor starling password secret\n neighbor starling bfd 3 300 300\n neighbor starling ttl-security hops 1")
		}
		guarded := tor()
		guarded.Password, guarded.BFD, guarded.Restart = "secret", &routes.BFD{Interval: 300 * time.Millisecond, Multiplier: 3}, 2*time.Minute
		for i := range byte(3) {
			n.node(i + 1).speak().Apply(setOf(i+1, guarded, vip, fmt.Sprintf("192.0.2.%d", 11+i), vip6, fmt.Sprintf("2001:db8::%d", 11+i)))
		}
		n.router.awaitRoutes(vip, "192.0.2.11", "192.0.2.12", "192.0.2.13")
		n.router.awaitRoutes(vip6, "2001:db8::11", "2001:db8::12", "2001:db8::13")
		await(t, "three BFD sessions that are up", func() bool { return r.bfdCount() == 3 })
		n.unplug(2)
		n.router.awaitRoutes(vip, "192.0.2.11", "192.0.2.13")
	})
}

// A router that is a hop away has a session too, if the TTL is enough for the way, and BFD on its
// port for several hops (RFC 5883).
func TestMultihop(t *testing.T) {
	t.Parallel()
	eachRouter(t, func(t *testing.T, n *network, r router) {
		far := n.behind()
		switch r.(type) {
		case *bird:
			r.start(t, far, "local 192.0.2.1", "multihop 2;\n  bfd on;\n  local 198.51.100.1", "protocol device {",
				"protocol bfd { multihop { interval 300 ms; multiplier 3; }; }\nprotocol static { ipv4; route 192.0.2.0/24 via 198.51.100.2; }\nprotocol device {")
		default:
			r.start(t, far, frrLine, frrLine+"\n neighbor starling ebgp-multihop 2\n neighbor starling bfd 3 300 300")
		}
		node := n.node(1)
		node.way("198.51.100.0/24", routerIPv4)
		s := node.speak()
		distant := tor()
		distant.Address, distant.Multihop = netip.MustParseAddr("198.51.100.1"), 1
		s.Apply(setOf(1, distant))
		s.caused(routes.Unreachable)

		distant.Multihop, distant.BFD = 2, &routes.BFD{Interval: 300 * time.Millisecond, Multiplier: 3}
		s.Apply(setOf(1, distant, vip, "192.0.2.11"))
		if got := s.established(); got.Text != "" {
			t.Errorf("text %q", got.Text)
		}
		far.awaitRoutes(vip, "198.51.100.2")
		await(t, "BFD session that is up", func() bool { return r.bfdCount() == 1 })

		// Both ends notice, far sooner than in the 90 s of the hold time.
		n.unplug(1)
		if got, want := s.caused(routes.Timeout), "BFD: the router fell silent"; got.Text != want {
			t.Errorf("text %q, want %q", got.Text, want)
		}
		far.awaitRoutes(vip)
	})
}

// A node whose InternalIP is on another network than the router announces the address that it has
// in the session, which the router takes.
func TestOwnAddress(t *testing.T) {
	t.Parallel()
	eachRouter(t, func(t *testing.T, n *network, r router) {
		r.start(t, n.router)
		s := n.node(1).speak()
		set := setOf(1, tor(), vip, "198.51.100.11")
		set.Routers[0].Paths[0].Own = true
		s.Apply(set)
		n.router.awaitRoutes(vip, "192.0.2.11")
	})
}
