package bgp

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	wire "github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/starling-lb/starling/routes"
)

func id(text string) netip.Addr { return netip.MustParseAddr(text) }

// Nothing is dialed before there are routers, and none is there before it is applied.
func TestNothingWithoutRouters(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, r *fakeRouter) {
		s, stop := r.speaker()
		s.Apply(routes.Set{ASN: 64513, RouterID: id("192.0.2.11")})
		time.Sleep(time.Hour)
		if len(r.dialed) != 0 || len(s.Sessions()) != 0 || len(s.bfd.sockets) != 0 {
			t.Errorf("%d connections, sessions %v, %d sockets", len(r.dialed), s.Sessions(), len(s.bfd.sockets))
		}
		stop()
	})
}

func TestAnnounce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, r *fakeRouter) {
		r.addPath = true
		s, stop := r.speaker()
		s.Apply(setOf(1, tor(), "203.0.113.1/32", "192.0.2.11", "203.0.113.1/32", "192.0.2.12", "2001:db8:1::/64", "2001:db8::11"))
		e := r.accept()
		e.expect("OPEN AS 64513 hold 90 ID 192.0.2.11 ipv4-unicast, ipv6-unicast, route-refresh, AS 64513, add-path")
		e.send(open(64512, 90, both(true)...))
		e.expect("KEEPALIVE")
		e.send(wire.NewBGPKeepAliveMessage())
		e.expect("UPDATE +203.0.113.1/32:3221225995 {AsPath: 64513} by 192.0.2.11", "UPDATE +203.0.113.1/32:3221225996 {AsPath: 64513} by 192.0.2.12",
			"UPDATE {AsPath: 64513} +2001:db8:1::/64:17 by 2001:db8::11", "UPDATE end of ipv4-unicast", "UPDATE end of ipv6-unicast")
		want := routes.Session{Router: "tor", State: routes.Established, Since: time.Now(), Takes: [2]bool{true, true}, AddPath: [2]bool{true, true}, Sent: 3, Complete: true}
		if diff := cmp.Diff(want, sessionOf(t, s)); diff != "" {
			t.Errorf("session (-want +got):\n%s", diff)
		}

		// What is new is announced before the rest is withdrawn; what stays is not sent again.
		s.Apply(setOf(1, tor(), "203.0.113.1/32", "192.0.2.12", "203.0.113.2/32", "192.0.2.12"))
		e.expect("UPDATE +203.0.113.2/32:3221225996", "UPDATE -203.0.113.1/32:3221225995", "UPDATE -2001:db8:1::/64:17")
		s.Apply(setOf(1, tor(), "203.0.113.1/32", "192.0.2.12", "203.0.113.2/32", "192.0.2.12"))
		e.send(wire.NewBGPRouteRefreshMessage(wire.AFI_IP, 0, wire.SAFI_UNICAST))
		e.expect("UPDATE +203.0.113.1/32:3221225996 +203.0.113.2/32:3221225996")
		if got := sessionOf(t, s).Sent; got != 2 {
			t.Errorf("%d paths sent, want 2", got)
		}
		go stop()
		e.expect("NOTIFICATION cease, administrative shutdown", "EOF")
	})
}

// A path that is about to go is replaced, not withdrawn.
func TestLeaving(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		router func(*routes.Router)
		asn    uint32
		want   []string
	}{
		{"eBGP", func(*routes.Router) {}, 64512, []string{"UPDATE +203.0.113.1/32:0 {AsPath: 64513} by 192.0.2.11 {Communities: no-export, 64513:100} {LargeCommunity: [ 64513:1:2]}", "UPDATE +203.0.113.1/32:0 {AsPath: 64513} by 192.0.2.11 {Communities: no-export, 64513:100, planned-shut} {LargeCommunity: [ 64513:1:2]}"}},
		{"iBGP", func(r *routes.Router) { r.ASN = 64513 }, 64513, []string{"UPDATE +203.0.113.1/32:0 {AsPath: } by 192.0.2.11 {LocalPref: 150} {Communities: no-export, 64513:100}", "UPDATE +203.0.113.1/32:0 {AsPath: } by 192.0.2.11 {LocalPref: 0} {Communities: no-export, 64513:100, planned-shut}"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(_ *testing.T, r *fakeRouter) {
				s, stop := r.speaker()
				router := tor()
				tt.router(&router)
				router.Paths = []routes.Path{{Prefix: netip.MustParsePrefix("203.0.113.1/32"), NextHop: id("192.0.2.11"), LocalPref: 150, Communities: []string{"no-export", "64513:100", "large:64513:1:2"}}}
				set := routes.Set{ASN: 64513, RouterID: id("192.0.2.11"), Routers: []routes.Router{router}}
				s.Apply(set)
				e := r.accept()
				e.establish(open(tt.asn, 90, both(false)...))
				e.expect(tt.want[0], "UPDATE end of ipv4-unicast", "UPDATE end of ipv6-unicast")
				router.Paths = append([]routes.Path(nil), router.Paths...)
				router.Paths[0].Leaving = true
				s.Apply(routes.Set{ASN: set.ASN, RouterID: set.RouterID, Routers: []routes.Router{router}})
				e.expect(tt.want[1])
				router.Paths = nil
				s.Apply(routes.Set{ASN: set.ASN, RouterID: set.RouterID, Routers: []routes.Router{router}})
				e.expect("UPDATE -203.0.113.1/32:0")
				go stop()
				e.expect("NOTIFICATION cease, administrative shutdown", "EOF")
			})
		})
	}
}

