package mesh

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	epoch := time.Unix(1000, 0)
	at := func(s int) time.Time { return epoch.Add(time.Duration(s) * time.Second) }
	a2, a3 := addrNo(2), addrNo(3)
	ready := string(Meta{Ready: true}.encode())
	type step struct {
		what string // alive, gone, goodbye, expire.
		name string
		addr netip.AddrPort
		meta string
		at   int
		want string // The result of the operation.
	}
	member := func(name string, addr netip.AddrPort, s State, m Meta, since int) Member {
		return Member{Name: name, Addr: addr, State: s, Meta: m, Since: at(since)}
	}
	self := member("n1", addrNo(1), Alive, Meta{}, 0)
	self.Epoch = uint64(epoch.UnixMilli())
	dead := self
	dead.State, dead.Since = Dead, at(1)
	tests := []struct {
		name  string
		steps []step
		want  []Member
	}{
		{"a member comes", []step{{"alive", "n2", a2, ready, 1, "changed came"}}, []Member{self, member("n2", a2, Alive, Meta{Ready: true}, 1)}},
		{
			"names are sorted",
			[]step{{"alive", "n3", a3, "", 1, "changed came"}, {"alive", "m", a2, "", 2, "changed came"}},
			[]Member{member("m", a2, Alive, Meta{}, 2), self, member("n3", a3, Alive, Meta{}, 1)},
		},
		{
			"the same again",
			[]step{{"alive", "n2", a2, ready, 1, "changed came"}, {"alive", "n2", a2, ready, 2, ""}},
			[]Member{self, member("n2", a2, Alive, Meta{Ready: true}, 1)},
		},
		{
			"new metadata do not change since",
			[]step{{"alive", "n2", a2, ready, 1, "changed came"}, {"alive", "n2", a2, "", 2, "changed"}},
			[]Member{self, member("n2", a2, Alive, Meta{}, 1)},
		},
		{
			"new address",
			[]step{{"alive", "n2", a2, "", 1, "changed came"}, {"alive", "n2", a3, "", 2, "changed"}},
			[]Member{self, member("n2", a3, Alive, Meta{}, 1)},
		},
		{
			"death keeps the rest",
			[]step{{"alive", "n2", a2, ready, 1, "changed came"}, {"gone", "n2", a2, "", 2, "dead"}, {"gone", "n2", a2, "", 3, ""}},
			[]Member{self, member("n2", a2, Dead, Meta{Ready: true}, 2)},
		},
		{"death of nobody", []step{{"gone", "n2", a2, "", 2, ""}, {"goodbye", "n2", a2, "", 2, ""}}, []Member{self}},
		{
			"goodbye first",
			[]step{{"alive", "n2", a2, "", 1, "changed came"}, {"goodbye", "n2", a2, "", 2, ""}, {"gone", "n2", a2, "", 3, "left"}},
			[]Member{self, member("n2", a2, Left, Meta{}, 3)},
		},
		{
			"goodbye last",
			[]step{{"alive", "n2", a2, "", 1, "changed came"}, {"gone", "n2", a2, "", 3, "dead"}, {"goodbye", "n2", a2, "", 4, "corrected"}},
			[]Member{self, member("n2", a2, Left, Meta{}, 3)},
		},
		{
			"goodbye too early",
			[]step{{"alive", "n2", a2, "", 1, "changed came"}, {"goodbye", "n2", a2, "", 2, ""}, {"gone", "n2", a2, "", 8, "dead"}},
			[]Member{self, member("n2", a2, Dead, Meta{}, 8)},
		},
		{
			"goodbye too late",
			[]step{{"alive", "n2", a2, "", 1, "changed came"}, {"gone", "n2", a2, "", 3, "dead"}, {"goodbye", "n2", a2, "", 9, ""}},
			[]Member{self, member("n2", a2, Dead, Meta{}, 3)},
		},
		{"goodbye of an earlier life", []step{
			{"alive", "n2", a2, "", 1, "changed came"},
			{"goodbye", "n2", a2, "", 2, ""},
			{"gone", "n2", a2, "", 2, "left"},
			{"alive", "n2", a2, "", 3, "changed came"},
			{"gone", "n2", a2, "", 4, "dead"},
		}, []Member{self, member("n2", a2, Dead, Meta{}, 4)}},
		{
			"kept for five minutes",
			[]step{{"alive", "n2", a2, "", 1, "changed came"}, {"gone", "n2", a2, "", 2, "dead"}, {"expire", "", a2, "", 301, ""}},
			[]Member{self, member("n2", a2, Dead, Meta{}, 2)},
		},
		{"then forgotten", []step{{"alive", "n2", a2, "", 1, "changed came"}, {"gone", "n2", a2, "", 2, "dead"}, {"expire", "", a2, "", 302, "changed"}}, []Member{self}},
		{
			"the alive and self are never forgotten",
			[]step{{"alive", "n2", a2, "", 1, "changed came"}, {"gone", "n1", a2, "", 1, "dead"}, {"expire", "", a2, "", 9999, ""}},
			[]Member{dead, member("n2", a2, Alive, Meta{}, 1)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tab := newTable("n1", addrNo(1), Meta{}.encode(), at(0))
			for i, s := range tt.steps {
				if got := tab.apply(s.what, s.name, s.addr, s.meta, at(s.at)); got != s.want {
					t.Fatalf("step %d, %s %s: %q, want %q", i, s.what, s.name, got, s.want)
				}
			}
			if diff := cmp.Diff(tt.want, tab.list(), cmpPrefix()); diff != "" {
				t.Errorf("members (-want +got):\n%s", diff)
			}
		})
	}
}

