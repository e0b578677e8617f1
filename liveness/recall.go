package liveness

import (
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/mesh"
)

// recallMemory is for how long after their grace members are shown that an earlier process of this
// node knew and this one has not met: as long as the mesh shows those that are gone.
const recallMemory = 5 * time.Minute

// recall is what an earlier process of this node knew of the members a moment ago, this node among
// them.
//
// When all speakers restart at once there is nobody left who knows which nodes are away, and the
// first one back would take all addresses. So it takes the others for absent as its earlier process
// last saw them, for their grace. That ends where somebody knows better: a member whose process the
// earlier one knew as well, and which so has seen everything since.
type recall struct {
	earlier []mesh.Member // sorted by name
	begun   time.Time
}

// join adds the members of before to those of gossip, which are sorted. The list that it is given
// stays as it is.
func (r *recall) join(members []mesh.Member, now time.Time) []mesh.Member {
	since := now.Sub(r.begun)
	over := func(e mesh.Member) bool { return since >= e.Meta.Grace+recallMemory }
	if !slices.ContainsFunc(r.earlier, func(e mesh.Member) bool { return !over(e) }) {
		return members
	}
	known := r.known(members)
	members = slices.Clone(members)
	for _, e := range r.earlier {
		if over(e) {
			continue
		}
		i, met := find(members, e.Name)
		if !met {
			members = slices.Insert(members, i, mesh.Member{Name: e.Name, Addr: e.Addr, State: mesh.Left, Since: r.begun, Meta: e.Meta})
			members[i].Meta.Away = true
		}
		m := &members[i]
		m.Meta = m.Meta.After(e.Meta)
		m.Recalled = !known && since < e.Meta.Grace
	}
	return members
}

// known reports whether a member is there whose process has gone on since the earlier process of
// this node ended. One that is about to end is no help.
func (r *recall) known(members []mesh.Member) bool {
	return slices.ContainsFunc(r.earlier, func(e mesh.Member) bool {
		i, met := find(members, e.Name)
		return met && members[i].State == mesh.Alive && members[i].Epoch == e.Epoch && !members[i].Meta.Away
	})
}

func find(members []mesh.Member, name string) (int, bool) {
	return slices.BinarySearchFunc(members, name, func(m mesh.Member, n string) int { return strings.Compare(m.Name, n) })
}
