package doctor

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// says is the answer of a node whose clock is ahead, given in 100 ms.
func says(node, view string, ahead time.Duration, checks ...Check) Answer {
	return Answer{
		Name: node, Begun: noon, Ended: noon.Add(100 * time.Millisecond),
		Report: Report{Node: node, At: noon.Add(50*time.Millisecond + ahead), View: view, Checks: checks, Pools: []string{"198.18.64.0/30", "198.18.65.1-198.18.65.9"}},
	}
}

// knows is an answer of a node that knows these.
func knows(a Answer, nodes ...string) Answer {
	a.Report.Nodes = nodes
	return a
}

func TestTogether(t *testing.T) {
	t.Parallel()
	socket := Check{"packet-socket", OK, "it can be opened", "", ""}
	blocked := Check{"gossip-tcp", Fail, "n3 is blocked", "open it", ""}
	answers := func(nodes ...string) Found {
		return Found{Check{"speaker", OK, "answers", "", ""}, nodes}
	}
	clock := Found{Check{"clock", OK, "the clocks of all nodes agree within 2s", "", ""}, []string{}}
	view := Found{Check{"views", OK, "all speakers name the same announcers", "", ""}, []string{}}
	for _, tt := range []struct {
		name    string
		answers []Answer
		dhcp    []string
		want    []Found
		wrong   bool
	}{
		{"one node", []Answer{says("n1", "a", 0, socket)}, nil, []Found{answers("n1"), {socket, []string{"n1"}}}, false},
		{
			"what is the same on several is one finding, the worst first",
			[]Answer{says("n1", "a", 0, socket, blocked), says("n2", "a", 0, socket, blocked), says("n3", "a", 0, socket)},
			nil,
			[]Found{{blocked, []string{"n1", "n2"}}, answers("n1", "n2", "n3"), {socket, []string{"n1", "n2", "n3"}}, clock, view},
			true,
		},
		{
			"silence",
			[]Answer{says("n1", "a", 0), {Name: "n2", Err: errors.New("ask n2:\nno answer")}},
			nil,
			[]Found{
				{Check{
					"speaker", Fail, "the speaker of n2 did not answer: ask n2:; no answer",
					"see its pod: `kubectl -n starling-system get pods -o wide`, `kubectl -n starling-system logs POD`", "",
				}, []string{"n2"}},
				answers("n1"),
			},
			true,
		},
		{
			"others that were not asked, and one that did not answer",
			[]Answer{knows(says("n1", "a", 0), "n1", "n2", "n3", "n4"), {Name: "n4", Err: errors.New("no answer")}},
			nil,
			[]Found{
				{Check{
					"speaker", Fail, "the speaker of n4 did not answer: no answer",
					"see its pod: `kubectl -n starling-system get pods -o wide`, `kubectl -n starling-system logs POD`", "",
				}, []string{"n4"}},
				{Check{
					"speaker", Unknown, "asked 2 of 4 nodes, and not n2, n3",
					"ask all through the API server: `kubectl starling doctor`, or `starling doctor --kubeconfig FILE`", "",
				}, []string{}},
				answers("n1"),
			},
			true,
		},
		{
			"a clock that is ahead",
			[]Answer{says("n1", "a", 0), says("n2", "a", 5*time.Second)},
			nil,
			[]Found{
				{Check{
					"clock", Warn, "the clock of n2 is at least 4.9s ahead of that of n1",
					"synchronize the clocks of all nodes (chrony, systemd-timesyncd); starling works, but times in logs and status mislead", "",
				}, []string{}},
				answers("n1", "n2"), view,
			},
			false,
		},
		{"clocks as exact as the answers", []Answer{says("n1", "a", 0), says("n2", "a", skew+100*time.Millisecond)}, nil, []Found{answers("n1", "n2"), clock, view}, false},
		{
			"two views",
			[]Answer{says("n1", "a", 0), says("n2", "b", 0), says("n3", "a", 0)},
			nil,
			[]Found{
				{Check{
					"views", Warn, "speakers name different announcers: n1, n3 | n2",
					"ask again: a move may be on its way; if it lasts, compare `starling status --node NODE` of both sides", "",
				}, []string{}},
				answers("n1", "n2", "n3"), clock,
			},
			false,
		},
		{
			"DHCP",
			[]Answer{says("n1", "a", 0)},
			[]string{"198.18.65.9-198.18.65.20", "198.18.66.0/24"},
			[]Found{
				{Check{
					"dhcp", Fail, "the pool range 198.18.65.1-198.18.65.9 overlaps 198.18.65.9-198.18.65.20, which DHCP hands out",
					"take the range out of the DHCP server or out of the pool", "",
				}, []string{}},
				answers("n1"),
			},
			true,
		},
		{
			"DHCP elsewhere",
			[]Answer{says("n1", "a", 0)},
			[]string{"198.18.66.0/24"},
			[]Found{answers("n1"), {Check{"dhcp", OK, "no pool overlaps 198.18.66.0/24", "", ""}, []string{}}},
			false,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := Together(tt.answers, tt.dhcp)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if Wrong(got) != tt.wrong {
				t.Errorf("wrong: %v, want %v", !tt.wrong, tt.wrong)
			}
		})
	}
}
