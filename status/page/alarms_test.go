package page

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/speaker"
)

func TestAlarms(t *testing.T) {
	t.Parallel()
	pool := func(size, used, waiting uint64) speaker.Snapshot {
		return speaker.Snapshot{Pools: []speaker.Pool{{Name: "p", Size: size, Used: used, Free: size - min(size, used), Waiting: waiting}}}
	}
	const addMore = "add addresses to the pool before a Service has to wait"
	const compare = "compare the pages of both: which one has old news, or does not reach the others?"
	tests := []struct {
		name string
		in   Scene
		want []Alarm
	}{
		{"nothing", Scene{}, nil},
		{
			"findings, the worst first",
			Scene{Snapshot: speaker.Snapshot{Findings: []speaker.Finding{
				{Level: "warning", About: "pool a b", Words: "w", Todo: "t"},
				{Level: "error", About: "2001:db8::1", Words: "x"},
				{Level: "error", About: "node n1", Words: "y"},
				{Level: "error", Words: "z"},
				{Level: "warning", About: "shop/web", Words: "v"},
			}}},
			[]Alarm{
				{Level: bad, About: "2001:db8::1", What: "x", Link: "?address=2001%3Adb8%3A%3A1#addresses"},
				{Level: bad, About: "node n1", What: "y", Link: "#member-n1"},
				{Level: bad, What: "z"},
				{Level: fair, About: "pool a b", What: "w", Do: "t", Link: "#pool-a b"},
				{Level: fair, About: "shop/web", What: "v"},
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
			[]Alarm{
				{Level: fair, About: "node n4", What: "sees 1 address otherwise: 198.18.64.1 at no such address, where this speaker sees n1", Do: compare, Link: "?show=wrong#addresses"},
				{Level: fair, About: "node n5", What: "sees 2 addresses otherwise: 198.18.64.1 at nobody, where this speaker sees n1", Do: compare, Link: "?show=wrong#addresses"},
				{Level: fair, About: "node n6", What: "sees 1 address otherwise: 198.18.64.9 at n6, where this speaker sees no such address", Do: compare, Link: "?show=wrong#addresses"},
			},
		},
		{
			"what others find, once and not again what is known here",
			Scene{
				Snapshot: speaker.Snapshot{Findings: []speaker.Finding{{Level: "warning", Words: "a pool overlaps"}}},
				Views: []View{
					{Node: "n2", Findings: []speaker.Finding{{Level: "warning", Words: "a pool overlaps"}, {Level: "warning", Words: "gossip to n1 is blocked", Todo: "open"}}},
					{Node: "n3", Findings: []speaker.Finding{{Level: "error", About: "198.18.64.1", Words: "x also answers"}, {Level: "warning", Words: "gossip to n1 is blocked", Todo: "open"}}},
				},
			},
			[]Alarm{
				{Level: bad, About: "198.18.64.1", What: "x also answers", Link: "?address=198.18.64.1#addresses"},
				{Level: fair, What: "a pool overlaps"},
				{Level: fair, About: "on n2, n3", What: "gossip to n1 is blocked", Do: "open", Link: "#member-n2"},
			},
		},
		{
			"more of others than a page bears",
			Scene{Views: []View{{Node: "n2", Findings: lots(toldMost + 2)}}},
			append(fromN2(toldMost), Alarm{Level: fair, What: "2 things more that other speakers tell", Do: "`starling doctor` lists them all"}),
		},
		{"a pool with room", Scene{Snapshot: pool(100, 89, 0)}, nil},
		{"a pool nearly full", Scene{Snapshot: pool(100, 99, 0)}, []Alarm{{Level: fair, About: "pool p", What: "is nearly full: 1 address is left", Do: addMore, Link: "#pool-p"}}},
		{"a pool that is just used up", Scene{Snapshot: pool(1, 1, 0)}, nil},
		{"a pool that is waited for, which the speaker tells", Scene{Snapshot: pool(100, 99, 1)}, nil},
		{"a pool without addresses", Scene{Snapshot: pool(0, 0, 0)}, nil},
		{"a pool beyond counting", Scene{Snapshot: pool(math.MaxUint64, 7, 0)}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, NewIndex(tt.in).Alarms); diff != "" {
				t.Errorf("alarms (-want +got):\n%s", diff)
			}
		})
	}
}

// lots are so many findings of a speaker about itself.
func lots(n int) (list []speaker.Finding) {
	for i := range n {
		list = append(list, speaker.Finding{Level: "warning", Words: fmt.Sprintf("thing %02d", i)})
	}
	return list
}

// fromN2 are the alarms of as many findings of n2.
func fromN2(n int) (list []Alarm) {
	for _, f := range lots(n) {
		list = append(list, Alarm{Level: fair, About: "on n2", What: f.Words, Link: "#member-n2"})
	}
	return list
}

func TestHeadline(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		alarms []string
		rows   int
		want   string
		level  string
	}{
		{"nothing there", nil, 0, "Ready, and no addresses yet", good},
		{"well", nil, 1, "All is well", good},
		{"one to look at", []string{fair}, 1, "1 thing to look at", fair},
		{"several", []string{fair, fair}, 0, "2 things to look at", fair},
		{"one wrong", []string{bad}, 1, "1 thing is wrong", bad},
		{"both", []string{bad, bad, fair}, 1, "2 things are wrong, 1 to look at", bad},
	}
	for _, tt := range tests {
		m := &model{Index: &Index{rows: make([]row, tt.rows)}}
		for _, level := range tt.alarms {
			m.Alarms = append(m.Alarms, Alarm{Level: level})
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
		if got := (member{Member: speaker.Member{RoundTrip: seconds}}).Trip(); got != want {
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
