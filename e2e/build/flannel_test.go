package build

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDigest changes each file that flannel is made of in a copy.
func TestDigest(t *testing.T) {
	root, files := t.TempDir(), []string{"go.mod", "flannel/go.sum"}
	write := func(name, text string) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range files {
		write(name, "before")
	}
	before, err := digest(root, files)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		write(name, "after")
		if after, err := digest(root, files); err != nil || after == before {
			t.Errorf("a change of %s changes nothing (%v)", name, err)
		}
		write(name, "before")
	}
	if again, err := digest(root, files); err != nil || again != before {
		t.Errorf("the same files have two digests (%v)", err)
	}
}