// How a session ends depends on why.
func TestEnd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		restart time.Duration
		end     func(s *Speaker, stop func(), set routes.Set)
		want    []string
	}{
		{"the process ends", 0, func(_ *Speaker, stop func(), _ routes.Set) { stop() }, []string{"NOTIFICATION cease, administrative shutdown", "EOF"}},
		{"the process ends, the router keeps the routes", time.Minute, func(_ *Speaker, stop func(), _ routes.Set) { stop() }, []string{"EOF"}},
		{"the last set is sent before", time.Minute, func(s *Speaker, stop func(), set routes.Set) {
			set.Routers = []routes.Router{set.Routers[0]}
			set.Routers[0].Paths = nil
			s.Apply(set)
			synctest.Wait()
			stop()
		}, []string{"UPDATE -203.0.113.1/32", "EOF"}},
		{"the router is removed", time.Minute, func(s *Speaker, stop func(), set routes.Set) {
			set.Routers = nil
			s.Apply(set)
			synctest.Wait()
			stop()
		}, []string{"NOTIFICATION cease, peer de-configured", "EOF"}},
		{"the router is removed as the process ends", time.Minute, func(s *Speaker, stop func(), set routes.Set) {
			set.Routers = nil
			s.Apply(set)
			stop()
		}, []string{"NOTIFICATION cease, peer de-configured", "EOF"}},
		{"the router changes", 0, func(s *Speaker, stop func(), set routes.Set) {
			set.ASN = 64599
			s.Apply(set)
			synctest.Wait()
			stop()
		}, []string{"NOTIFICATION cease, other configuration change", "EOF"}},
		{"the router changes and keeps the routes", time.Minute, func(s *Speaker, stop func(), set routes.Set) {
			set.ASN = 64599
			s.Apply(set)
			synctest.Wait()
			stop()
		}, []string{"EOF"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(_ *testing.T, r *fakeRouter) {
				s, stop := r.speaker()
				router := tor()
				router.Restart = tt.restart
				set := setOf(1, router, "203.0.113.1/32", "192.0.2.11")
				s.Apply(set)
				e := r.accept()
				e.establish(open(64512, 90, both(false)...))
				e.expect("UPDATE +203.0.113.1/32", "UPDATE end of ipv4-unicast", "UPDATE end of ipv6-unicast")
				go func() {
					for c := range r.dialed { // the session after it
						_ = c.Close()
					}
				}()
				ended := make(chan struct{})
				go func() { tt.end(s, stop, set); close(ended) }()
				e.expect(tt.want...)
				_ = e.c.Close()
				<-ended
				close(r.dialed)
			})
		})
	}
}

// A speaker asks the router to keep the routes, and says that it restarted until it had a session.
func TestRestart(t *testing.T) {
	t.Parallel()
	bubble(t, func(_ *testing.T, r *fakeRouter) {
		s, stop := r.speaker()
		router := tor()
		router.Restart, router.AddPath = 2*time.Minute, false
		s.Apply(setOf(1, router))
		e := r.accept()
		e.expect("OPEN AS 64513 hold 90 ID 192.0.2.11 ipv4-unicast, ipv6-unicast, route-refresh, AS 64513, graceful-restart 120 s flags 8 families 2")
		_ = e.c.Close()
		e = r.accept()
		e.establish(open(64512, 90, both(false)...))
		e.expect("UPDATE end of ipv4-unicast", "UPDATE end of ipv6-unicast")
		_ = e.c.Close()
		e = r.accept()
		e.expect("OPEN AS 64513 hold 90 ID 192.0.2.11 ipv4-unicast, ipv6-unicast, route-refresh, AS 64513, graceful-restart 120 s flags 0 families 2")
		_ = e.c.Close()
		stop()
	})
}

