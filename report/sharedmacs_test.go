package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/watcher"
)

// TestTwins: nodes with one machine identity are named together, if their speakers live. That no
// identity is known is no fault.
func TestTwins(t *testing.T) {
	t.Parallel()
	var twins Twins
	nodes := []watcher.Node{{Name: "n1", MachineID: "a"}, {Name: "n2"}, {Name: "n3", MachineID: "a"}, {Name: "n4"}, {Name: "n5", MachineID: "b"}, {Name: "n6", MachineID: "b"}, {Name: "n7", MachineID: "a"}}
	dead := "n6"
	words := func() []string {
		return Words(twins.Of(nodes, func(name string) bool { return name != dead }))
	}
	if diff := cmp.Diff([]string{"nodes n1 and n3 and n7 have the same machine identity"}, words()); diff != "" {
		t.Errorf("n6 is dead (-want +got):\n%s", diff)
	}
	dead = "n1"
	if diff := cmp.Diff([]string{"nodes n3 and n7 have the same machine identity", "nodes n5 and n6 have the same machine identity"}, words()); diff != "" {
		t.Errorf("n1 is dead (-want +got):\n%s", diff)
	}
	nodes = nodes[:3:3]
	nodes = append(nodes[:2:2], watcher.Node{Name: "n3", MachineID: "c"})
	if diff := cmp.Diff([]string(nil), words()); diff != "" {
		t.Errorf("n3 has one of its own (-want +got):\n%s", diff)
	}
}
