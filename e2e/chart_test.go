package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/starling-lb/starling/e2e/starling"
)

// TestChart installs what the Helm chart renders in place of the manifest's DaemonSet, and gets a Service served. The
// objects are equal, so there is nothing to put back but the text of the configuration.
func TestChart(t *testing.T) {
	text := chart(t, map[string]any{"pools": asValues(pools())})
	if err := product.Remove(t.Context(), shared); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := product.Install(context.WithoutCancel(t.Context()), shared, pools()...); err != nil {
			t.Errorf("install the manifest again: %v", err)
		}
	})
	if out, err := shared.Kubectl(t.Context(), text, "apply", "-f", "-"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := starling.WaitReady(t.Context(), shared, 60*time.Second); err != nil {
		t.Fatal(err)
	}
	ip := expose(t, "from-chart")
	owner(t, watch(t), ip)
	if got := reach(t, "tcp", ip); !strings.HasPrefix(got, backend) {
		t.Errorf("answer %q, want one of the pods of %s", got, backend)
	}
}

// asValues are the pools as the chart has them.
func asValues(list []starling.Pool) (out []map[string]any) {
	for _, p := range list {
		out = append(out, map[string]any{"name": p.Name, "ranges": p.Ranges})
	}
	return out
}

// chart renders the shipped chart with Helm's engine, which is a dependency of another module.
func chart(t *testing.T, values map[string]any) string {
	t.Helper()
	text, err := yaml.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	g := guide{dir: t.TempDir()}
	g.save(t, "values.yaml", string(text))
	cmd := exec.CommandContext(t.Context(), "go", "-C", "../checks", "run", "./cmd/chart",
		"-namespace", starling.Namespace, "-values", filepath.Join(g.dir, "values.yaml"), "../charts/starling")
	var words strings.Builder
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("render the chart: %v\n%s", err, &words)
	}
	return string(out)
}
