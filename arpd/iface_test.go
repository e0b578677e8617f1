package arpd

import (
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"github.com/starling-lb/starling/arpd/packet"
)

// sink is a socket that takes everything at no cost.
type sink struct{ err error }

func (sink) Read([]byte) (int, error)          { return 0, errInterrupted }
func (s sink) Write([]byte) error              { return s.err }
func (sink) Filter([]bpf.RawInstruction) error { return nil }
func (sink) Interrupt()                        {}
func (sink) Drain() int                        { return 0 }
func (sink) Close() error                      { return nil }

func newReader(t testing.TB, p protocol, claims int, s socket) *reader {
	t.Helper()
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{protocol: p, sock: s, claims: make(chan claim, claims), answers: make(chan claim, claims), metrics: m, echoes: rate.NewLimiter(echoRate, echoRate)}
	port := &iface{}
	port.view.Store(nodeView())
	r.view = &port.view
	return r
}

// TestReaderAllocatesNothing covers the whole hot path but the system calls.
func TestReaderAllocatesNothing(t *testing.T) {
	arp, nd := protocols()[0], protocols()[1]
	b := make([]byte, packet.FrameSize)
	for name, tc := range map[string]struct {
		protocol protocol
		frame    []byte
	}{
		"ARP answered": {arp, request(t, peer4, vip4)},
		"ARP dropped":  {arp, request(t, peer4, other4)},
		"ARP claim":    {arp, request(t, other4, other4)},
		"NS answered":  {nd, multicastSolicit(t, vip6)},
		"NS dropped":   {nd, multicastSolicit(t, other6)},
		"NA claim":     {nd, advertise(t, nodeHW, peerHW, peer6, other6, true)},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReader(t, tc.protocol, 1000, sink{})
			r.metrics.tally = newTestTally(t, nil)
			r.metrics.tally.keep([]netip.Addr{vip4, vip6})
			if n := testing.AllocsPerRun(500, func() { r.frame(b, copy(b, tc.frame)) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

// TestFloodOfClaims: claims that nobody takes are dropped and counted, and the
// reader does not wait.
func TestFloodOfClaims(t *testing.T) {
	r := newReader(t, protocols()[0], 10, sink{})
	b := make([]byte, packet.FrameSize)
	for range 100 {
		r.frame(b, copy(b, request(t, vip4, vip4)))
	}
	if got := testutil.ToFloat64(r.metrics.dropped[overrun]); got != 90 {
		t.Errorf("%v claims dropped", got)
	}
	r.frame(b, copy(b, request(t, peer4, vip4)))
	if got := testutil.ToFloat64(r.metrics.responses); got != 1 {
		t.Errorf("%v answers", got)
	}
}

func TestReaderCounts(t *testing.T) {
	for name, tc := range map[string]struct {
		frame               []byte
		err                 error
		requests, responses float64
		reason              drop
		claims              int
	}{
		"answered":             {request(t, peer4, vip4), nil, 1, 1, kept, 0},
		"answer fails":         {request(t, peer4, vip4), unix.ENOBUFS, 1, 0, writeFailed, 0},
		"not owned":            {request(t, peer4, other4), nil, 0, 0, notOwned, 0},
		"claim":                {request(t, vip4, vip4), nil, 0, 0, kept, 1},
		"question and a claim": {request(t, vip4, yielded4), nil, 1, 1, kept, 1},
		"malformed":            {nil, nil, 0, 0, malformed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReader(t, protocols()[0], 10, sink{tc.err})
			b := make([]byte, packet.FrameSize)
			r.frame(b, copy(b, tc.frame))
			if got := testutil.ToFloat64(r.metrics.requests); got != tc.requests {
				t.Errorf("%v requests", got)
			}
			if got := testutil.ToFloat64(r.metrics.responses); got != tc.responses {
				t.Errorf("%v responses", got)
			}
			for d := kept + 1; d < drops; d++ {
				if got := testutil.ToFloat64(r.metrics.dropped[d]); (got == 1) != (d == tc.reason) {
					t.Errorf("%v dropped as %s", got, d)
				}
			}
			if len(r.claims) != tc.claims {
				t.Errorf("%d claims", len(r.claims))
			}
		})
	}
}

func BenchmarkARPAnswer(b *testing.B) {
	benchmarkFrame(b, protocols()[0], request(b, peer4, vip4))
}

func BenchmarkARPForeign(b *testing.B) {
	benchmarkFrame(b, protocols()[0], request(b, peer4, other4))
}

func BenchmarkNDAnswer(b *testing.B) {
	benchmarkFrame(b, protocols()[1], multicastSolicit(b, vip6))
}

// benchmarkFrame measures the hot path without the system calls, with 10,000
// addresses of either family.
func benchmarkFrame(b *testing.B, p protocol, frame []byte) {
	r := newReader(b, p, 0, sink{})
	roles := map[netip.Addr]role{vip4: own, vip6: own}
	for i := range 10_000 {
		roles[netip.AddrFrom4([4]byte{198, 19, byte(i >> 8), byte(i)})] = own
	}
	for _, ip := range many(10_000) {
		roles[ip] = own
	}
	r.view.Store(&view{mac: nodeHW, table: newTable(roles)})
	buf := make([]byte, packet.FrameSize)
	b.ReportAllocs()
	for b.Loop() {
		r.frame(buf, copy(buf, frame))
	}
}
