package main

import (
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
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

// TestReleaseAgain: a release that is signed a second time stays as it is. Another key adds its
// signatures in the registry, and signs the checksums in place of the first.
func TestReleaseAgain(t *testing.T) {
	t.Setenv("COSIGN_PASSWORD", "")
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	tag, err := name.NewTag(strings.TrimPrefix(server.URL, "http://") + "/owner/image:v1")
	if err != nil {
		t.Fatal(err)
	}
	image, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image); err != nil {
		t.Fatal(err)
	}
	ref, dir := tag.Context().Digest(digest.String()).String(), t.TempDir()
	sums := filepath.Join(dir, "checksums.txt")
	for file, text := range map[string]string{"oci.txt": ref + "\n", "provenance.json": "{}", "checksums.txt": "0  file\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"one", "two"} {
		if err := generate(t, filepath.Join(dir, key)); err != nil {
			t.Fatal(err)
		}
	}
	const (
		first = "signed"
		again = "signed by this key already, left as it is"
		more  = "signed; other signatures, which stay: 1"
	)
	for _, tt := range []struct {
		key, image, checksums string
		replaced              bool
	}{{"one", first, first, false}, {"one", again, again, false}, {"two", more, first, true}, {"two", again, again, false}} {
		want := ref + ": " + tt.image + "\nprovenance of " + ref + ": " + tt.image + "\n"
		if tt.replaced {
			want += sums + ".sigstore.json: not by this key, or not of these checksums; replaced\n"
		}
		want += sums + ": " + tt.checksums + "\n"
		var out strings.Builder
		if err := run(t.Context(), []string{"release", "--key", filepath.Join(dir, tt.key+".key"), dir}, &out, io.Discard); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("key %s (-want +got):\n%s", tt.key, diff)
		}
	}
}
