package e2e

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
)

// held is how many connections the test keeps.
const held = 60

// keeping installs the speakers as the overlay keep-connections does, until the test ends.
func keeping(t *testing.T) {
	t.Helper()
	set := "daemonset/" + starling.Name
	kubectl := func(args ...string) {
		t.Helper()
		if out, err := shared.Kubectl(context.WithoutCancel(t.Context()), "", append([]string{"-n", starling.Namespace}, args...)...); err != nil {
			t.Fatalf("kubectl %v: %v: %s", args, err, out)
		}
	}
	settle := func() {
		t.Helper()
		kubectl("rollout", "status", "--timeout=3m", set)
		allReady(t)
	}
	kubectl("patch", set, "--type=strategic", "-p", `{"spec":{"template":{"spec":{"containers":[{"name":"starling",
		"env":[{"name":"STARLING_KEEP_CONNECTIONS","value":"true"}],"securityContext":{"capabilities":{"add":["NET_RAW","NET_ADMIN"]}}}]}}}}`)
	t.Cleanup(func() {
		kubectl("rollout", "undo", set)
		settle()
	})
	settle()
}

// hold opens connections through the address.
func (s *watched) hold(t *testing.T) *probe.Holder {
	t.Helper()
	h, err := probe.Hold(t.Context(), probe.Config{Dial: shared.Client.Dial, Address: net.JoinHostPort(s.ip.String(), "80")}, held)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// TestKeepConnections drains the announcer and has it come back, with connections to backends on
// other nodes. Those that began on it survive both moves, and those that began meanwhile survive
// its return.
func TestKeepConnections(t *testing.T) {
	keeping(t)
	s := watchService(t, "keep", "udp")
	first, begun := s.hold(t), time.Now()
	t.Cleanup(func() { s.kubectl(t, "uncordon", s.owner.Name) })
	s.kubectl(t, "cordon", s.owner.Name)
	s.deletePod(t)
	if !s.handedOver(t, begun) {
		t.Fatalf("nobody else announced the address when the speaker of %s ended", s.owner.Name)
	}
	allReady(t)
	settled(t, s.watcher, s.ip)
	until(t, 10*time.Second, "passed connections", func(context.Context) error {
		if n := deaths(t, "starling_forwarded_flows", s.others()...); n != held {
			return errors.New("another number is passed")
		}
		return nil
	})
	second := s.hold(t)
	s.kubectl(t, "uncordon", s.owner.Name)
	s.returned(t)
	allReady(t)
	settled(t, s.watcher, s.ip)
	until(t, 10*time.Second, "passed connections", func(context.Context) error {
		if n := deaths(t, "starling_forwarded_flows", s.owner); n != held {
			return errors.New("another number is passed back")
		}
		return nil
	})
	for what, h := range map[string]*probe.Holder{"begun before the drain": first, "begun before the return": second} {
		report := h.Stop()
		t.Logf("%s: %s", what, report)
		if report.Cut > 0 {
			t.Errorf("%s: %d of %d connections were cut", what, report.Cut, report.Connections)
		}
	}
	s.undisturbed(t, "drain and return with --keep-connections")
}
