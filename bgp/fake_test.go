package bgp

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	wire "github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-lb/starling/routes"
)

// fakeRouter is the other end of the connections of a speaker. Each test plays it by hand.
type fakeRouter struct {
	t       *testing.T
	dialed  chan net.Conn
	refuse  error // of the next connections
	addPath bool  // whether paths come with numbers
}

// speaker is one in a bubble of synctest, with a fake router. Both end with the test.
func (f *fakeRouter) speaker() (*Speaker, func()) {
	f.t.Helper()
	f.dialed = make(chan net.Conn, 16)
	s := New(Config{Registry: prometheus.NewRegistry()})
	s.dial = func(context.Context, routes.Router) (net.Conn, error) {
		if f.refuse != nil {
			return nil, f.refuse
		}
		ours, theirs := net.Pipe()
		f.dialed <- theirs
		return ours, nil
	}
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return s, func() {
		f.t.Helper()
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("Run: %v", err)
		}
	}
}

// accept is the next connection of the speaker.
func (f *fakeRouter) accept() *fakeEnd {
	f.t.Helper()
	select {
	case c := <-f.dialed:
		return &fakeEnd{f: f, c: c}
	case <-time.After(10 * time.Minute):
		f.t.Fatal("no connection")
	}
	return nil
}

// open is an OPEN of the router with capabilities.
func open(asn uint32, hold uint16, caps ...wire.ParameterCapabilityInterface) *wire.BGPMessage {
	caps = append(caps, wire.NewCapFourOctetASNumber(asn))
	m, err := wire.NewBGPOpenMessage(short(asn), hold, id("192.0.2.1"), []wire.OptionParameterInterface{wire.NewOptionParameterCapability(caps)})
	if err != nil {
		panic(err)
	}
	return m
}

// both are the capabilities of a router that takes both families, with several paths if it wants.
func both(addPath bool) []wire.ParameterCapabilityInterface {
	caps := []wire.ParameterCapabilityInterface{wire.NewCapMultiProtocol(wire.RF_IPv4_UC), wire.NewCapMultiProtocol(wire.RF_IPv6_UC)}
	if addPath {
		caps = append(caps, wire.NewCapAddPath([]*wire.CapAddPathTuple{
			wire.NewCapAddPathTuple(wire.RF_IPv4_UC, wire.BGP_ADD_PATH_BOTH), wire.NewCapAddPathTuple(wire.RF_IPv6_UC, wire.BGP_ADD_PATH_RECEIVE),
		}))
	}
	return caps
}

// fakeEnd is the router's end of a connection.
type fakeEnd struct {
	f *fakeRouter
	c net.Conn
}

func (e *fakeEnd) send(messages ...*wire.BGPMessage) {
	e.f.t.Helper()
	for _, m := range messages {
		b, err := m.Serialize()
		if err != nil {
			e.f.t.Fatal(err)
		}
		if _, err := e.c.Write(b); err != nil {
			e.f.t.Fatalf("send: %v", err)
		}
	}
}

// read is the next message in words; the error as words if there is none.
func (e *fakeEnd) read() string {
	raw := make([]byte, wire.BGP_HEADER_LENGTH)
	if _, err := readFull(e.c, raw); err != nil {
		return err.Error()
	}
	h := &wire.BGPHeader{}
	if err := h.DecodeFromBytes(raw); err != nil {
		return err.Error()
	}
	body := make([]byte, int(h.Len)-len(raw))
	if _, err := readFull(e.c, body); err != nil {
		return err.Error()
	}
	options := &wire.MarshallingOption{}
	if e.f.addPath {
		options.AddPath = map[wire.Family]wire.BGPAddPathMode{wire.RF_IPv4_UC: wire.BGP_ADD_PATH_RECEIVE, wire.RF_IPv6_UC: wire.BGP_ADD_PATH_RECEIVE}
	}
	m, err := wire.ParseBGPBody(h, body, options)
	if err != nil {
		return err.Error()
	}
	return inWords(m)
}

func readFull(c net.Conn, b []byte) (int, error) {
	n := 0
	for n < len(b) {
		k, err := c.Read(b[n:])
		n += k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// establish plays the router's part until the session stands.
func (e *fakeEnd) establish(o *wire.BGPMessage) {
	e.f.t.Helper()
	e.expect("OPEN")
	e.send(o)
	e.expect("KEEPALIVE")
	e.send(wire.NewBGPKeepAliveMessage())
}

// expect reads messages, which begin as said.
func (e *fakeEnd) expect(want ...string) {
	e.f.t.Helper()
	for _, w := range want {
		if got := e.read(); !strings.HasPrefix(got, w) {
			e.f.t.Fatalf("the speaker sent %q, want %q", got, w)
		}
	}
}

// inWords is a message for tests.
func inWords(m *wire.BGPMessage) string {
	switch b := m.Body.(type) {
	case *wire.BGPOpen:
		return fmt.Sprintf("OPEN AS %d hold %d ID %s %s", b.MyAS, b.HoldTime, b.ID, capsInWords(b))
	case *wire.BGPKeepAlive:
		return "KEEPALIVE"
	case *wire.BGPNotification:
		return "NOTIFICATION " + words(b)
	case *wire.BGPUpdate:
		return "UPDATE" + updateInWords(b)
	}
	return fmt.Sprintf("%T", m.Body)
}

func capsInWords(o *wire.BGPOpen) string {
	var out []string
	for _, p := range o.OptParams {
		for _, c := range p.(*wire.OptionParameterCapability).Capability {
			switch c := c.(type) {
			case *wire.CapGracefulRestart:
				out = append(out, fmt.Sprintf("graceful-restart %d s flags %d families %d", c.Time, c.Flags, len(c.Tuples)))
			case *wire.CapFourOctetASNumber:
				out = append(out, fmt.Sprintf("AS %d", c.CapValue))
			case *wire.CapMultiProtocol:
				out = append(out, c.CapValue.String())
			default:
				out = append(out, c.Code().String())
			}
		}
	}
	return strings.Join(out, ", ")
}

func updateInWords(u *wire.BGPUpdate) string {
	if end, f := u.IsEndOfRib(); end {
		return " end of " + f.String()
	}
	var out string
	for _, p := range u.WithdrawnRoutes {
		out += " -" + p.String()
	}
	for _, p := range u.NLRI {
		out += " +" + p.String()
	}
	for _, a := range u.PathAttributes {
		switch a := a.(type) {
		case *wire.PathAttributeOrigin:
		case *wire.PathAttributeMpUnreachNLRI:
			for _, p := range a.Value {
				out += " -" + p.String()
			}
		case *wire.PathAttributeMpReachNLRI:
			for _, p := range a.Value {
				out += " +" + p.String()
			}
			out += " by " + a.Nexthop.String()
		case *wire.PathAttributeNextHop:
			out += " by " + a.Value.String()
		default:
			out += " " + a.String()
		}
	}
	return out
}

// bubble runs a test with a fake router in virtual time.
func bubble(t *testing.T, f func(t *testing.T, r *fakeRouter)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, &fakeRouter{t: t}) })
}

// sessionOf is what the speaker says of its one router once nothing moves any more.
func sessionOf(t *testing.T, s *Speaker) routes.Session {
	t.Helper()
	synctest.Wait()
	all := s.Sessions()
	if len(all) != 1 {
		t.Fatalf("sessions %+v, want one", all)
	}
	return all[0]
}
