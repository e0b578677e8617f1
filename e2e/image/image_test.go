package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type descriptor struct {
	MediaType, Digest string
	Size              int
	Annotations       map[string]string
}

// TestWrite follows the archive as an importer does: index, manifest, layer, program.
func TestWrite(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "hello")
	if err := os.WriteFile(program, []byte("program"), 0o755); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "hello.tar")
	if err := Write(out, "example.org/hello:1", "amd64", program); err != nil {
		t.Fatal(err)
	}
	files := contents(t, out)
	var index struct{ Manifests []descriptor }
	decode(t, files["index.json"], &index)
	if got := index.Manifests[0].Annotations["io.containerd.image.name"]; got != "example.org/hello:1" {
		t.Errorf("the index names the image %q", got)
	}
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	decode(t, blob(t, files, index.Manifests[0]), &manifest)
	var config struct {
		Architecture string
		Config       struct{ Entrypoint []string }
		RootFS       struct {
			DiffIDs []string `json:"diff_ids"`
		}
	}
	decode(t, blob(t, files, manifest.Config), &config)
	if config.Architecture != "amd64" || config.Config.Entrypoint[0] != "/hello" {
		t.Errorf("configuration is %+v", config)
	}
	if diff := cmp.Diff([]string{manifest.Layers[0].Digest}, config.RootFS.DiffIDs); diff != "" {
		t.Error("layers of configuration and manifest (-want +got)", diff)
	}
	layer := blob(t, files, manifest.Layers[0])
	r := tar.NewReader(bytes.NewReader(layer))
	header, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(r); header.Name != "hello" || header.Mode != 0o755 || string(body) != "program" {
		t.Errorf("layer holds %s, mode %o, %q", header.Name, header.Mode, body)
	}
}

func TestWriteTwiceIsEqual(t *testing.T) {
	var first, second bytes.Buffer
	for _, out := range []io.Writer{&first, &second} {
		if err := write(out, "example.org/x:1", "arm64", "x", []byte("y")); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two archives of one program differ")
	}
}

func TestWriteErrors(t *testing.T) {
	dir := t.TempDir()
	if err := Write(filepath.Join(dir, "x.tar"), "x", "amd64", filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without program: %v", err)
	}
	program := filepath.Join(dir, "p")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(dir, "no", "x.tar"), "x", "amd64", program); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without folder: %v", err)
	}
	if err := write(broken{}, "x", "amd64", "p", make([]byte, 1<<16)); !errors.Is(err, errBroken) {
		t.Errorf("on a full disk: %v", err)
	}
}

var errBroken = errors.New("full")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

func contents(t *testing.T, archive string) map[string][]byte {
	t.Helper()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	files := map[string][]byte{}
	for r := tar.NewReader(file); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[header.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// blob returns what the descriptor points to, after checking digest and size.
func blob(t *testing.T, files map[string][]byte, d descriptor) []byte {
	t.Helper()
	b, ok := files["blobs/sha256/"+d.Digest[len("sha256:"):]]
	if !ok || len(b) != d.Size || fmt.Sprintf("sha256:%x", sha256.Sum256(b)) != d.Digest {
		t.Fatalf("%s %s is missing or not what it says", d.MediaType, d.Digest)
	}
	return b
}

func decode(t *testing.T, b []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}
