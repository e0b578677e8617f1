package e2e

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
)

// TestKeyRotation replaces the key of the gossip by the command, as a user does, while a client
// asks.
func TestKeyRotation(t *testing.T) {
	s := watchService(t, "rotate", "udp")
	begun := time.Now()
	old := keysOf(t, shared.Nodes[0])
	if len(old) != 1 {
		t.Fatalf("keys %v before", old)
	}
	told := keyCommand(t, "rotate")
	t.Logf("rotated in %v:\n%s", time.Since(begun).Round(time.Millisecond), told)
	for _, n := range shared.Nodes {
		if now := keysOf(t, n); len(now) != 1 || now[0] == old[0] {
			t.Errorf("%s holds %v, the old key was %s", n.Name, now, old[0])
		}
		if words := logsSince(t, n, begun); strings.Contains(words, `"member dead"`) || strings.Contains(words, "another gossip key") {
			t.Errorf("%s lost a member, or met one with another key:\n%s", n.Name, words)
		}
	}
	settled(t, s.watcher, s.ip)
	s.held(t)
	s.undisturbed(t, "rotation of the key")
	if got := keyCommand(t, "status"); !strings.Contains(got, "encrypts and decrypts") || strings.Contains(got, old[0]) {
		t.Errorf("status afterwards:\n%s", got)
	}
}

// TestRestartWithoutAPIServer ends the announcing speaker while the API server is away: it comes
// back with what it kept, the keys among it, and nothing moves meanwhile.
func TestRestartWithoutAPIServer(t *testing.T) {
	s := watchService(t, "noapi-restart", "udp")
	ctx := context.WithoutCancel(t.Context())
	until(t, 20*time.Second, "address in the snapshot file", func(ctx context.Context) error {
		_, err := s.owner.Run(ctx, "grep", "-qF", s.ip.String(), "/var/lib/starling/cluster.jsonl")
		return err
	})
	if got, err := s.owner.Run(ctx, "stat", "-c", "%a %u", "/var/lib/starling/gossip-keys"); err != nil || strings.TrimSpace(got) != "600 0" {
		t.Errorf("mode and owner of the copy of the keys are %q, %v", got, err)
	}
	if err := shared.StopAPI(ctx); err != nil {
		t.Fatal(err)
	}
	back := false
	start := func() {
		if back {
			return
		}
		back = true
		if err := shared.StartAPI(ctx); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(start)
	away, killed := deaths(t, absences, s.others()...), time.Now()
	if err := s.owner.Signal("starling", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, 15*time.Second, "absence of "+s.owner.Name, func(context.Context) error {
		if deaths(t, absences, s.others()...) == away {
			return errors.New("nobody missed it")
		}
		return nil
	})
	until(t, time.Minute, "speakers that see each other", func(ctx context.Context) error {
		for _, n := range shared.Nodes {
			status, err := starling.StatusOf(ctx, shared, n)
			if err != nil {
				return err
			}
			if got := alive(status); len(got) != len(shared.Nodes) {
				return fmt.Errorf("%s sees %v alive", n.Name, got)
			}
		}
		return nil
	})
	settled(t, s.watcher, s.ip)
	s.unmoved(t, killed)
	start()
	until(t, time.Minute, "speakers that have found the API server", func(ctx context.Context) error {
		return starling.WaitReady(ctx, shared, time.Minute)
	})
	if words := logsSince(t, s.owner, killed); !strings.Contains(words, "started with the last known gossip keys") {
		t.Errorf("the speaker of %s did not start from its copy of the keys:\n%s", s.owner.Name, words)
	}
	s.undisturbed(t, "speaker killed without API server")
	allReady(t)
	caughtUp(t, expose(t, "after-restart"))
}

// alive are the members that are reached by gossip.
func alive(s *starling.Status) (names []string) {
	for _, m := range s.Members {
		if m.State == "alive" {
			names = append(names, m.Name)
		}
	}
	return names
}

// keyCommand runs `starling key` on the machine, with the administrator's kubeconfig.
func keyCommand(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), product.Binary, "key", name, "--kubeconfig", shared.Kubeconfig, "--namespace", starling.Namespace)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("starling key %s: %v\n%s", name, err, out)
	}
	return string(out)
}

// keysOf are the fingerprints that the node's speaker tells of itself, which all others must agree
// with soon.
func keysOf(t *testing.T, n *cluster.Node) (keys []string) {
	t.Helper()
	until(t, 5*time.Second, "one opinion of the keys of "+n.Name, func(ctx context.Context) error {
		keys = nil
		for _, asked := range shared.Nodes {
			s, err := starling.StatusOf(ctx, shared, asked)
			if err != nil {
				return err
			}
			for _, m := range s.Members {
				switch {
				case m.Name != n.Name:
				case keys == nil:
					keys = m.Keys
				case !slices.Equal(keys, m.Keys):
					return fmt.Errorf("%s tells %v, another %v", asked.Name, m.Keys, keys)
				}
			}
		}
		return nil
	})
	return keys
}

// logsSince returns what the node's speaker wrote since then.
func logsSince(t *testing.T, n *cluster.Node, since time.Time) string {
	t.Helper()
	pod, err := starling.PodOn(t.Context(), shared, n)
	if err != nil {
		t.Fatal(err)
	}
	words, err := shared.Kubectl(t.Context(), "", "-n", starling.Namespace, "logs", pod, "--since-time="+since.UTC().Format(time.RFC3339))
	if err != nil {
		t.Fatal(err)
	}
	return words
}
