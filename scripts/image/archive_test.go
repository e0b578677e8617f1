package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The layout is walked as a reader does, from index.json down to the program in each layer.
func TestLayout(t *testing.T) {
	t.Parallel()
	files := unpack(t, pack(t))
	if got := string(files["oci-layout"]); got != `{"imageLayoutVersion":"1.0.0"}` {
		t.Errorf("oci-layout is %s", got)
	}
	var top index
	read(t, files["index.json"], &top)
	if len(top.Manifests) != 1 {
		t.Fatalf("%d entries in index.json, want one image", len(top.Manifests))
	}
	wantNames := map[string]string{
		"io.containerd.image.name":          refName,
		"org.opencontainers.image.ref.name": "v1.2.3",
	}
	if diff := cmp.Diff(wantNames, top.Manifests[0].Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	var idx index
	read(t, follow(t, files, top.Manifests[0], typeIndex), &idx)
	wantArch := map[string]elf.Machine{"arm64": elf.EM_AARCH64, "amd64": elf.EM_X86_64, "arm": elf.EM_ARM}
	for _, d := range idx.Manifests {
		if want := map[string]string{"arm": "v7"}[d.Platform.Architecture]; d.Platform.Variant != want {
			t.Errorf("variant %q of %s, want %q", d.Platform.Variant, d.Platform.Architecture, want)
		}
		checkImage(t, files, d, wantArch[d.Platform.Architecture])
		delete(wantArch, d.Platform.Architecture)
	}
	if len(wantArch) > 0 {
		t.Errorf("no image for %v", wantArch)
	}
}

// checkImage walks from one manifest to its program.
func checkImage(t *testing.T, files map[string][]byte, d descriptor, machine elf.Machine) {
	t.Helper()
	var m manifest
	read(t, follow(t, files, d, typeManifest), &m)
	if len(m.Layers) != 1 {
		t.Fatalf("%d layers, want 1", len(m.Layers))
	}
	layer := follow(t, files, m.Layers[0], typeLayer)
	var got imageConfig
	read(t, follow(t, files, m.Config, typeConfig), &got)
	want := imageConfig{
		Created: epoch, OS: "linux", Architecture: d.Platform.Architecture, Variant: d.Platform.Variant,
		Config: runConfig{
			User: "0", Env: []string{"PATH=/"}, Entrypoint: []string{"/starling"}, WorkingDir: "/",
			Labels: labels(ref{name: refName, tag: "v1.2.3"}, ""),
		},
		RootFS:  rootFS{Type: "layers", DiffIDs: []string{m.Layers[0].Digest}},
		History: []history{{Created: epoch, CreatedBy: "copy starling"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	checkLayer(t, layer, machine)
}

func checkLayer(t *testing.T, layer []byte, machine elf.Machine) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(layer))
	h, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if h.Name != "starling" || h.Mode != 0o755 || h.Uid != 0 || h.ModTime.Unix() != 0 {
		t.Errorf("layer has %q, mode %o, user %d, time %v", h.Name, h.Mode, h.Uid, h.ModTime)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if f.Machine != machine {
		t.Errorf("program is for %v, want %v", f.Machine, machine)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("more than the program in the layer: %v", err)
	}
}

// An older docker reads manifest.json, whose blobs are those of the layout.
func TestDockerArchive(t *testing.T) {
	t.Parallel()
	files := unpack(t, pack(t))
	var entries []dockerManifest
	read(t, files["manifest.json"], &entries)
	if len(entries) != 1 {
		t.Fatalf("%d entries, want 1", len(entries))
	}
	e := entries[0]
	if diff := cmp.Diff([]string{refName}, e.RepoTags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	var cfg imageConfig
	read(t, files[e.Config], &cfg)
	if cfg.Architecture != "amd64" {
		t.Errorf("architecture %q, want amd64 although arm64 was given first", cfg.Architecture)
	}
	if len(e.Layers) != 1 || len(cfg.RootFS.DiffIDs) != 1 || blobPath(cfg.RootFS.DiffIDs[0]) != e.Layers[0] {
		t.Errorf("layers %q, configuration has %q", e.Layers, cfg.RootFS.DiffIDs)
	}
	checkLayer(t, files[e.Layers[0]], elf.EM_X86_64)
}

// No file is there for nothing, and every blob is named by its content.
func TestBlobs(t *testing.T) {
	t.Parallel()
	files := unpack(t, pack(t))
	blobs := 0
	for name, data := range files {
		if dir, hex := path.Split(name); dir == "blobs/sha256/" {
			blobs++
			if got := fmt.Sprintf("%x", sha256.Sum256(data)); got != hex {
				t.Errorf("blob %s has digest %s", hex, got)
			}
		}
	}
	if blobs != 10 { // an index; for three images a manifest, a configuration and a layer
		t.Errorf("%d blobs, want 10", blobs)
	}
	if others := len(files) - blobs; others != 3 {
		t.Errorf("%d other files, want 3", others)
	}
}

// follow checks a descriptor against its blob and returns the blob.
func follow(t *testing.T, files map[string][]byte, d descriptor, mediaType string) []byte {
	t.Helper()
	if d.MediaType != mediaType {
		t.Errorf("%s is a %s, want %s", d.Digest, d.MediaType, mediaType)
	}
	data, ok := files["blobs/"+strings.Replace(d.Digest, ":", "/", 1)]
	if !ok {
		t.Fatalf("no blob %s", d.Digest)
	}
	if int64(len(data)) != d.Size {
		t.Errorf("%s has %d bytes, its descriptor says %d", d.Digest, len(data), d.Size)
	}
	return data
}

func read(t *testing.T, data []byte, v any) {
	t.Helper()
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%v in %q", err, data)
	}
}

// unpack reads all files of the archive.
func unpack(t *testing.T, name string) map[string][]byte {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	files := map[string][]byte{}
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if _, twice := files[h.Name]; twice {
			t.Errorf("%s is there twice", h.Name)
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}