// Each fault has its cause and its words.
func TestCauses(t *testing.T) {
	t.Parallel()
	dialError := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	closed := func(e *fakeEnd) { _ = e.c.Close() }
	note := func(code, subcode uint8, data ...byte) func(*fakeEnd) {
		return func(e *fakeEnd) {
			e.send(wire.NewBGPNotificationMessage(code, subcode, data))
			closed(e)
		}
	}
	opened := func(then func(*fakeEnd)) func(*fakeEnd) {
		return func(e *fakeEnd) {
			e.send(open(64512, 90, both(false)...))
			e.expect("KEEPALIVE")
			then(e)
		}
	}
	stands := func(then func(*fakeEnd)) func(*fakeEnd) {
		return opened(func(e *fakeEnd) {
			e.send(wire.NewBGPKeepAliveMessage())
			e.expect("UPDATE end of ipv4-unicast", "UPDATE end of ipv6-unicast")
			then(e)
		})
	}
	silent := func(for_ time.Duration, says ...string) func(*fakeEnd) {
		return func(e *fakeEnd) {
			time.Sleep(for_)
			e.expect(says...)
			closed(e)
		}
	}
	tests := []struct {
		name   string
		dial   error
		play   func(*fakeEnd)
		want   routes.Cause
		text   string
		router func(*routes.Router)
	}{
		{name: "closed port", dial: dialError(syscall.ECONNREFUSED), want: routes.Refused, text: "nothing listens at 192.0.2.1:179, or it turns this node away"},
		{name: "no route", dial: dialError(syscall.ENETUNREACH), want: routes.Unreachable, text: "this node has no route to 192.0.2.1"},
		{name: "no ARP", dial: dialError(syscall.EHOSTUNREACH), want: routes.Unreachable, text: "192.0.2.1 does not answer ARP or neighbor discovery, or a router on the way knows no route"},
		{name: "silence", dial: dialError(syscall.ETIMEDOUT), want: routes.Unreachable, text: "192.0.2.1:179 does not answer; if it expects a password it is silent too"},
		{name: "a wrong password", dial: dialError(syscall.ETIMEDOUT), want: routes.Unreachable, text: "192.0.2.1:179 does not answer; with a wrong password it is silent too", router: func(r *routes.Router) { r.Password = "secret" }},
		{name: "a source of somebody else", dial: dialError(syscall.EADDRNOTAVAIL), want: routes.Unusable, text: "this node does not have the source address 192.0.2.99", router: func(r *routes.Router) { r.Source = id("192.0.2.99") }},
		{name: "the kernel refuses", dial: dialError(syscall.ENOPROTOOPT), want: routes.Unusable, text: "connect to 192.0.2.1:179: connect: protocol not available"},
		{name: "it does not know us", play: closed, want: routes.Refused, text: "the router closes the connection without a word: it may not know this node as a neighbor"},
		{name: "it says nothing", play: silent(openTime, "NOTIFICATION hold timer expired"), want: routes.NoAnswer, text: "the router takes the connection and says nothing for 15s"},
		{name: "another AS than configured", play: func(e *fakeEnd) {
			e.send(open(64999, 90))
			e.expect("NOTIFICATION OPEN message error, bad peer AS")
			closed(e)
		}, want: routes.WrongAS, text: "the router has AS 64999, the configuration says 64512"},
		{name: "it expects another AS of us", play: note(2, 2), want: routes.WrongAS, text: "the router expects another AS of this node than 64513"},
		{name: "it expects another AS of us, said late", play: opened(note(2, 2)), want: routes.WrongAS, text: "the router expects another AS of this node than 64513"},
		{name: "a hold time of 1 s", play: func(e *fakeEnd) {
			e.send(open(64512, 1))
			e.expect("NOTIFICATION OPEN message error, unacceptable hold time")
			closed(e)
		}, want: routes.Rejected, text: "the router has a hold time of 1 s, and 3 s are the least"},
		{name: "something else than an OPEN", play: func(e *fakeEnd) {
			e.send(wire.NewBGPKeepAliveMessage())
			e.expect("NOTIFICATION finite state machine error")
			closed(e)
		}, want: routes.Rejected, text: "the router sent a message of type 4, and 1 was due"},
		{name: "no BGP", play: func(e *fakeEnd) {
			go func() { _, _ = e.c.Write([]byte("SSH-2.0-OpenSSH_9.2p1\r\n")) }()
			e.expect("NOTIFICATION message header error, connection not synchronized")
			closed(e)
		}, want: routes.Rejected, text: "the router sent a message with a mistake: marker is not all ones"},
		{name: "shut down", play: stands(note(6, 2, append([]byte{12}, "maintenance\n"...)...)), want: routes.Rejected, text: `the router says: cease, administrative shutdown: "maintenance"`},
		{name: "too many prefixes", play: stands(note(6, 1)), want: routes.Rejected, text: "the router says: cease, maximum number of prefixes reached"},
		{name: "an error nobody knows", play: stands(note(99, 3)), want: routes.Rejected, text: "the router says: error 99/3"},
		{name: "the router did not hear us", play: stands(note(4, 0)), want: routes.Timeout, text: "the router heard nothing of this node for the hold time"},
		{name: "the router falls silent", play: stands(func(e *fakeEnd) {
			e.expect("KEEPALIVE", "KEEPALIVE")
			e.expect("KEEPALIVE", "NOTIFICATION hold timer expired")
			closed(e)
		}), want: routes.Timeout, text: "the router said nothing for the hold time of 1m30s", router: func(r *routes.Router) { r.Keepalive = 29 * time.Second }},
		{name: "the router ends", play: stands(closed), want: routes.Rejected, text: "the router closed the connection"},
		{name: "a second OPEN", play: stands(func(e *fakeEnd) {
			e.send(open(64512, 90))
			e.expect("NOTIFICATION finite state machine error, unexpected message in Established")
			closed(e)
		}), want: routes.Rejected, text: "the router sent a second OPEN"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T, r *fakeRouter) {
				r.refuse = tt.dial
				s, stop := r.speaker()
				router := tor()
				if tt.router != nil {
					tt.router(&router)
				}
				s.Apply(setOf(1, router))
				if tt.dial == nil {
					e := r.accept()
					e.expect("OPEN")
					tt.play(e)
				}
				got := sessionOf(t, s)
				if got.Cause != tt.want || got.Text != tt.text || got.State != routes.Idle {
					t.Errorf("%s, cause %q, text\n%q, want %q,\n%q", got.State, got.Cause, got.Text, tt.want, tt.text)
				}
				stop()
			})
		})
	}
}

