package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-lb/starling/manifests"
)

const listed = "kind: Kustomization\nsortOptions: {order: fifo}\nresources: [a.yaml]\n"

func TestRender(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "base", "kustomization.yaml"), listed)
	write(t, filepath.Join(dir, "base", "a.yaml"), "kind: A\n")
	write(t, filepath.Join(dir, manifests.Rendered), "old")
	if err := render(dir); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, manifests.Rendered))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(got), "\n---\nkind: A\n") {
		t.Errorf("rendered:\n%s", got)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.new")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestRenderKeepsTheOldFileOnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out := filepath.Join(dir, manifests.Rendered)
	write(t, out, "old")
	if err := render(dir); err == nil {
		t.Error("no error without a base")
	}
	if got, err := os.ReadFile(out); err != nil || string(got) != "old" {
		t.Errorf("file is %q, error %v", got, err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
