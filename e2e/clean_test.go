package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/starling-lb/starling/e2e/cluster"
)

// TestSecondClusterLeavesNothing makes another cluster beside the shared one, and removes it.
func TestSecondClusterLeavesNothing(t *testing.T) {
	c, err := cluster.Up(t.Context(), cluster.Options{Tools: tools, Nodes: 1})
	if err != nil {
		t.Fatal(err)
	}
	identity, err := c.Identity()
	if err != nil {
		t.Fatal(err)
	}
	if traces, err := identity.Traces(); err != nil || len(traces) < 4 {
		t.Errorf("a running cluster shows only %v, %v: the search for traces is blind", traces, err)
	}
	if err := c.Down(t.Context()); err != nil {
		t.Error(err)
	}
	noTraces(t, identity)
}

// TestCrashLeavesNothing kills a program that has made a cluster. What runs in the cluster ends
// with it; the rest goes with the next sweep, which must leave the cluster of this living program
// alone.
func TestCrashLeavesNothing(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = append(os.Environ(), roleVariable+"=make-cluster-and-wait", "STARLING_E2E_TOOLS="+tools)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	id, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the other program made no cluster: %v", err)
	}
	identity, err := cluster.Identify(strings.TrimSpace(id))
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	removed, err := cluster.Sweep(t.Context(), false)
	if err != nil {
		t.Error(err)
	}
	if slices.Contains(removed, shared.Dir) || !strings.Contains(strings.Join(removed, " "), identity.ID) {
		t.Errorf("removed %v, want only the cluster %s", removed, identity.ID)
	}
	noTraces(t, identity)
	allReady(t)
}

func noTraces(t *testing.T, identity cluster.Identity) {
	t.Helper()
	traces, err := identity.Traces()
	if err != nil {
		t.Error(err)
	}
	for _, trace := range traces {
		t.Errorf("left behind: %s", trace)
	}
}