// A session that comes and goes is held back for longer and longer, and says so. One that stood for
// a while is none of these.
func TestFlapping(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, r *fakeRouter) {
		s, stop := r.speaker()
		s.Apply(setOf(1, tor()))
		var waits []string
		ended := time.Now()
		for range 9 {
			e := r.accept()
			waits = append(waits, fmt.Sprint(time.Since(ended).Round(time.Second)))
			e.establish(open(64512, 90, both(false)...))
			e.expect("UPDATE end of ipv4-unicast", "UPDATE end of ipv6-unicast")
			_ = e.c.Close()
			synctest.Wait()
			ended = time.Now()
		}
		got := sessionOf(t, s)
		if got.Cause != routes.Flapping || got.Flaps != 9 || !strings.HasPrefix(got.Text, "the session came and went 9 times, and is held back for 1m") {
			t.Errorf("session %+v", got)
		}
		for i, most := range []int{0, 1, 2, 4, 8, 16, 32, 64, 120} {
			d, err := time.ParseDuration(waits[i])
			if limit := time.Duration(most) * time.Second; err != nil || d > limit || d < limit*3/4-time.Second {
				t.Errorf("wait %d was %v, want three quarters of %v or more", i, d, limit)
			}
		}
		e := r.accept()
		e.establish(open(64512, 90, both(false)...))
		e.expect("UPDATE end of ipv4-unicast", "UPDATE end of ipv6-unicast")
		go func() {
			for e.read() == "KEEPALIVE" {
				e.send(wire.NewBGPKeepAliveMessage())
			}
		}()
		time.Sleep(steady + time.Second) // between two messages
		synctest.Wait()
		_ = e.c.Close()
		if got := sessionOf(t, s); got.Cause != routes.Rejected {
			t.Errorf("after %v: %+v", steady, got)
		}
		stop()
	})
}

