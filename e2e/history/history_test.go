package history

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	one   = netip.MustParseAddr("192.0.2.1")
	two   = netip.MustParseAddr("2001:db8::2")

	limits = Limits{
		Window: 50 * time.Millisecond, Double: time.Second, Silent: 2 * time.Second,
		First: 10 * time.Second, After: 5 * time.Second, Early: time.Second,
	}
)

func at(seconds float64) time.Time {
	return epoch.Add(time.Duration(seconds * float64(time.Second)))
}

// ask asks for an address every 50 ms, and these stations answer 10 ms later.
func (h *History) ask(ip netip.Addr, from, to float64, macs ...string) {
	for t := at(from); t.Before(at(to)); t = t.Add(50 * time.Millisecond) {
		h.Questions = append(h.Questions, Question{t, ip})
		for _, mac := range macs {
			h.Answers = append(h.Answers, Answer{t.Add(10 * time.Millisecond), ip, mac})
		}
	}
}

func (h *History) wrote(seconds float64, service string, bound ...netip.Addr) {
	h.Writes = append(h.Writes, Write{at(seconds), service, bound})
}

// TestCheck: each violation is found in a history that has it, and in none that comes close.
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(*History)
		want []string
	}{
		{"nothing happened", func(*History) {}, nil},
		{"one node after the other", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0.1, 10, "n1")
			h.ask(one, 11.5, 20, "n2")
		}, nil},
		{"two MACs", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 2, "n1")
			h.ask(one, 2, 3.5, "n2", "n1")
			h.ask(one, 3.5, 20, "n2")
		}, []string{"two MACs of 192.0.2.1 for 1.5s from 00:00:02.000: n1, n2"}},
		{"two MACs until the end", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 18, "n1")
			h.ask(one, 18, 20, "n2", "n3")
		}, []string{"two MACs of 192.0.2.1 for 2s from 00:00:18.000: n2, n3"}},
		{"two MACs for a moment, again and again", func(h *History) {
			h.wrote(0, "a", one)
			for t := range 20 {
				h.ask(one, float64(t), float64(t)+0.9, "n1", "n2")
				h.ask(one, float64(t)+0.9, float64(t)+1, "n1")
			}
		}, nil},
		{"two MACs of two addresses", func(h *History) {
			h.wrote(0, "a", one, two)
			h.ask(one, 0, 20, "n1")
			h.ask(two, 0, 20, "n2")
		}, nil},
		{"nobody in the middle and at the end", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 5, "n1")
			h.ask(one, 5, 8)
			h.ask(one, 8, 16, "n2")
			h.ask(one, 16, 20)
		}, []string{"nobody of 192.0.2.1 for 3.01s from 00:00:05.000: a", "nobody of 192.0.2.1 for 4s from 00:00:16.000: a"}},
		{"nobody, but nobody asked", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 5, "n1")
			h.ask(one, 10, 20, "n1")
		}, nil},
		{"nobody, but nobody asked after one question", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 5, "n1")
			h.ask(one, 5, 5.05)
			h.ask(one, 10, 20, "n1")
		}, nil},
		{"nobody, because nobody has the address", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 5, "n1")
			h.wrote(5, "a")
			h.ask(one, 5, 20)
		}, nil},
		{"nobody, because the release is known late", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 5, "n1")
			h.ask(one, 5, 7.5)
			h.wrote(7.5, "a")
			h.Away = []Away{{at(3), at(7)}}
		}, nil},
		{"nobody, longer than the release is known late", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 5, "n1")
			h.ask(one, 5, 8.5)
			h.wrote(8.5, "a")
			h.Away = []Away{{at(3), at(8)}}
		}, []string{"nobody of 192.0.2.1 for 3.5s from 00:00:05.000: a"}},
		{"nobody, and the release is known at once", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 5, "n1")
			h.ask(one, 5, 7.5)
			h.wrote(7.5, "a")
			h.Away = []Away{{at(3), at(6)}}
		}, []string{"nobody of 192.0.2.1 for 2.5s from 00:00:05.000: a"}},
		{"never", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 20)
		}, []string{"never of 192.0.2.1 for 20s from 00:00:00.000: a"}},
		{"late, but not never", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 9)
			h.ask(one, 9, 20, "n1")
		}, nil},
		{"never, though the one before was answered for", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 5, "n1")
			h.wrote(5, "a")
			h.wrote(6, "b", one)
			h.ask(one, 5, 20)
		}, []string{"never of 192.0.2.1 for 14s from 00:00:06.000: b"}},
		{"for nobody", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 2, "n1")
			h.wrote(2, "a")
			h.ask(one, 2, 9, "n1")
			h.ask(one, 9, 20)
		}, []string{"for nobody of 192.0.2.1 for 6.96s from 00:00:02.000: n1"}},
		{"for nobody, but only for a while", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 2, "n1")
			h.wrote(2, "a")
			h.ask(one, 2, 6.9, "n1")
			h.ask(one, 7, 20)
		}, nil},
		{"for nobody, because the API server is away", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 2, "n1")
			h.wrote(2, "a")
			h.ask(one, 2, 14, "n1")
			h.Away = []Away{{at(3), at(6)}, {at(8), at(13)}}
		}, nil},
		{"for nobody, though the API server is back", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 2, "n1")
			h.wrote(2, "a")
			h.ask(one, 2, 14, "n1")
			h.Away = []Away{{at(3), at(6)}}
		}, []string{"for nobody of 192.0.2.1 for 11.96s from 00:00:02.000: n1"}},
		{"before the bind is known", func(h *History) {
			h.ask(one, 1.1, 20, "n1")
			h.wrote(2, "a", one)
		}, nil},
		{"before the bind is known, because the API server is away", func(h *History) {
			h.ask(one, 1, 20, "n1")
			h.wrote(8, "a", one)
			h.Away = []Away{{at(1.5), at(7.5)}}
		}, nil},
		{"long before the bind", func(h *History) {
			h.ask(one, 1, 1.2, "n1")
			h.ask(one, 1.2, 20, "n2")
			h.wrote(3, "a", one)
		}, []string{"for nobody of 192.0.2.1 for 950ms from 00:00:01.010: n1, n2"}},
		{"never bound", func(h *History) {
			h.ask(two, 1, 2, "n3")
		}, []string{"for nobody of 2001:db8::2 for 950ms from 00:00:01.010: n3"}},
		{"never, because the API server is away", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 20)
			h.Away = []Away{{at(1), at(18)}}
		}, nil},
		{"nobody, though the API server is away", func(h *History) {
			h.wrote(0, "a", one)
			h.ask(one, 0, 5, "n1")
			h.ask(one, 5, 8)
			h.ask(one, 8, 20, "n2")
			h.Away = []Away{{at(1), at(18)}}
		}, []string{"nobody of 192.0.2.1 for 3.01s from 00:00:05.000: a"}},
		{"two holders", func(h *History) {
			h.wrote(0, "a", one)
			h.wrote(4, "b", two, one)
			h.wrote(7, "a")
		}, []string{"two holders of 192.0.2.1 for 3s from 00:00:04.000: a, b"}},
		{"two holders until the end, written out of order", func(h *History) {
			h.wrote(4, "b", one)
			h.wrote(0, "a", one)
		}, []string{"two holders of 192.0.2.1 for 16s from 00:00:04.000: a, b"}},
		{"one holder after the other", func(h *History) {
			h.wrote(0, "a", one)
			h.wrote(1, "a", one, two)
			h.wrote(2, "a", two)
			h.wrote(2, "b", one)
			h.wrote(3, "b")
			h.wrote(4, "a", one)
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := History{Until: at(20)}
			tt.make(&h)
			var got []string
			for _, v := range h.Check(limits) {
				got = append(got, v.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
