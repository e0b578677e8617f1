package build

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRoot(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(root, "cmd", "kube", "main.go")); err != nil {
		t.Error(err)
	}
	t.Chdir(t.TempDir())
	if _, err := Root(); err == nil || !strings.Contains(err.Error(), "go -C e2e") {
		t.Errorf("outside of the module: %v", err)
	}
}

// TestFingerprint changes each file that goes into the programs in a copy of the module, one after
// another.
func TestFingerprint(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	base := copySources(t, root)
	before, err := fingerprint(base)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := fingerprint(base); again != before {
		t.Error("equal sources have two fingerprints")
	}
	for _, file := range []string{"go.mod", "go.sum", "cmd/kube/main.go", "cmd/echo/main.go", "image/image.go"} {
		path := filepath.Join(base, file)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		if after, err := fingerprint(base); err != nil || after == before {
			t.Errorf("a change of %s changes nothing (%v)", file, err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(base, "go.sum")); err != nil {
		t.Fatal(err)
	}
	if _, err := fingerprint(base); !os.IsNotExist(err) {
		t.Errorf("without go.sum: %v", err)
	}
}

func copySources(t *testing.T, root string) string {
	t.Helper()
	base := t.TempDir()
	for _, pattern := range []string{"go.*", "image/*.go", "build/*.go", "cmd/*/*.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			to := filepath.Join(base, strings.TrimPrefix(file, root))
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(to, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return base
}

func TestCacheDir(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("STARLING_E2E_CACHE", "")
	want := filepath.Join(os.Getenv("XDG_CACHE_HOME"), "starling-e2e")
	if dir, err := cacheDir(); err != nil || dir != want {
		t.Errorf("cacheDir: %s, %v; want %s", dir, err, want)
	}
	t.Setenv("STARLING_E2E_CACHE", filepath.Join(t.TempDir(), "own"))
	dir, err := cacheDir()
	if err != nil || dir != os.Getenv("STARLING_E2E_CACHE") {
		t.Errorf("cacheDir: %s, %v", dir, err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		t.Errorf("%s was not made: %v", dir, err)
	}
	t.Setenv("STARLING_E2E_CACHE", "")
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("HOME", "")
	if dir, err := cacheDir(); err == nil {
		t.Errorf("without any home the cache is %s", dir)
	}
}

func TestForget(t *testing.T) {
	cache := t.TempDir()
	for name, age := range map[string]time.Duration{"old": 30 * time.Hour, "new": time.Hour} {
		dir := filepath.Join(cache, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(dir, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	forget(cache, 24*time.Hour)
	if _, err := os.Stat(filepath.Join(cache, "old")); !os.IsNotExist(err) {
		t.Errorf("old: %v", err)
	}
	if _, err := os.Stat(filepath.Join(cache, "new")); err != nil {
		t.Errorf("new: %v", err)
	}
}

func TestLockExcludes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan func())
	go func() {
		u, err := lock(path)
		if err != nil {
			t.Error(err)
		}
		second <- u
	}()
	select {
	case <-second:
		t.Error("two hold the lock")
	default:
	}
	unlock()
	(<-second)()
	if _, err := lock(filepath.Join(path, "beneath a file")); err == nil {
		t.Error("locked what cannot exist")
	}
}

func TestCompileTellsWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module example.org/x\n\ngo 1.26\n", "main.go": "package main\n\nfunc main() { undefinedThing() }\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	err := compile(t.Context(), dir, []string{"-o", "x"}, []string{"."}, func(string, int, int) {})
	if err == nil || !strings.Contains(err.Error(), "undefinedThing") {
		t.Errorf("error %v does not show the mistake", err)
	}
}

// TestCompileCounts: what is compiled is a part of what was to be compiled, and at the end all of
// it.
func TestCompileCounts(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("GOFLAGS", "-buildvcs=false")
	files := map[string]string{
		"go.mod": "module example.org/x\n\ngo 1.26\n", "main.go": "package main\n\nimport \"example.org/x/y\"\n\nfunc main() { y.F() }\n",
		"y/y.go": "package y\n\nfunc F() { g() }\n", "y/g.go": "package y\n\n// " + time.Now().String() + "\nfunc g() {}\n",
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	count := func(what string, done, most int) { got = append(got, fmt.Sprint(what, " ", done, "/", most)) }
	if err := compile(t.Context(), dir, []string{"-o", "x"}, []string{"."}, count); err != nil {
		t.Fatal(err)
	}
	if want := []string{"compile 2/3", "compile 3/3"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestVersions(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	words, err := versions(filepath.Join(root, "go.mod"))
	if ok, _ := regexp.MatchString(`^Kubernetes 1\.\d+\.\d+, containerd 2\.\d+\.\d+ and etcd 3\.\d+\.\d+$`, words); err != nil || !ok {
		t.Errorf("%q, %v", words, err)
	}
	if _, err := versions(filepath.Join(root, "build", "build.go")); err == nil || !strings.Contains(err.Error(), "k8s.io/kubernetes") {
		t.Errorf("from another file: %v", err)
	}
}

func TestToolsOutsideOfTheModule(t *testing.T) {
	t.Chdir(t.TempDir())
	if dir, err := Tools(context.Background(), nil); err == nil {
		t.Errorf("built %s from nothing", dir)
	}
}

// TestToolsFound takes a finished folder as it is: neither compiler nor linker is called.
func TestToolsFound(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	key, err := fingerprint(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("STARLING_E2E_CACHE", t.TempDir())
	want := filepath.Join(os.Getenv("STARLING_E2E_CACHE"), key)
	if err := os.Mkdir(want, 0o755); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-100 * time.Hour)
	if err := os.Chtimes(want, old, old); err != nil {
		t.Fatal(err)
	}
	dir, err := Tools(t.Context(), func(string, int, int) { t.Error("something is being compiled") })
	if err != nil || dir != want {
		t.Fatalf("Tools: %s, %v; want %s", dir, err, want)
	}
	var info fs.FileInfo
	if info, err = os.Stat(dir); err != nil || time.Since(info.ModTime()) > time.Hour {
		t.Errorf("the folder was not marked as used: %v, %v", info.ModTime(), err)
	}
}

func TestEnvironment(t *testing.T) {
	for set, want := range map[string]string{"": "GOGC=400", "50": "GOGC=50"} {
		t.Setenv("GOGC", set)
		got := ""
		for _, v := range Environment() { // the last one counts
			if strings.HasPrefix(v, "GOGC=") {
				got = v
			}
		}
		if got != want {
			t.Errorf("with GOGC=%q: %s, want %s", set, got, want)
		}
	}
}
