package page

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
)

func TestNotices(t *testing.T) {
	t.Parallel()
	overlap, taken := health.New(health.PoolOverlapsNodes, health.Pool("a b"), "w"), health.New(health.AddressTaken, health.Address("2001:db8::1"), "x")
	lost, raw := health.New(health.NodeLost, health.Node("n1"), "y"), health.New(health.NoNetRaw, health.Node("n0"), "z")
	unknown, cordoned := health.New(health.PoolUnknown, health.Service("shop/web"), "v"), health.New(health.NodeCordoned, health.Node("n2"), "u")
	blocked := health.New(health.GossipBlocked, health.Node("n1"), "gossip to n1 is blocked")
	tests := []struct {
		name string
		in   Scene
		want []Notice
	}{
		{"nothing", Scene{}, nil},
		{
			"conditions, the worst first",
			Scene{Snapshot: api.Snapshot{Node: "n0", Conditions: []health.Condition{overlap, taken, lost, raw, unknown, cordoned}}},
			[]Notice{
				{taken, bad, "2001:db8::1", "?address=2001%3Adb8%3A%3A1#addresses", ""},
				{lost, bad, "node n1", "#member-n1", ""},
				{raw, bad, "", "", ""},
				{overlap, fair, "pool a b", "#pool-a b", ""},
				{unknown, fair, "shop/web", "", ""},
				{cordoned, good, "node n2", "#member-n2", ""},
			},
		},
		{
			"views that differ",
			Scene{Views: []View{
				{Node: "n2"},
				{Node: "n3", Silent: "connection refused"},
				{Node: "n4", Differs: []Difference{{IP: "198.18.64.1", Here: "n1", Known: true}}},
				{Node: "n5", Differs: []Difference{{IP: "198.18.64.1", There: "", Known: true, Heard: true, Here: "n1"}, {IP: "198.18.64.2"}}},
				{Node: "n6", Differs: []Difference{{IP: "198.18.64.9", There: "n6", Heard: true}}},
			}},
			[]Notice{
				{health.New(health.ViewsDiffer, health.Node("n4"), "n4 sees 1 address otherwise: 198.18.64.1 at no such address, where this speaker sees n1"), fair, "node n4", "?show=wrong#addresses", ""},
				{health.New(health.ViewsDiffer, health.Node("n5"), "n5 sees 2 addresses otherwise: 198.18.64.1 at nobody, where this speaker sees n1"), fair, "node n5", "?show=wrong#addresses", ""},
				{health.New(health.ViewsDiffer, health.Node("n6"), "n6 sees 1 address otherwise: 198.18.64.9 at n6, where this speaker sees no such address"), fair, "node n6", "?show=wrong#addresses", ""},
			},
		},
		{
			"what others find, once and not again what is known here",
			Scene{
				Snapshot: api.Snapshot{Node: "n0", Conditions: []health.Condition{overlap}},
				Views:    []View{{Node: "n2", Conditions: []health.Condition{overlap, blocked}}, {Node: "n3", Conditions: []health.Condition{taken, blocked}}},
			},
			[]Notice{
				{taken, bad, "2001:db8::1", "?address=2001%3Adb8%3A%3A1#addresses", "n3"},
				{overlap, fair, "pool a b", "#pool-a b", ""},
				{blocked, fair, "node n1", "#member-n1", "n2, n3"},
			},
		},
		{
			"what another finds of itself",
			Scene{Snapshot: api.Snapshot{Node: "n0"}, Views: []View{{Node: "n1", Conditions: []health.Condition{lost}}}},
			[]Notice{{lost, bad, "node n1", "#member-n1", ""}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, NewIndex(tt.in).Notices); diff != "" {
				t.Errorf("notices (-want +got):\n%s", diff)
			}
		})
	}
}

// TestMoreNotices: a page lists the worst, and the headline counts all.
func TestMoreNotices(t *testing.T) {
	t.Parallel()
	s := Scene{}
	for i := range noticesMost + 2 {
		s.Snapshot.Conditions = append(s.Snapshot.Conditions, health.New(health.GossipBlocked, health.Node(fmt.Sprintf("m%02d", i)), "blocked"))
	}
	head := one(t, parse(t, render(t, s, Query{}, nil)), "head")
	if got, want := words(first(head, "h1")), fmt.Sprintf("%d things to look at", noticesMost+2); got != want {
		t.Errorf("headline %q, want %q", got, want)
	}
	if got := len(all(head, "li")); got != noticesMost {
		t.Errorf("%d lines, want %d", got, noticesMost)
	}
	if got := words(head); !strings.Contains(got, "and 2 more: starling status lists them") {
		t.Errorf("the head does not say how many more there are: %s", got)
	}
}

