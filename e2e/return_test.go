package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/starling-lb/starling/e2e/starling"
)

// TestHoldNever: a node that was cut off keeps out of the way of the one that has its address,
// whatever speakers do, until somebody runs starling return.
func TestHoldNever(t *testing.T) {
	hold := func(value string) {
		t.Helper()
		set := "daemonset/" + starling.Name
		for _, args := range [][]string{{"set", "env", set, "STARLING_HOLD_DOWN" + value}, {"rollout", "status", "--timeout=3m", set}} {
			if out, err := shared.Kubectl(context.WithoutCancel(t.Context()), "", append([]string{"-n", starling.Namespace}, args...)...); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
	}
	t.Cleanup(func() { hold("-") })
	hold("=never")
	s := watchService(t, "hold-never", "tcp")
	cut(t, s.owner)
	next := s.moved(t)
	until(t, 15*time.Second, s.owner.Name+" is cut off, and knows it", func(ctx context.Context) error {
		out, err := s.owner.Run(ctx, product.Binary, "status", "-o", "json")
		if err != nil {
			return err
		}
		var own starling.Status
		if err := json.Unmarshal([]byte(out), &own); err != nil {
			return err
		}
		for _, n := range s.others() {
			if state := own.State(n.Name); state != "dead" {
				return fmt.Errorf("it takes %s for %s", n.Name, state)
			}
		}
		return nil
	})
	heal(t, s.owner)
	waits := func(what string) {
		t.Helper()
		until(t, 30*time.Second, what, func(ctx context.Context) error {
			status, err := starling.StatusOf(ctx, shared, next)
			if err != nil {
				return err
			}
			if state, hold := status.State(s.owner.Name), status.Hold(s.owner.Name); state != "alive" || hold == "" {
				return fmt.Errorf("%s sees %s %s, held: %q", next.Name, s.owner.Name, state, hold)
			}
			return nil
		})
		settled(t, s.watcher, s.ip)
		if n := owner(t, s.watcher, s.ip); n != next {
			t.Errorf("%s: %s announces, want %s", what, n.Name, next.Name)
		}
	}
	waits("return of " + s.owner.Name)
	s.deletePod(t)
	waits("restart of its speaker")
	out, err := exec.CommandContext(t.Context(), product.Binary, "return", s.owner.Name, "--kubeconfig", shared.Kubeconfig).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.returned(t)
	until(t, 10*time.Second, "end of the hold", func(ctx context.Context) error {
		status, err := starling.StatusOf(ctx, shared, next)
		if err == nil && status.Hold(s.owner.Name) != "" {
			err = errors.New(status.Hold(s.owner.Name))
		}
		return err
	})
}
