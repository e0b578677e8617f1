package starling_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestBuildIsReproducible builds the program as for the image in two folders of different names,
// and stamps it.
func TestBuildIsReproducible(t *testing.T) {
	t.Parallel()
	files := command(t, ".", "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	var sums []string
	for _, folder := range []string{"one", "another/folder"} {
		dir := filepath.Join(t.TempDir(), folder)
		for name := range strings.SplitSeq(strings.TrimSuffix(files, "\x00"), "\x00") {
			if strings.HasSuffix(name, ".go") || strings.HasPrefix(name, "status/page/") || name == "Makefile" || name == "go.mod" || name == "go.sum" {
				copied(t, name, filepath.Join(dir, name))
			}
		}
		program := filepath.Join(dir, "dist", "starling-linux-"+runtime.GOARCH)
		command(t, dir, "make", "--silent", "dist/"+filepath.Base(program), "VERSION=v0.0.0-test")
		data, err := os.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, fmt.Sprintf("%x", sha256.Sum256(data)))
		if got := command(t, dir, program, "version"); !strings.HasPrefix(got, "starling v0.0.0-test (") {
			t.Errorf("it says that it is %q", got)
		}
	}
	if sums[0] != sums[1] {
		t.Errorf("the same source gives %s in one folder and %s in another", sums[0], sums[1])
	}
}

// command runs a program in a folder and returns what it prints.
func command(t *testing.T, dir string, argv ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Dir = dir
	var words strings.Builder
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, &words)
	}
	return string(out)
}

// copied copies a file; one that is deleted and not yet committed is left out.
func copied(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