// apply calls the operation by its name and puts its results in words.
func (t *table) apply(what, name string, addr netip.AddrPort, meta string, now time.Time) (out string) {
	switch what {
	case "alive":
		changed, came := t.alive(name, addr, []byte(meta), now)
		if changed {
			out = "changed"
		}
		if came {
			out += " came"
		}
	case "gone":
		s, _ := t.gone(name, now)
		out = string(s)
	case "goodbye":
		if t.goodbye(name, now) {
			out = "corrected"
		}
	case "expire":
		if t.expire(now) {
			out = "changed"
		}
	}
	return out
}

func TestTableListIsDeep(t *testing.T) {
	tab := newTable("n1", addrNo(1), Meta{Segments: prefixes("198.18.0.0/24", "198.18.1.0/24")}.encode(), time.Now())
	tab.alive("n2", addrNo(2), Meta{Segments: prefixes("198.18.2.0/24")}.encode(), time.Now())
	want := tab.list()
	got := tab.list()
	got[0].Meta.Segments[0] = netip.Prefix{}
	got[0].Meta.Segments = append(got[0].Meta.Segments, prefixes("0.0.0.0/0")...)
	if got[1].Meta.Segments[0] != want[1].Meta.Segments[0] {
		t.Error("appending to one member's segments writes into the next one's")
	}
	got[1].Meta.Segments[0] = netip.Prefix{}
	if diff := cmp.Diff(want, tab.list(), cmpPrefix()); diff != "" {
		t.Errorf("writing to a copy changes the table (-before +after):\n%s", diff)
	}
}

func TestTableSummary(t *testing.T) {
	now := time.Unix(1000, 0)
	tab := newTable("n1", addrNo(1), Meta{}.encode(), now)
	if c := tab.summary(); c.self != addrNo(1) || len(c.others) != 0 || !c.met.IsZero() {
		t.Errorf("at first %+v", c)
	}
	tab.alive("n1", addrNo(9), nil, now.Add(time.Second)) // Bound to another port, say.
	tab.alive("n2", addrNo(2), nil, now.Add(2*time.Second))
	tab.alive("n3", addrNo(3), nil, now.Add(3*time.Second))
	tab.gone("n3", now.Add(4*time.Second))
	want := summary{name: "n1", self: addrNo(9), others: map[netip.AddrPort]string{addrNo(2): "n2"}, met: now.Add(2 * time.Second), shift: now.Add(4 * time.Second)}
	if diff := cmp.Diff(want, tab.summary(), cmp.AllowUnexported(summary{}), cmpPrefix()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// BenchmarkMembers: Members is called for every change, so it must stay cheap in a large mesh.
func BenchmarkMembers(b *testing.B) {
	for _, k := range []int{3, 1000} {
		b.Run(fmt.Sprint(k), func(b *testing.B) {
			tab := newTable("n0", addrNo(0), Meta{}.encode(), time.Now())
			for i := range k {
				meta := Meta{Ready: true, Version: "v1.0.0", Config: 7, Segments: prefixes("198.18.0.0/15", "2001:db8::/64")}
				tab.alive(fmt.Sprintf("n%d", i), addrNo(i), meta.encode(), time.Now())
			}
			m := &Mesh{table: tab}
			b.ReportAllocs()
			for b.Loop() {
				if len(m.Members()) != k {
					b.Fatal("members missing")
				}
			}
		})
	}
}

func TestMembersAllocatesTwice(t *testing.T) {
	tab := newTable("n0", addrNo(0), Meta{Segments: prefixes("198.18.0.0/15")}.encode(), time.Now())
	for i := range 1000 {
		tab.alive(fmt.Sprintf("n%d", i), addrNo(i), Meta{Segments: prefixes("198.18.0.0/15")}.encode(), time.Now())
	}
	// All of the process are counted, so what other tests have left running can only add to them.
	got := math.Inf(1)
	for range 10 {
		got = min(got, testing.AllocsPerRun(10, func() { tab.list() }))
	}
	if got > 2 {
		t.Errorf("%v allocations for 1,000 members, want 2", got)
	}
}
