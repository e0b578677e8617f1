package e2e

import (
	"context"
	"fmt"
	"testing"
)

// TestCordonAndDrain takes the announcer out of service as an administrator does before work on a node, and back: another
// one goes first, without a single question lost.
func TestCordonAndDrain(t *testing.T) {
	for _, command := range [][]string{{"cordon"}, {"drain", "--ignore-daemonsets"}} {
		t.Run(command[0], func(t *testing.T) {
			s := watchService(t, command[0], "udp")
			kubectl := func(ctx context.Context, args ...string) {
				t.Helper()
				if out, err := shared.Kubectl(ctx, "", append(args, s.owner.Name)...); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			t.Cleanup(func() { kubectl(context.WithoutCancel(t.Context()), "uncordon") })
			kubectl(t.Context(), command...)
			next := s.moved(t)
			kubectl(t.Context(), "uncordon")
			s.returned(t)
			settled(t, s.watcher, s.ip)
			s.undisturbed(t, fmt.Sprintf("%s of %s, taken over by %s, and uncordon", command[0], s.owner.Name, next.Name))
		})
	}
}
