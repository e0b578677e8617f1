package build

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestOtherReleases: each go.mod of another release has all modules of Kubernetes at the same
// release, is for the same Go as ours, and has its checksums.
func TestOtherReleases(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	directive := regexp.MustCompile(`(?m)^go .*$`)
	ours, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "kubernetes", "*.mod"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no releases: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		stamps, key, err := readRelease(file)
		version, missing := required(string(text), "k8s.io/kubernetes")
		if err != nil || missing != nil || len(key) != 16 || !strings.Contains(stamps, "gitVersion="+version+" ") {
			t.Errorf("%s: version %s, stamps %q, key %q (%v)", file, version, stamps, key, err)
			continue
		}
		minor := strings.TrimSuffix(filepath.Base(file), ".mod")
		if !strings.HasPrefix(version, "v"+minor+".") {
			t.Errorf("%s is of Kubernetes %s", file, version)
		}
		if theirs, our := directive.Find(text), directive.Find(ours); string(theirs) != string(our) {
			t.Errorf("%s: %s, and in go.mod %s", file, theirs, our)
		}
		part := "v0." + strings.TrimPrefix(version, "v1.")
		for _, m := range regexp.MustCompile(`(?m)^\t(k8s\.io/\S+) => \S+ (\S+)$`).FindAllStringSubmatch(string(text), -1) {
			if m[2] != part {
				t.Errorf("%s: %s %s, want %s", file, m[1], m[2], part)
			}
		}
	}
	if _, _, err := readRelease(filepath.Join(root, "kubernetes", "1.0.mod")); !os.IsNotExist(err) {
		t.Errorf("of a release without a file: %v", err)
	}
}

func TestLinkOthers(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for _, name := range []string{"kube", "echo"} {
		if err := os.WriteFile(filepath.Join(from, name), []byte("old "+name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("kube", filepath.Join(from, "kubectl")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, "kube"), []byte("new kube"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := linkOthers(from, to); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"kube": "new kube", "kubectl": "new kube", "echo": "old echo"} {
		if got, err := os.ReadFile(filepath.Join(to, name)); string(got) != want {
			t.Errorf("%s is %q (%v), want %q", name, got, err, want)
		}
	}
}

// TestKubernetesFound takes a finished folder as it is.
func TestKubernetesFound(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	common, err := fingerprint(root)
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := readRelease(filepath.Join(root, "kubernetes", "1.35.mod"))
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	t.Setenv("STARLING_E2E_CACHE", cache)
	want := filepath.Join(cache, common+"-"+key)
	for _, dir := range []string{filepath.Join(cache, common), want} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := Kubernetes(t.Context(), "1.35", func(string, int, int) { t.Error("something is being compiled") })
	if err != nil || dir != want {
		t.Errorf("Kubernetes: %s, %v; want %s", dir, err, want)
	}
}
