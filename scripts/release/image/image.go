// Package image packs static programs into one container image for several architectures, without a
// container engine.
//
// Each image is one layer with one file, the program. Nothing else is needed: the certificate of
// the API server comes with the ServiceAccount. All times are zero: equal programs give equal
// digests.
package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// epoch is the time of everything in an image.
var epoch = time.Unix(0, 0).UTC()

// Parse asks for a registry and a tag: containerd keeps images under full names, and an archive
// without one would be imported as an image that no pod finds.
func Parse(ref string) (name.Tag, error) {
	tag, err := name.NewTag(ref, name.StrictValidation)
	if err != nil {
		return name.Tag{}, fmt.Errorf("image %q is not REGISTRY/NAME:TAG: %w", ref, err)
	}
	return tag, nil
}

// Index is an image index with an image for each program.
func Index(tag name.Tag, programs []Program) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	about := map[string]string{}
	for _, p := range programs {
		about = labels(tag.TagStr(), p.revision)
		img, err := imageOf(p, about)
		if err != nil {
			return nil, fmt.Errorf("image of %s: %w", p.arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        img,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: p.arch, Variant: variants[p.arch]}},
		})
	}
	return mutate.Annotations(index, about).(v1.ImageIndex), nil //nolint:errcheck // It returns what it was given.
}

// imageOf is the image for one architecture.
func imageOf(p Program, about map[string]string) (v1.Image, error) {
	content, err := packed(p)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(
		func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithCompressedCaching,
	)
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.ConfigFile(img, &v1.ConfigFile{
		Created: v1.Time{Time: epoch}, OS: "linux", Architecture: p.arch, Variant: variants[p.arch],
		Config: v1.Config{User: "0", Env: []string{"PATH=/"}, Entrypoint: []string{"/" + p.name}, WorkingDir: "/", Labels: about},
		RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	return mutate.Append(img, mutate.Addendum{
		Layer: layer, MediaType: types.OCILayer,
		History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "copy " + p.name},
	})
}

// packed is a tar with the program alone.
func packed(p Program) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	h := &tar.Header{Typeflag: tar.TypeReg, Name: p.name, Mode: 0o755, Size: int64(len(p.data)), ModTime: epoch, Format: tar.FormatUSTAR}
	if err := w.WriteHeader(h); err != nil {
		return nil, err
	}
	if _, err := w.Write(p.data); err != nil {
		return nil, err
	}
	return buf.Bytes(), w.Close()
}

// labels say what the image is; the same for the images and for the index, where registries look.
func labels(version, revision string) map[string]string {
	l := map[string]string{
		"org.opencontainers.image.title":         "starling",
		"org.opencontainers.image.description":   "External addresses for Services of bare-metal Kubernetes clusters.",
		"org.opencontainers.image.source":        "https://github.com/starling-lb/starling",
		"org.opencontainers.image.documentation": "https://github.com/starling-lb/starling/tree/main/docs",
		"org.opencontainers.image.licenses":      "Apache-2.0",
		"org.opencontainers.image.version":       version,
	}
	if revision != "" {
		l["org.opencontainers.image.revision"] = revision
	}
	return l
}

// Archive leaves at path the index as an OCI image layout in a tar, which `ctr images import`,
// `podman load`, `skopeo` and a docker with the containerd image store take; whole, or what was
// there before.
func Archive(path string, tag name.Tag, index v1.ImageIndex) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the folder of %q: %w", path, err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".image-")
	if err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	defer os.RemoveAll(dir)
	files := filepath.Join(dir, "layout")
	l, err := layout.Write(files, empty.Index)
	if err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	// Without the first name containerd's import says nothing and makes no image.
	err = l.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"io.containerd.image.name":          tag.String(),
		"org.opencontainers.image.ref.name": tag.TagStr(),
	}))
	if err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	out := filepath.Join(dir, "image.tar")
	if err := errors.Join(joined(out, files), os.Rename(out, path)); err != nil {
		return fmt.Errorf("write %q: %w", path, err)
	}
	return nil
}

// joined writes the files below a folder as a tar without times and owners.
func joined(out, dir string) error {
	f, err := os.OpenFile(out, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, dir+string(filepath.Separator)))
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: epoch, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	return errors.Join(err, w.Close(), f.Close())
}
