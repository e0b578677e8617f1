package speaker

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOwnFindings(t *testing.T) {
	mine := Finding{harm, "", "missing NET_RAW", "let it"}
	rival := Finding{harm, "198.18.64.1", "02:00:00:00:00:09 also answers", "find it"}
	s := Snapshot{
		Conflicts: []Conflict{{IP: "198.18.64.1"}},
		Findings: []Finding{
			mine, rival,
			{harm, "node n2", "neither gossip nor the wire reaches n2", "see"},
			{harm, "pool lan", "2 wait", "add"},
			{hint, "198.18.64.2", "nobody announces it", "ask"},
		},
	}
	if diff := cmp.Diff([]Finding{mine, rival}, s.Own()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestElsewhere(t *testing.T) {
	key, raw, full := Finding{hint, "", "peer uses another gossip key", "compare"}, Finding{harm, "", "missing NET_RAW", "let it"}, Finding{hint, "", "pool overlaps", ""}
	for name, tt := range map[string]struct {
		here   []Finding
		others map[string][]Finding
		want   []Told
	}{
		"nothing":                 {nil, map[string][]Finding{"n2": nil}, nil},
		"the worst first":         {nil, map[string][]Finding{"n2": {key}, "n3": {raw}}, []Told{{raw, []string{"n3"}}, {key, []string{"n2"}}}},
		"equal words once":        {nil, map[string][]Finding{"n4": {full}, "n2": {full}, "n3": {key, full}}, []Told{{full, []string{"n2", "n3", "n4"}}, {key, []string{"n3"}}}},
		"twice of one node":       {nil, map[string][]Finding{"n2": {key, key}}, []Told{{key, []string{"n2"}}}},
		"what is known here":      {[]Finding{key}, map[string][]Finding{"n2": {key, raw}}, []Told{{raw, []string{"n2"}}}},
		"by node, then by words":  {nil, map[string][]Finding{"n2": {full, key}}, []Told{{key, []string{"n2"}}, {full, []string{"n2"}}}},
		"known with other advice": {[]Finding{{hint, "", key.Words, "wait"}}, map[string][]Finding{"n2": {key}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Elsewhere(tt.here, tt.others)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestToldBy(t *testing.T) {
	if got, want := (Told{Nodes: []string{"n1", "n2", "n3", "n4", "n5"}}).By(), "n1, n2, n3 and 2 more"; got != want {
		t.Errorf("by %q, want %q", got, want)
	}
}
