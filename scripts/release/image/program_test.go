package image

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

func TestRealProgram(t *testing.T) {
	t.Parallel()
	if _, ok := machines[runtime.GOARCH]; !ok || runtime.GOOS != "linux" {
		t.Skipf("images are not made for %s/%s", runtime.GOOS, runtime.GOARCH)
	}
	dir := t.TempDir()
	src, out := filepath.Join(dir, "main.go"), filepath.Join(dir, "prog")
	if err := os.WriteFile(src, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", out, src)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, msg)
	}
	bins, err := ReadPrograms("starling", []string{runtime.GOARCH + "=" + out})
	if err != nil {
		t.Fatal(err)
	}
	if got := bins[0].revision; got != "" {
		t.Errorf("revision %q of a program from outside of any repository", got)
	}
}

func TestRevisionOfAnotherFile(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(elfFile(t, elf.EM_X86_64, false))
	if err != nil {
		t.Fatal(err)
	}
	if got := revision(data); got != "" {
		t.Errorf("revision %q of a program that Go did not build", got)
	}
}

func TestLabelsNameTheRevision(t *testing.T) {
	t.Parallel()
	const key = "org.opencontainers.image.revision"
	if got := labels("v1.2.3", "abc")[key]; got != "abc" {
		t.Errorf("revision %q, want abc", got)
	}
	if got, ok := labels("v1.2.3", "")[key]; ok {
		t.Errorf("revision %q although it is unknown", got)
	}
	if got := labels("v1.2.3", "")["org.opencontainers.image.version"]; got != "v1.2.3" {
		t.Errorf("version %q", got)
	}
}
