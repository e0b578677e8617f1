package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/netspace"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
)

func TestUnknownCommand(t *testing.T) {
	if code := run(t.Context(), []string{"bogus"}); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
}

// TestLookAround holds what is printed at the end of a kept demo: commands that name this cluster.
func TestLookAround(t *testing.T) {
	file := filepath.Join(t.TempDir(), "out")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	host := &cluster.Host{Name: "n1", Space: &netspace.Space{Name: "starling-e2e-abcde-n1", Init: 4711}}
	d := &demo{Printer: step.New(out), product: &starling.Product{Binary: "/tmp/x/starling"}, cluster: &cluster.Cluster{
		Dir: "/tmp/x", Kubeconfig: "/tmp/x/kubeconfig", Nodes: []*cluster.Node{{Host: host}}, Client: host,
	}}
	d.lookAround()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"export KUBECONFIG=/tmp/x/kubeconfig PATH=/tmp/x:", "nsenter -t 4711 ", "--net=/run/starling-e2e/starling-e2e-abcde-n1 ",
		"kubectl starling status", "kubectl -n starling-system port-forward ds/starling 7928 ", "make demo-down",
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%q is missing in:\n%s", want, b)
		}
	}
}

func TestAdopt(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "starling"), t.TempDir()
	if err := os.WriteFile(from, []byte("program"), 0o755); err != nil {
		t.Fatal(err)
	}
	d := &demo{product: &starling.Product{Binary: from}, cluster: &cluster.Cluster{Dir: to}}
	if err := d.adopt(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(to, "starling"))
	if err != nil || info.Mode()&0o111 == 0 || d.product.Binary != filepath.Join(to, "starling") {
		t.Errorf("moved to %s: %v, %v", d.product.Binary, info, err)
	}
	if target, err := os.Readlink(filepath.Join(to, "kubectl-starling")); err != nil || target != "starling" {
		t.Errorf("the plugin of kubectl is %q, %v", target, err)
	}
	d.product.Binary = from + "-none"
	if err := d.adopt(); err == nil || !strings.Contains(err.Error(), "-none") {
		t.Errorf("error %v does not name the file", err)
	}
}