func TestHeadline(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		notices []health.Severity
		rows    int
		want    string
		level   string
	}{
		{"nothing there", nil, 0, "Ready, and no addresses yet", good},
		{"well", nil, 1, "All is well", good},
		{"one to look at", []health.Severity{health.Warning}, 1, "1 thing to look at", fair},
		{"several", []health.Severity{health.Warning, health.Warning}, 0, "2 things to look at", fair},
		{"one wrong", []health.Severity{health.Error}, 1, "1 thing is wrong", bad},
		{"what only explains", []health.Severity{health.Information}, 1, "All is well", good},
		{"both", []health.Severity{health.Error, health.Error, health.Warning}, 1, "2 things are wrong, 1 to look at", bad},
	}
	for _, tt := range tests {
		m := &model{Index: &Index{rows: make([]row, tt.rows)}}
		for _, severity := range tt.notices {
			m.Notices = append(m.Notices, Notice{Condition: health.Condition{Severity: severity}})
		}
		if got := m.Headline(); got != tt.want || m.Level() != tt.level {
			t.Errorf("%s: %q, %s; want %q, %s", tt.name, got, m.Level(), tt.want, tt.level)
		}
	}
}

func TestAgreement(t *testing.T) {
	t.Parallel()
	same, silent, other := View{}, View{Silent: "refused"}, View{Differs: []Difference{{}}}
	tests := []struct {
		views []View
		want  string
	}{
		{nil, "no other view known"},
		{[]View{silent}, "no other view known"},
		{[]View{same, silent}, "the other speaker sees the same"},
		{[]View{same, same}, "both others see the same"},
		{[]View{same, same, same}, "all 3 others see the same"},
		{[]View{same, other, silent}, "1 of 2 others see the same"},
	}
	for _, tt := range tests {
		m := &model{Index: &Index{Scene: Scene{Views: tt.views}}}
		if got := m.agreement(); got != tt.want {
			t.Errorf("%d views: %q, want %q", len(tt.views), got, tt.want)
		}
	}
}

func TestTrip(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[float64]string{0: "–", 0.0000421: "0.04 ms", 0.000421: "0.42 ms", 0.00421: "4.2 ms", 0.0421: "42 ms", 0.421: "421 ms", 4.21: "4210 ms"} {
		if got := (member{Member: api.Member{RoundTrip: seconds}}).Trip(); got != want {
			t.Errorf("%v s: %q, want %q", seconds, got, want)
		}
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1\u202f000", 1234567: "1\u202f234\u202f567", math.MaxUint64: "18\u202f446\u202f744\u202f073\u202f709\u202f551\u202f615"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// TestFill: a pool is as bad as what is said of it at the top, and as full as the fuller one of its
// families.
func TestFill(t *testing.T) {
	t.Parallel()
	use := func(size, used uint64) api.FamilyUse {
		return api.FamilyUse{Size: size, Used: used, Free: size - min(size, used)}
	}
	full, nearly := health.New(health.PoolFull, health.Pool("p"), ""), health.New(health.PoolNearlyFull, health.Pool("p"), "")
	for _, tt := range []struct {
		name    string
		in      api.Pool
		said    []health.Condition
		want    string
		waited  string
		percent uint64
	}{
		{"with room", api.Pool{Families: []api.FamilyUse{use(100, 89)}}, nil, good, fair, 89},
		{"nearly full", api.Pool{Families: []api.FamilyUse{use(100, 99)}}, []health.Condition{nearly}, fair, fair, 99},
		{"one family nearly full", api.Pool{Families: []api.FamilyUse{use(10, 9), use(256, 9)}}, []health.Condition{nearly}, fair, fair, 90},
		{"just used up", api.Pool{Families: []api.FamilyUse{use(1, 1)}}, nil, good, fair, 100},
		{"waited for", api.Pool{Waiting: 1, Families: []api.FamilyUse{use(100, 100)}}, []health.Condition{full}, bad, bad, 100},
		{"another pool", api.Pool{Families: []api.FamilyUse{use(100, 1)}}, []health.Condition{health.New(health.PoolFull, health.Pool("q"), "")}, good, fair, 1},
		{"waited for by who asks for too much", api.Pool{Waiting: 1, Families: []api.FamilyUse{use(100, 1)}}, nil, good, fair, 1},
		{"beyond counting", api.Pool{Families: []api.FamilyUse{use(1<<64-1, 7)}}, nil, good, fair, 0},
		{"empty", api.Pool{}, nil, good, fair, 0},
	} {
		tt.in.Name = "p"
		x := NewIndex(Scene{Snapshot: api.Snapshot{Conditions: tt.said}})
		if got := x.Fill(tt.in); got != tt.want || x.Waited(tt.in) != tt.waited || percent(tt.in) != tt.percent {
			t.Errorf("%s: %s, %s, %d %%; want %s, %s, %d %%", tt.name, got, x.Waited(tt.in), percent(tt.in), tt.want, tt.waited, tt.percent)
		}
	}
}
