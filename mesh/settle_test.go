package mesh

import (
	"net/netip"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestSettling(t *testing.T) {
	type step struct {
		at    int // Milliseconds.
		fact  func(*settling, time.Time)
		after summary
		want  bool
	}
	a, b := addrNo(1), addrNo(2)
	epoch := time.Unix(1000, 0)
	ms := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Millisecond) }
	list := func(total int, others ...netip.AddrPort) func(*settling, time.Time) {
		return func(s *settling, now time.Time) { s.list(total, others, now) }
	}
	silent := func(seed netip.AddrPort) func(*settling, time.Time) {
		return func(s *settling, now time.Time) { s.tried(seed, false, now) }
	}
	answer := func(seed netip.AddrPort) func(*settling, time.Time) {
		return func(s *settling, now time.Time) { s.tried(seed, true, now) }
	}
	twin := func(s *settling, now time.Time) { s.twin = now }
	nothing := func(*settling, time.Time) {}
	alone := summary{}
	with := func(shift, met int) summary {
		return summary{others: map[netip.AddrPort]string{a: "a"}, shift: ms(shift), met: ms(met)}
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"nothing is known before the seeds were asked for", []step{{0, nothing, alone, false}, {99999, nothing, alone, false}}},
		{"only myself: at once", []step{{0, list(1), alone, true}, {1, list(3, a, b), alone, true}}},
		{"silence of every seed", []step{
			{0, list(2, a, b), alone, false},
			{10, silent(a), alone, false},
			{20, silent(b), alone, false},
			{1999, nothing, alone, false},
			{2000, nothing, alone, true},
		}},
		{"a seed not tried is not silent", []step{
			{0, list(2, a, b), alone, false}, {10, silent(a), alone, false}, {5000, nothing, alone, false}, {5001, silent(b), alone, true},
		}},
		{"a seed that appears must be tried too", []step{
			{0, list(1, a), alone, false},
			{10, silent(a), alone, false},
			{1500, list(2, a, b), alone, false},
			{2500, nothing, alone, false},
			{2600, silent(b), alone, true},
		}},
		{"a seed that disappears need not be tried", []step{
			{0, list(2, a, b), alone, false}, {10, silent(a), alone, false}, {2500, list(1, a), alone, true},
		}},
		{"an answer begins the silence anew", []step{
			{0, list(1, a), alone, false},
			{10, silent(a), alone, false},
			{1900, answer(a), alone, false},
			{1950, silent(a), alone, false},
			{3899, nothing, alone, false},
			{3900, nothing, alone, true},
		}},
		{"a rejecting seed every half second: never", []step{
			{0, list(1, a), alone, false}, {500, answer(a), alone, false}, {2500, answer(a), alone, false}, {4400, answer(a), alone, false},
		}},
		{"others, and quiet", []step{
			{0, list(1, a), alone, false},
			{100, answer(a), with(100, 100), false},
			{399, nothing, with(100, 100), false},
			{400, nothing, with(100, 100), true},
		}},
		{"others that go on arriving, a second at most", []step{
			{0, list(1, a), with(0, 0), false},
			{290, nothing, with(280, 0), false},
			{999, nothing, with(990, 0), false},
			{1000, nothing, with(999, 0), true},
		}},
		{"settled forever", []step{{0, list(1), alone, true}, {10, twin, alone, true}, {20, list(2, a), with(20, 20), true}}},
		{"an empty list, for as long as it is empty", []step{
			{0, list(0), alone, false},
			{1999, list(0), alone, false},
			{2000, list(0), alone, true},
			{2500, list(2, a), alone, false},
			{2600, silent(a), alone, false},
			{4499, nothing, alone, false},
			{4500, nothing, alone, true},
		}},
		{"others before the seeds were asked for", []step{{0, nothing, with(0, 0), false}, {300, nothing, with(0, 0), true}}},
		{"a twin forbids everything for ten seconds", []step{
			{0, twin, alone, false},
			{10, list(1), alone, false},
			{500, nothing, with(0, 0), false},
			{9999, nothing, with(0, 0), false},
			{10000, nothing, with(0, 0), true},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s settling
			for i, st := range tt.steps {
				st.fact(&s, ms(st.at))
				if got := s.update(st.after, ms(st.at)); got != st.want {
					t.Fatalf("step %d at %d ms: settled %v, want %v", i, st.at, got, st.want)
				}
			}
		})
	}
}

func TestSettleAlone(t *testing.T) {
	tests := []struct {
		name        string
		seeds       []netip.AddrPort
		none        bool // No Seeds function.
		least, most time.Duration
	}{
		{"no seeds function", nil, true, 0, 100 * time.Millisecond},
		{"only myself", []netip.AddrPort{addrNo(1)}, false, 0, 100 * time.Millisecond},
		{"myself in another notation", []netip.AddrPort{netip.MustParseAddrPort("[::ffff:198.18.0.1]:7927")}, false, 0, 100 * time.Millisecond},
		{"only the other family", []netip.AddrPort{netip.MustParseAddrPort("[2001:db8::1]:7927")}, false, 0, 100 * time.Millisecond},
		{"an empty list", nil, false, silence, silence + 200*time.Millisecond},
		{"a seed that refuses", []netip.AddrPort{addrNo(1), addrNo(2)}, false, silence, silence + 200*time.Millisecond},
		{"a seed that does not answer", []netip.AddrPort{addrNo(1), addrNo(200)}, false, silence, silence + time.Second},
		{"many seeds that do not answer", addrNos(200, 239), false, silence, 4 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				for i := 200; i < 256; i++ {
					w.net.cut(addrNo(1).Addr(), addrNo(i).Addr())
				}
				w.seed(tt.seeds...)
				w.tune = func(c *Config) {
					if tt.none {
						c.Seeds = nil
					}
				}
				n := w.start("n1", 1)
				took := w.within(10*time.Second, "settled", n.Settled)
				if took < tt.least || took > tt.most {
					t.Errorf("settled after %v, want %v to %v", took, tt.least, tt.most)
				}
				time.Sleep(20 * time.Second)
				if !n.Settled() || len(n.problems()) > 0 {
					t.Errorf("settled %v with problems %q some time later", n.Settled(), n.problems())
				}
			})
		})
	}
}

func TestSettleWhenTheListArrives(t *testing.T) {
	inWorld(t, func(w *world) {
		n2 := w.start("n2", 2)
		w.within(3*time.Second, "settled by an empty list", n2.Settled)
		w.seed(addrNos(1, 2)...)
		w.within(time.Second, "unsettled by a list", func() bool { return !n2.Settled() })
		w.start("n1", 1)
		w.within(3*time.Second, "settled by others", func() bool { return n2.Settled() && n2.state("n1") == Alive })
	})
}

// A second address of this node among the seeds is nobody else.
func TestSettleWithOwnSecondAddress(t *testing.T) {
	inWorld(t, func(w *world) {
		w.seed(addrNo(1), addrNo(77))
		n := w.start("n1", 1)
		time.Sleep(100 * time.Millisecond) // Until it listens.
		w.net.do(func() { w.net.ports[addrNo(77)] = w.net.ports[addrNo(1)] })
		w.within(5*time.Second, "settled", n.Settled)
		if joins, failed := testutil.ToFloat64(n.metrics.joins), testutil.ToFloat64(n.metrics.failed); joins == failed {
			t.Errorf("all of %v joins failed, so the node never joined itself", joins)
		}
		w.net.do(func() { delete(w.net.ports, addrNo(77)) })
	})
}
