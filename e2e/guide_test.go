package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-lb/starling/e2e/build"
)

// guide is a page of the documentation whose commands are run as they stand there.
type guide struct {
	text string
	dir  string // The user's folder, with a checkout called starling in it.
	path string // Where the user's programs are.
}

// open makes the folder that the page speaks of, with kubectl for the shared cluster and starling.
func open(t *testing.T, page string) *guide {
	t.Helper()
	module, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Dir(module)
	text, err := os.ReadFile(filepath.Join(root, "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	g := &guide{text: string(text), dir: t.TempDir(), path: t.TempDir()}
	for link, target := range map[string]string{
		filepath.Join(g.dir, "starling"):  root,
		filepath.Join(g.path, "starling"): product.Binary,
		filepath.Join(g.path, "kubectl"):  filepath.Join(tools, "kubectl"),
	} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// block returns the first block of code in that language below the heading.
func (g *guide) block(t *testing.T, heading, language string) string {
	t.Helper()
	_, section, ok := strings.Cut(g.text, "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("the page has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	_, code, ok := strings.Cut(section, "```"+language+"\n")
	if !ok {
		t.Fatalf("the section %q has no %s", heading, language)
	}
	code, _, _ = strings.Cut(code, "```")
	return code
}

// run runs the first commands below the heading as a user does, and returns what they print on standard error.
func (g *guide) run(t *testing.T, heading string) (told string) {
	t.Helper()
	return g.do(t, g.block(t, heading, "sh"))
}

func (g *guide) do(t *testing.T, commands string) (told string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), "KUBECONFIG="+shared.Kubeconfig, "PATH="+g.path+":"+os.Getenv("PATH"))
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	t.Logf("$ %s\n%s%s", strings.TrimSpace(commands), out, &errors)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return errors.String()
}

// save writes a file into the user's folder.
func (g *guide) save(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(g.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// apply gives a file of testdata to kubectl.
func apply(ctx context.Context, t *testing.T, verb, file string, args ...string) {
	t.Helper()
	if out, err := shared.Kubectl(ctx, "", append([]string{verb, "-f", filepath.Join("testdata", file)}, args...)...); err != nil {
		t.Errorf("%s %s: %v\n%s", verb, file, err, out)
	}
}
