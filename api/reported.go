package api

import (
	"cmp"
	"maps"
	"slices"

	"github.com/starling-lb/starling/health"
)

// Reported is a condition that other speakers see.
type Reported struct {
	health.Condition
	Nodes []string `json:"nodes"` // of the speakers that see it, sorted
}

// By names the first of the speakers that see it.
func (r Reported) By() string { return health.Some(r.Nodes, 3) }

// LegacyReported is a condition of other speakers as earlier releases show it.
type LegacyReported struct {
	Finding
	Nodes []string `json:"nodes"` // of the speakers that tell it, sorted
}

// LegacyReports are the conditions of others as earlier releases show them.
func LegacyReports(all []Reported) []LegacyReported {
	list := []LegacyReported{}
	for _, r := range all {
		if f := Findings([]health.Condition{r.Condition}, r.Nodes[0]); len(f) > 0 {
			list = append(list, LegacyReported{f[0], r.Nodes})
		}
	}
	return list
}

// Own are the conditions that other speakers may not see. What is wrong with members, pools and
// Services every speaker sees for itself.
func (s Snapshot) Own() []health.Condition {
	var list []health.Condition
	for _, c := range s.Conditions {
		if c.Code.Rule().Local {
			list = append(list, c)
		}
	}
	return list
}

// SeenByOthers joins what other speakers see, by node, and this one does not: what is the same
// once, with all who see it, the worst first.
func SeenByOthers(here []health.Condition, others map[string][]health.Condition) []Reported {
	type key struct {
		code  health.Code
		about health.Subject
	}
	at := map[key]int{}
	for _, c := range here {
		at[key{c.Code, c.Subject}] = -1
	}
	var list []Reported
	for _, node := range slices.Sorted(maps.Keys(others)) {
		for _, c := range others[node] {
			switch i, known := at[key{c.Code, c.Subject}]; {
			case !known:
				at[key{c.Code, c.Subject}] = len(list)
				list = append(list, Reported{c, []string{node}})
			case i >= 0:
				list[i].Nodes = append(list[i].Nodes, node)
			}
		}
	}
	for i := range list {
		slices.Sort(list[i].Nodes)
		list[i].Nodes = slices.Compact(list[i].Nodes)
	}
	slices.SortFunc(list, func(a, b Reported) int {
		return cmp.Or(a.Severity.Compare(b.Severity), slices.Compare(a.Nodes, b.Nodes), a.Compare(b.Condition))
	})
	return list
}
