package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/mesh"
)

// Speakerless sorts the nodes of Kubernetes that have no speaker by what is known of them. A node
// whose speaker was heard and is dead has one; one that left properly has none any more.
type Speakerless struct {
	Unselected []string // the DaemonSet does not select them: they are to have none
	Missing    []string // the DaemonSet selects them
	Unknown    []string // nobody knows whether it does
}

// Conditions are one for each kind of them: there may be as many as nodes.
func (l Speakerless) Conditions() []health.Condition {
	var list []health.Condition
	if n := l.Unselected; len(n) > 0 {
		list = append(list, health.New(health.NoSpeaker, health.Node(n[0]), fmt.Sprintf("%s %s no speaker (the DaemonSet does not select %s)", health.Some(n, 3), number(n, "runs", "run"), number(n, "it", "them"))))
	}
	if n := l.Unknown; len(n) > 0 {
		c := health.New(health.NoSpeaker, health.Node(n[0]), fmt.Sprintf("%s %s no speaker that was ever heard", health.Some(n, 3), number(n, "runs", "run")))
		list = append(list, c.Do("see its pod, if it is to have one: `kubectl -n starling-system get pods -o wide`"))
	}
	if n := l.Missing; len(n) > 0 {
		list = append(list, health.New(health.SpeakerMissing, health.Node(n[0]), fmt.Sprintf("no speaker of %s was ever heard, though the DaemonSet selects %s", health.Some(n, 3), number(n, "it", "them"))))
	}
	return list
}

// number is the word for one or for many of something.
func number(of []string, one, many string) string {
	if len(of) == 1 {
		return one
	}
	return many
}

// speakerless looks at all nodes, once this node knows its place in the mesh and all that are in
// it.
func (w *World) speakerless() Speakerless {
	var list Speakerless
	if len(w.Lacks) > 0 {
		return list
	}
	for _, n := range w.Cluster.Nodes { // sorted
		i, met := slices.BinarySearchFunc(w.Members, n.Name, func(m mesh.Member, name string) int { return strings.Compare(m.Name, name) })
		left := met && w.Members[i].State == mesh.Left
		switch {
		case met && !left:
		case w.Cluster.Placement == nil && !left:
			list.Unknown = append(list.Unknown, n.Name)
		case w.Cluster.Placement != nil && !w.Cluster.Placement.Selects(n):
			list.Unselected = append(list.Unselected, n.Name)
		case !left: // Else it was stopped, which is said of the member.
			list.Missing = append(list.Missing, n.Name)
		}
	}
	return list
}
