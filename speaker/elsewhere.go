package speaker

import (
	"cmp"
	"slices"
	"strings"
)

// Told is a finding of other speakers.
type Told struct {
	Finding
	Nodes []string `json:"nodes"` // of the speakers that tell it, sorted
}

// By names the first of the speakers that tell it.
func (t Told) By() string { return some(t.Nodes, 3) }

// Own are the findings that other speakers may not have: those about this one itself, and about addresses that somebody
// else uses on its network. What is wrong with members, pools and Services every speaker sees for itself.
func (s Snapshot) Own() []Finding {
	var list []Finding
	for _, f := range s.Findings {
		if f.About == "" || slices.ContainsFunc(s.Conflicts, func(c Conflict) bool { return c.IP == f.About }) {
			list = append(list, f)
		}
	}
	return list
}

// Elsewhere joins what other speakers find, by node, and this one has not found itself: equal words once, with all who say so, the
// worst first.
func Elsewhere(here []Finding, others map[string][]Finding) []Told {
	said := map[string]bool{}
	for _, f := range here {
		said[f.Words] = true
	}
	at := map[Finding]int{}
	var list []Told
	for node, findings := range others {
		for _, f := range findings {
			i, known := at[f]
			switch {
			case said[f.Words]:
			case known:
				list[i].Nodes = append(list[i].Nodes, node)
			default:
				at[f] = len(list)
				list = append(list, Told{f, []string{node}})
			}
		}
	}
	for i := range list {
		slices.Sort(list[i].Nodes)
		list[i].Nodes = slices.Compact(list[i].Nodes)
	}
	slices.SortFunc(list, func(a, b Told) int {
		return cmp.Or(strings.Compare(a.Level, b.Level), slices.Compare(a.Nodes, b.Nodes), strings.Compare(a.Words, b.Words))
	})
	return list
}
