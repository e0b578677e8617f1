package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/e2e/build"
	"github.com/starling-lb/starling/e2e/page"
)

// updatePages is the environment variable with which outputs that pages show are written anew.
const updatePages = "UPDATE_PAGES"

// guide is a page of the documentation whose commands are run as they stand there.
type guide struct {
	file string // Of the page.
	text string
	dir  string   // The user's folder.
	path string   // Where the user's programs are.
	ran  []string // Commands, as they stand on the page.
}

// open makes the folder that the page speaks of, with a checkout called starling in it, and the
// programs that a user has: kubectl for the shared cluster, starling, and a curl that asks from a
// host beside the nodes.
func open(t *testing.T, name string) *guide {
	t.Helper()
	root := checkout(t)
	g := newcomer(t, name)
	curl := fmt.Sprintf("#!/bin/sh\nexec nsenter --net=%s /usr/bin/curl \"$@\"\n", shared.Client.Space.Path())
	if err := os.WriteFile(filepath.Join(g.path, "curl"), []byte(curl), 0o700); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{
		filepath.Join(g.dir, "starling"):          root,
		filepath.Join(g.path, "starling"):         product.Binary,
		filepath.Join(g.path, "kubectl-starling"): product.Binary,
	} {
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// newcomer is somebody who has an empty folder and kubectl, and reads the page.
func newcomer(t *testing.T, name string) *guide {
	t.Helper()
	g := &guide{file: filepath.Join(checkout(t), name), dir: t.TempDir(), path: t.TempDir()}
	g.read(t)
	if err := os.Symlink(filepath.Join(tools, "kubectl"), filepath.Join(g.path, "kubectl")); err != nil {
		t.Fatal(err)
	}
	return g
}

// withHelm gives the user helm, which is a tool of another module.
func (g *guide) withHelm(t *testing.T) *guide {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "-C", "../checks", "tool", "-n", "helm").Output()
	if err != nil {
		t.Fatalf("build helm: %v", err)
	}
	if err := os.Symlink(strings.TrimSpace(string(out)), filepath.Join(g.path, "helm")); err != nil {
		t.Fatal(err)
	}
	return g
}

// inCheckout is open with a user's folder that is a checkout itself, as far as users edit it.
func inCheckout(t *testing.T, name string) *guide {
	t.Helper()
	g := open(t, name)
	root := checkout(t)
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", filepath.Join(root, "charts"), filepath.Join(root, "manifests"), g.dir).CombinedOutput(); err != nil {
		t.Fatalf("copy the checkout: %v\n%s", err, out)
	}
	return g
}

// elsewhere is the same user, in the same folder, with another page.
func (g *guide) elsewhere(t *testing.T, name string) *guide {
	t.Helper()
	other := &guide{file: filepath.Join(checkout(t), name), dir: g.dir, path: g.path}
	other.read(t)
	return other
}

// checkout is the folder of the repository.
func checkout(t *testing.T) string {
	t.Helper()
	module, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(module)
}

func (g *guide) read(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(g.file)
	if err != nil {
		t.Fatal(err)
	}
	g.text = string(text)
}

// block returns the first block of code in that language below the heading.
func (g *guide) block(t *testing.T, heading, language string) string {
	t.Helper()
	for _, b := range page.Blocks(g.text) {
		if b.Heading == heading && b.Language == language {
			return b.Text
		}
	}
	t.Fatalf("the section %q has no %s", heading, language)
	return ""
}

// run runs the first commands below the heading as a user does, and returns what they print on
// standard error.
func (g *guide) run(t *testing.T, heading string) (told string) {
	t.Helper()
	commands := g.block(t, heading, "sh")
	g.ran = append(g.ran, commands)
	_, told = g.do(t, commands)
	return told
}

// enter runs the commands of the page that begin with that line, with what the user puts in place
// of something (old, new, old, new, ...), and compares what they print with what the page shows, if
// it does.
func (g *guide) enter(t *testing.T, first string, replace ...string) (out string) {
	t.Helper()
	blocks := page.Blocks(g.text)
	i := slices.IndexFunc(blocks, func(b page.Block) bool { return b.Language == "sh" && b.First() == first })
	if i < 0 {
		t.Fatalf("%s has no commands that begin with %q", filepath.Base(g.file), first)
	}
	g.ran = append(g.ran, blocks[i].Text)
	out, _ = g.do(t, strings.NewReplacer(replace...).Replace(blocks[i].Text))
	if i+1 < len(blocks) && blocks[i+1].Language == "text" {
		g.shows(t, blocks[i+1], out)
	}
	return out
}

// shows holds that the page shows this output, or has it show it.
func (g *guide) shows(t *testing.T, b page.Block, out string) {
	t.Helper()
	if os.Getenv(updatePages) != "" {
		if err := os.WriteFile(g.file, []byte(page.Fill(g.text, b, out)), 0o644); err != nil {
			t.Fatal(err)
		}
		g.read(t)
		return
	}
	if diff := cmp.Diff(page.Essence(b.Text), page.Essence(out)); diff != "" {
		t.Errorf("output (-%s +now), to be written anew by %s=1:\n%s\n%s", filepath.Base(g.file), updatePages, diff, out)
	}
}

// complete holds that all commands of the page were run but those named here by their first line,
// each with the reason.
func (g *guide) complete(t *testing.T, except map[string]string) {
	t.Helper()
	left := make(map[string]bool)
	for _, b := range page.Blocks(g.text) {
		if b.Language != "sh" || slices.Contains(g.ran, b.Text) {
			continue
		}
		left[b.First()] = true
		if why := except[b.First()]; why == "" {
			t.Errorf("%s: these commands are neither run nor listed with the reason why not:\n%s", filepath.Base(g.file), b.Text)
		} else {
			t.Logf("not run: %s: %s", b.First(), why)
		}
	}
	for first := range except {
		if !left[first] {
			t.Errorf("%s: listed as not run, but run or not there: %s", filepath.Base(g.file), first)
		}
	}
}

// do runs commands as a user does who has a kubeconfig.
func (g *guide) do(t *testing.T, commands string) (out, told string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", commands)
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), "KUBECONFIG="+shared.Kubeconfig, "PATH="+g.path+":"+os.Getenv("PATH"),
		"HELM_CACHE_HOME="+g.path, "HELM_CONFIG_HOME="+g.path, "HELM_DATA_HOME="+g.path)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	t.Logf("$ %s\n%s%s", strings.TrimSpace(commands), &stdout, &stderr)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return stdout.String(), stderr.String()
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
