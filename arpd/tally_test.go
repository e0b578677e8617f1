package arpd

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/packet"

	"github.com/starling-lb/starling/claims"
)

func newTestTally(t *testing.T, reg prometheus.Registerer) *tally {
	t.Helper()
	tally, err := newTally(reg)
	if err != nil {
		t.Fatal(err)
	}
	return tally
}

// values are the counts by address.
func (t *tally) values() map[netip.Addr]float64 {
	out := map[netip.Addr]float64{}
	for ip, n := range *t.of.Load() {
		out[ip] = testutil.ToFloat64(n)
	}
	return out
}

// TestTallyCountsAnswers: what is sent in answer, and nothing else.
func TestTallyCountsAnswers(t *testing.T) {
	arp, nd := protocols()[0], protocols()[1]
	for name, tc := range map[string]struct {
		protocol protocol
		frame    []byte
		err      error
		want     map[netip.Addr]float64
	}{
		"ARP":                  {arp, request(t, peer4, vip4), nil, map[netip.Addr]float64{vip4: 1, vip6: 0}},
		"ARP for another":      {arp, request(t, peer4, other4), nil, map[netip.Addr]float64{vip4: 0, vip6: 0}},
		"ARP claim":            {arp, request(t, vip4, vip4), nil, map[netip.Addr]float64{vip4: 0, vip6: 0}},
		"ARP that is not sent": {arp, request(t, peer4, vip4), unix.ENOBUFS, map[netip.Addr]float64{vip4: 0, vip6: 0}},
		"NDP":                  {nd, multicastSolicit(t, vip6), nil, map[netip.Addr]float64{vip4: 0, vip6: 1}},
		"NDP for another":      {nd, multicastSolicit(t, other6), nil, map[netip.Addr]float64{vip4: 0, vip6: 0}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReader(t, tc.protocol, 10, sink{tc.err})
			r.metrics.tally = newTestTally(t, nil)
			r.metrics.tally.keep([]netip.Addr{vip4, vip6})
			b := make([]byte, packet.FrameSize)
			r.frame(b, copy(b, tc.frame))
			if diff := cmp.Diff(tc.want, r.metrics.tally.values(), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
				t.Errorf("answers (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTallyFollowsTheAddresses: one that goes has no series any more, one that stays goes on, and
// their number is bounded.
func TestTallyFollowsTheAddresses(t *testing.T) {
	reg := prometheus.NewRegistry()
	tally := newTestTally(t, reg)
	answer := make([]byte, packet.FrameSize)
	copy(answer, request(t, vip4, vip4))
	compare := func(step string, series ...string) {
		t.Helper()
		want := ""
		if len(series) > 0 {
			want = "# HELP starling_layer2_address_responses_sent_total ARP replies and neighbor advertisements sent in response to requests, by address of this node. Only with --metrics-per-address.\n" +
				"# TYPE starling_layer2_address_responses_sent_total counter\n"
		}
		for _, s := range series {
			want += "starling_layer2_address_responses_sent_total" + s + "\n"
		}
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
			t.Errorf("%s: %v", step, err)
		}
	}
	compare("nothing is own")
	tally.answered(answer)
	tally.keep([]netip.Addr{vip4})
	compare("gained", `{address="`+vip4.String()+`"} 0`)
	tally.answered(answer)
	tally.keep([]netip.Addr{vip4, vip6})
	compare("another one", `{address="`+vip4.String()+`"} 1`, `{address="`+vip6.String()+`"} 0`)
	tally.keep([]netip.Addr{vip6})
	tally.answered(answer)
	compare("lost", `{address="`+vip6.String()+`"} 0`)
	tally.keep([]netip.Addr{vip4})
	compare("gained again", `{address="`+vip4.String()+`"} 0`)

	var many []netip.Addr
	for ip := netip.MustParseAddr("198.18.0.1"); len(many) < MaxTallied+10; ip = ip.Next() {
		many = append(many, ip)
	}
	tally.keep(many)
	if n := testutil.CollectAndCount(tally.counters); n != MaxTallied {
		t.Errorf("%d series of %d addresses", n, len(many))
	}
	tally.keep(nil)
	compare("nothing is own any more")
}

// TestTallyOfResponder: the addresses of Assign are counted, and of a responder that was not asked
// to none are.
func TestTallyOfResponder(t *testing.T) {
	for _, asked := range []bool{false, true} {
		reg := prometheus.NewRegistry()
		r, err := New(Config{Node: "n1", Cluster: "c", PerAddress: asked, Registry: reg})
		if err != nil {
			t.Fatal(err)
		}
		r.Assign(claims.Assignment{Own: []netip.Addr{vip4, vip6}})
		n, err := testutil.GatherAndCount(reg, "starling_layer2_address_responses_sent_total")
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int{true: 2}[asked]; n != want {
			t.Errorf("asked %v: %d series, want %d", asked, n, want)
		}
	}
}
