package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func generate(t *testing.T, prefix string) error {
	t.Helper()
	return run(t.Context(), []string{"generate-key-pair", "--output-key-prefix", prefix}, io.Discard, io.Discard)
}

// TestKeysStay: a key file that exists is neither overwritten nor left with the public key of
// another.
func TestKeysStay(t *testing.T) {
	t.Setenv("COSIGN_PASSWORD", "secret")
	for _, there := range []string{".key", ".pub"} {
		prefix := filepath.Join(t.TempDir(), "cosign")
		if err := os.WriteFile(prefix+there, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := generate(t, prefix); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s exists: %v", there, err)
		}
		if text, err := os.ReadFile(prefix + there); string(text) != "mine" {
			t.Errorf("%s is %q now: %v", there, text, err)
		}
		other := map[string]string{".key": ".pub", ".pub": ".key"}[there]
		if _, err := os.Stat(prefix + other); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s exists, and %s was written: %v", there, other, err)
		}
	}
}

// TestPassword: only who says so gets a key without a password.
func TestPassword(t *testing.T) {
	prefix := filepath.Join(t.TempDir(), "cosign")
	t.Setenv("COSIGN_PASSWORD", "") // Restores it after the test.
	if err := os.Unsetenv("COSIGN_PASSWORD"); err != nil {
		t.Fatal(err)
	}
	if err := generate(t, prefix); err == nil || !strings.Contains(err.Error(), "COSIGN_PASSWORD") {
		t.Errorf("without a password: %v", err)
	}
	if files, err := filepath.Glob(prefix + ".*"); len(files) > 0 || err != nil {
		t.Errorf("without a password: %q, %v", files, err)
	}
	t.Setenv("COSIGN_PASSWORD", "")
	if err := generate(t, prefix); err != nil {
		t.Errorf("with an empty one: %v", err)
	}
}

func TestMissingFlags(t *testing.T) {
	t.Setenv("COSIGN_PASSWORD", "")
	prefix := filepath.Join(t.TempDir(), "cosign")
	if err := generate(t, prefix); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"release", "dir"}, "--key is missing"},
		{[]string{"verify", "--insecure-ignore-tlog", "host/image"}, "--key is missing"},
		{[]string{"verify-blob", "--insecure-ignore-tlog", "--key", prefix + ".pub", "file"}, "--bundle is missing"},
		{[]string{"verify", "--key", prefix + ".pub", "host/image"}, "needs --insecure-ignore-tlog"},
	} {
		if err := run(t.Context(), tt.args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %q", tt.args, err, tt.want)
		}
	}
}
