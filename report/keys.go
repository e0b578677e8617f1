package report

import (
	"fmt"
	"slices"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/mesh"
)

// keys sums up which member holds which gossip key.
func keys(members []mesh.Member, self string) api.Keys {
	var k api.Keys
	i := slices.IndexFunc(members, func(m mesh.Member) bool { return m.Name == self })
	if i < 0 || len(members[i].Meta.Keys) == 0 {
		k.State = "gossip is not encrypted, or its keys are not known yet"
		return k
	}
	k.Held = slices.Clone(members[i].Meta.Keys)
	var differ []string
	for _, m := range members {
		if m.State == mesh.Alive && !slices.Equal(m.Meta.Keys, k.Held) {
			differ = append(differ, m.Name)
		}
	}
	switch {
	case len(differ) > 0:
		k.State = fmt.Sprintf("%s hold other keys than %s: a rotation is on its way; if it stays so, `starling key rotate` goes on with it", health.Some(differ, 5), self)
	case len(k.Held) > 1:
		k.State = fmt.Sprintf("all hold %d keys and encrypt with %s: a rotation is on its way; if it stays so, `starling key rotate` goes on with it", len(k.Held), k.Held[0])
	default:
		k.State = "all hold the same key"
	}
	return k
}