// What a router sends costs nothing, and changes nothing.
func TestRoutesOfTheRouter(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, r *fakeRouter) {
		s, stop := r.speaker()
		s.Apply(setOf(1, tor(), "203.0.113.1/32", "192.0.2.11"))
		e := r.accept()
		e.establish(open(64512, 90, both(false)...))
		e.expect("UPDATE +203.0.113.1/32:0", "UPDATE end of ipv4-unicast", "UPDATE end of ipv6-unicast")
		theirs := terms{asn: 64512, takes: [2]bool{true, true}}
		paths := setOf(1, tor(), "0.0.0.0/0", "192.0.2.1", "203.0.113.1/32", "192.0.2.1").Routers[0].Paths
		messages, err := theirs.updates(table{}.to(theirs.wanted(paths)))
		if err != nil {
			t.Fatal(err)
		}
		e.send(messages...)
		if got := sessionOf(t, s); got.State != routes.Established || got.Sent != 1 {
			t.Errorf("session %+v", got)
		}
		go stop()
		e.expect("NOTIFICATION cease")
	})
}

// What an established session cannot announce is said.
func TestLacks(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, r *fakeRouter) {
		s, stop := r.speaker()
		set := setOf(1, tor(), "203.0.113.1/32", "192.0.2.11", "203.0.113.2/32", "2001:db8::11", "203.0.113.3/32", "192.0.2.11", "2001:db8:1::1/128", "2001:db8::11")
		set.Routers[0].Paths[2].Communities = []string{"no-such"}
		s.Apply(set)
		e := r.accept()
		e.establish(open(64512, 90)) // names no family: IPv4 alone
		e.expect("UPDATE +203.0.113.1/32:0", "UPDATE end of ipv4-unicast")
		got := sessionOf(t, s)
		want := "the router takes no IPv6, paths not announced for that: 1; paths that cannot be announced: 2, the first: prefix 203.0.113.2/32: the next hop 2001:db8::11 is of another IP family"
		if got.Text != want || got.Sent != 1 || !got.Complete {
			t.Errorf("%d sent, complete %v, text\n%q, want\n%q", got.Sent, got.Complete, got.Text, want)
		}
		_ = e.c.Close()
		if got := sessionOf(t, s); got.Complete {
			t.Errorf("ended, and still complete: %+v", got)
		}
		stop()
	})
}

// A router that is taken out and comes back at once has one connection at a time, and its session
// is no first one.
func TestRemovedAndBack(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T, r *fakeRouter) {
		s, stop := r.speaker()
		router := tor()
		router.Restart, router.AddPath = 2*time.Minute, false
		s.Apply(setOf(1, router))
		for range 2 {
			e := r.accept()
			e.establish(open(64512, 90, both(false)...))
			e.expect("UPDATE end of ipv4-unicast", "UPDATE end of ipv6-unicast")
			_ = e.c.Close()
		}
		e := r.accept()
		e.establish(open(64512, 90, both(false)...))
		e.expect("UPDATE end of ipv4-unicast", "UPDATE end of ipv6-unicast")
		s.Apply(routes.Set{})
		synctest.Wait() // the router has not heard of it yet
		s.Apply(setOf(1, router))
		synctest.Wait()
		if len(r.dialed) != 0 {
			t.Error("a second connection beside the first")
		}
		e.expect("NOTIFICATION cease, peer de-configured", "EOF")
		_ = e.c.Close()
		e = r.accept()
		e.expect("OPEN AS 64513 hold 90 ID 192.0.2.11 ipv4-unicast, ipv6-unicast, route-refresh, AS 64513, graceful-restart 120 s flags 0 families 2")
		if got := sessionOf(t, s).Flaps; got != 2 {
			t.Errorf("%d flaps, want those before", got)
		}
		again := time.Now()
		e.send(open(64512, 90, both(false)...))
		e.expect("KEEPALIVE")
		e.send(wire.NewBGPKeepAliveMessage())
		e.expect("UPDATE end of ipv4-unicast", "UPDATE end of ipv6-unicast")
		_ = e.c.Close()
		_ = r.accept().c.Close()
		if waited := time.Since(again); waited < 2*time.Second {
			t.Errorf("held back for %v, want longer than after the first end", waited)
		}
		stop()
	})
}
