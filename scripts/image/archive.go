package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// archive is a set of files and the image index that leads to them.
type archive struct {
	files []file // in the order of writing, each path once
	index descriptor
}

type file struct {
	path string
	data []byte
}

// build packs the binaries as one image for each architecture.
func build(r ref, bins []program) (*archive, error) {
	a := &archive{}
	idx := index{SchemaVersion: 2, MediaType: typeIndex, Annotations: labels(r, bins[0].revision)}
	var legacy dockerManifest
	for i, b := range bins {
		m, err := a.addImage(r, b)
		if err != nil {
			return nil, err
		}
		d, err := a.addJSON(typeManifest, m)
		if err != nil {
			return nil, err
		}
		d.Platform = &platform{OS: "linux", Architecture: b.arch, Variant: variants[b.arch]}
		idx.Manifests = append(idx.Manifests, d)
		if i == 0 || b.arch == "amd64" {
			legacy = dockerManifest{
				Config:   blobPath(m.Config.Digest),
				RepoTags: []string{r.name},
				Layers:   []string{blobPath(m.Layers[0].Digest)},
			}
		}
	}
	return a, a.addEntries(r, idx, legacy)
}

// addImage adds layer and configuration of one architecture.
func (a *archive) addImage(r ref, b program) (manifest, error) {
	layer, err := layerOf(b)
	if err != nil {
		return manifest{}, err
	}
	l := a.addBlob(typeLayer, layer)
	cfg, err := a.addJSON(typeConfig, imageConfig{
		Created: epoch, OS: "linux", Architecture: b.arch, Variant: variants[b.arch],
		Config: runConfig{
			User: "0", Env: []string{"PATH=/"}, Entrypoint: []string{"/starling"}, WorkingDir: "/",
			Labels: labels(r, b.revision),
		},
		RootFS:  rootFS{Type: "layers", DiffIDs: []string{l.Digest}}, // the layer is not compressed
		History: []history{{Created: epoch, CreatedBy: "copy starling"}},
	})
	if err != nil {
		return manifest{}, err
	}
	return manifest{SchemaVersion: 2, MediaType: typeManifest, Config: cfg, Layers: []descriptor{l}}, nil
}

// addEntries adds the files that the readers of the archive look for first.
func (a *archive) addEntries(r ref, idx index, legacy dockerManifest) error {
	d, err := a.addJSON(typeIndex, idx)
	if err != nil {
		return err
	}
	a.index = d
	// Without the first name containerd's import says nothing and makes no image.
	d.Annotations = map[string]string{
		"io.containerd.image.name":          r.name,
		"org.opencontainers.image.ref.name": r.tag,
	}
	entries := []struct {
		path  string
		value any
	}{
		{"oci-layout", map[string]string{"imageLayoutVersion": "1.0.0"}},
		{"index.json", index{SchemaVersion: 2, MediaType: typeIndex, Manifests: []descriptor{d}}},
		{"manifest.json", []dockerManifest{legacy}},
	}
	for _, e := range entries {
		data, err := json.Marshal(e.value)
		if err != nil {
			return fmt.Errorf("encode %s: %w", e.path, err)
		}
		a.files = append(a.files, file{e.path, data})
	}
	return nil
}

func (a *archive) addJSON(mediaType string, v any) (descriptor, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return descriptor{}, fmt.Errorf("encode %s: %w", mediaType, err)
	}
	return a.addBlob(mediaType, data), nil
}

// addBlob adds data under its digest.
func (a *archive) addBlob(mediaType string, data []byte) descriptor {
	d := descriptor{MediaType: mediaType, Digest: fmt.Sprintf("sha256:%x", sha256.Sum256(data)), Size: int64(len(data))}
	a.files = append(a.files, file{blobPath(d.Digest), data})
	return d
}

// blobPath is where a layout keeps the blob of a digest.
func blobPath(digest string) string {
	return "blobs/sha256/" + digest[len("sha256:"):]
}

// layerOf is a tar with the program alone.
func layerOf(b program) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := putFile(w, "starling", 0o755, b.data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("end the layer: %w", err)
	}
	return buf.Bytes(), nil
}

// writeTo writes the archive as a tar.
func (a *archive) writeTo(out io.Writer) error {
	w := tar.NewWriter(out)
	for _, dir := range []string{"blobs/", "blobs/sha256/"} {
		h := &tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755, ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return fmt.Errorf("pack %q: %w", dir, err)
		}
	}
	for _, f := range a.files {
		if err := putFile(w, f.path, 0o644, f.data); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("end the archive: %w", err)
	}
	return nil
}

func putFile(w *tar.Writer, name string, mode int64, data []byte) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
	if err := w.WriteHeader(h); err != nil {
		return fmt.Errorf("pack %q: %w", name, err)
	}
	if _, err := w.Write(data); err != nil {
		return fmt.Errorf("pack %q: %w", name, err)
	}
	return nil
}
