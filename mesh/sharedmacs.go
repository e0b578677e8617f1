package mesh

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/starling-lb/starling/health"
)

// sharedMACs are a condition for each MAC that two or more living members have, sorted by its
// words.
func (t *table) sharedMACs() (out []health.Condition) {
	t.mu.Lock()
	defer t.mu.Unlock()
	first, reported := map[string]string{}, map[string]bool{}
	for i := range t.members {
		e := &t.members[i]
		if e.State != Alive {
			continue
		}
		for _, mac := range e.Meta.MACs {
			other, seen := first[mac]
			switch {
			case !seen:
				first[mac] = e.Name
			case other != e.Name && !reported[mac] && len(out) < conditionLimit:
				reported[mac] = true
				out = append(out, health.New(health.MACTwice, health.Subject{Kind: health.KindCluster}, fmt.Sprintf("nodes %s and %s have the same MAC %s", other, e.Name, mac)))
			}
		}
	}
	slices.SortFunc(out, func(a, b health.Condition) int { return cmp.Compare(a.Words, b.Words) })
	return out
}
