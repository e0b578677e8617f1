package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
)

// fromNothing takes all of starling off the cluster and the nodes.
func fromNothing(t *testing.T) {
	t.Helper()
	if out, err := shared.Kubectl(t.Context(), "", "delete", "-f", "../manifests/starling.yaml"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	leftOnNodes(t)
}

// leftOnNodes removes what pages say is left on the nodes, and wants it to be there.
func leftOnNodes(t *testing.T) {
	t.Helper()
	for _, n := range shared.Nodes {
		if err := cleanNode(t.Context(), n); err != nil {
			t.Error(err)
		}
	}
}

func cleanNode(ctx context.Context, n *cluster.Node) error {
	if out, err := n.Run(ctx, "ls", "/var/lib/starling/gossip-keys"); err != nil {
		return fmt.Errorf("the pages say that keys are left on %s: %w\n%s", n.Name, err, out)
	}
	out, err := n.Run(ctx, "rm", "-r", "/var/lib/starling")
	if err != nil {
		return fmt.Errorf("clean %s: %w\n%s", n.Name, err, out)
	}
	return nil
}

// nothingBut holds, when the test ends, that there are no other objects on the cluster than before.
func nothingBut(t *testing.T, before []string) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			return // It ended in the middle.
		}
		err := cluster.Until(context.WithoutCancel(t.Context()), 30*time.Second, "the cluster as before", func(ctx context.Context) error {
			now, err := objects(ctx)
			if err != nil {
				return err
			}
			more := slices.DeleteFunc(now, func(o string) bool { return slices.Contains(before, o) })
			if len(more) > 0 {
				return fmt.Errorf("left are:\n%s", strings.Join(more, "\n"))
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// objects are all objects of the cluster but those that come and go by themselves, as kind,
// namespace and name.
func objects(ctx context.Context) ([]string, error) {
	out, err := shared.Kubectl(ctx, "", "api-resources", "--verbs=list", "--output=name")
	if err != nil {
		return nil, fmt.Errorf("kinds of objects: %w: %s", err, out)
	}
	kinds := slices.DeleteFunc(strings.Fields(out), func(kind string) bool {
		name, _, _ := strings.Cut(kind, ".")
		return slices.Contains([]string{"componentstatuses", "endpoints", "endpointslices", "events", "leases"}, name)
	})
	out, err = shared.Kubectl(ctx, "", "get", strings.Join(kinds, ","), "--all-namespaces", "--no-headers",
		"--output=custom-columns=KIND:.kind,NAMESPACE:.metadata.namespace,NAME:.metadata.name")
	if err != nil {
		return nil, fmt.Errorf("objects: %w: %s", err, out)
	}
	var all []string
	for line := range strings.Lines(out) {
		object := strings.Join(strings.Fields(line), " ")
		if !strings.HasPrefix(object, "Pod default "+backend+"-") { // The tests' own backends, which are moved about.
			all = append(all, object)
		}
	}
	if len(all) < 50 {
		return nil, fmt.Errorf("only %d objects are seen:\n%s", len(all), out)
	}
	return all, nil
}
