package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// kubectl runs a command about the announcer's node.
func (s *watched) kubectl(t *testing.T, args ...string) {
	t.Helper()
	kubectl(t, args...)
}

func kubectl(t *testing.T, args ...string) {
	t.Helper()
	if out, err := shared.Kubectl(context.WithoutCancel(t.Context()), "", args...); err != nil {
		t.Fatalf("kubectl %v: %v: %s", args, err, out)
	}
}

// TestCordonAndDrain takes the announcer out of service as an administrator does before work on a
// node: that alone moves nothing, and when its speaker ends another node goes first, without a
// single question lost.
func TestCordonAndDrain(t *testing.T) {
	for _, command := range [][]string{{"cordon"}, {"drain", "--ignore-daemonsets"}} {
		t.Run(command[0], func(t *testing.T) {
			s := watchService(t, command[0], "udp")
			begun := time.Now()
			t.Cleanup(func() { s.kubectl(t, "uncordon", s.owner.Name) })
			s.kubectl(t, append(command, s.owner.Name)...)
			settled(t, s.watcher, s.ip)
			s.unmoved(t, begun)

			s.deletePod(t)
			if !s.handedOver(t, begun) {
				t.Errorf("nobody else announced the address when the speaker of %s ended", s.owner.Name)
			}
			s.kubectl(t, "uncordon", s.owner.Name)
			s.returned(t)
			allReady(t)
			settled(t, s.watcher, s.ip)
			s.undisturbed(t, fmt.Sprintf("%s of %s, end of its speaker, and uncordon", command[0], s.owner.Name))
		})
	}
}

// handedOver reports whether another node than the announcer claimed the address since then.
func (s *watched) handedOver(t *testing.T, since time.Time) bool {
	t.Helper()
	for _, c := range s.watcher.Claims(s.ip) {
		if c.At.After(since) && c.MAC != s.owner.MAC.String() {
			return true
		}
	}
	return false
}

// TestConditionOfANode: a node whose condition says that it is drained hands its addresses over at
// once.
func TestConditionOfANode(t *testing.T) {
	s := watchService(t, "drained", "udp")
	say := func(status string) {
		s.kubectl(t, "patch", "node", s.owner.Name, "--subresource=status", "--type=strategic", "-p",
			`{"status":{"conditions":[{"type":"DrainInProgress","status":"`+status+`","reason":"Test","message":"test"}]}}`)
	}
	t.Cleanup(func() { say("False") })
	say("True")
	next := s.moved(t)
	say("False")
	s.returned(t)
	settled(t, s.watcher, s.ip)
	s.undisturbed(t, fmt.Sprintf("%s says that it is drained, taken over by %s, and back", s.owner.Name, next.Name))
}
