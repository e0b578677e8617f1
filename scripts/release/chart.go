package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"sigs.k8s.io/yaml"
)

// Types of what Helm and Artifact Hub keep in registries.
const (
	helmConfig = "application/vnd.cncf.helm.config.v1+json"
	helmLayer  = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
	hubConfig  = "application/vnd.cncf.artifacthub.config.v1+yaml"
	hubLayer   = "application/vnd.cncf.artifacthub.repository-metadata.layer.v1.yaml"
)

// entry is a file of an archive.
type entry struct {
	name string
	mode int64
	data []byte
}

// packed is a tar with these files, compressed, without times and owners.
func packed(entries []entry) ([]byte, error) {
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: e.mode, Size: int64(len(e.data)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("pack %q: %w", e.name, err)
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, fmt.Errorf("pack %q: %w", e.name, err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// chart writes the chart of this version as Helm packs it, and returns it as Helm pushes it.
func (r *release) chart() (v1.Image, error) {
	entries, about, err := r.chartFiles()
	if err != nil {
		return nil, fmt.Errorf("chart: %w", err)
	}
	data, err := packed(entries)
	if err != nil {
		return nil, fmt.Errorf("chart: %w", err)
	}
	if err := r.write("starling-"+r.number()+".tgz", data); err != nil {
		return nil, err
	}
	config, err := json.Marshal(about)
	if err != nil {
		return nil, fmt.Errorf("chart: %w", err)
	}
	return artifactOf(config, helmConfig, data, helmLayer, map[string]string{
		"org.opencontainers.image.title":       "starling",
		"org.opencontainers.image.version":     r.number(),
		"org.opencontainers.image.description": fmt.Sprint(about["description"]),
		"org.opencontainers.image.source":      source,
	})
}

// chartFiles are the files of the chart with this version in them, and its Chart.yaml as values.
func (r *release) chartFiles() (entries []entry, about map[string]any, err error) {
	folder := filepath.Join(r.root, "charts", "starling")
	names, err := filesBelow(folder)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return nil, nil, err
		}
		switch name {
		case "Chart.yaml":
			if data, err = r.chartVersion(data); err == nil {
				err = yaml.Unmarshal(data, &about)
			}
		case "values.yaml":
			data, err = replaced(data, "repository: "+published+"/starling\n", "repository: "+r.registry+"/starling\n")
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		entries = append(entries, entry{"starling/" + filepath.ToSlash(name), 0o644, data})
	}
	if about == nil {
		return nil, nil, errors.New("no Chart.yaml")
	}
	return entries, about, nil
}

// chartVersion puts the version into a Chart.yaml.
func (r *release) chartVersion(data []byte) ([]byte, error) {
	lines := strings.Split(string(data), "\n")
	for _, l := range []struct{ key, value string }{
		{"version: ", r.number()},
		{"appVersion: ", r.version},
		{"      image: ", r.registry + "/starling:" + r.version},
		{`  artifacthub.io/prerelease: `, fmt.Sprintf("%q", fmt.Sprint(strings.Contains(r.version, "-")))},
	} {
		i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, l.key) })
		if i < 0 {
			return nil, fmt.Errorf("no line begins with %q", l.key)
		}
		lines[i] = l.key + l.value
	}
	return []byte(strings.Join(lines, "\n")), nil
}

// filesBelow are the files below a folder by their names in it, links followed, in the order of the
// alphabet, but those that .helmignore names.
func filesBelow(folder string) ([]string, error) {
	ignored, err := os.ReadFile(filepath.Join(folder, ".helmignore"))
	if err != nil {
		return nil, err
	}
	var names []string
	var walk func(below string) error
	walk = func(below string) error {
		found, err := os.ReadDir(filepath.Join(folder, below))
		if err != nil {
			return err
		}
		for _, e := range found {
			name := filepath.Join(below, e.Name())
			info, err := os.Stat(filepath.Join(folder, name)) // Of what a link leads to.
			switch {
			case err != nil:
				return err
			case slices.Contains(strings.Fields(string(ignored)), e.Name()):
			case info.IsDir():
				if err := walk(name); err != nil {
					return err
				}
			default:
				names = append(names, name)
			}
		}
		return nil
	}
	if err := walk("."); err != nil {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}

// hub is the metadata that Artifact Hub asks for beside the versions of a chart.
func (r *release) hub() (v1.Image, error) {
	data, err := os.ReadFile(filepath.Join(r.root, "charts", "artifacthub-repo.yml"))
	if err != nil {
		return nil, err
	}
	return artifactOf([]byte("{}"), hubConfig, data, hubLayer, nil)
}

// artifact is something of one layer that is no image, in a registry.
type artifact struct {
	config, manifest []byte
	layer            v1.Layer
}

func artifactOf(config []byte, configType types.MediaType, data []byte, layerType types.MediaType, annotations map[string]string) (v1.Image, error) {
	layer := static.NewLayer(data, layerType)
	hash, err := layer.Digest()
	if err != nil {
		return nil, err
	}
	configHash, size, err := v1.SHA256(bytes.NewReader(config))
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Annotations: annotations,
		Config: v1.Descriptor{MediaType: configType, Digest: configHash, Size: size},
		Layers: []v1.Descriptor{{MediaType: layerType, Digest: hash, Size: int64(len(data))}},
	})
	if err != nil {
		return nil, err
	}
	return partial.CompressedToImage(artifact{config, manifest, layer})
}

// RawConfigFile implements partial.CompressedImageCore.
func (a artifact) RawConfigFile() ([]byte, error) { return a.config, nil }

// RawManifest implements partial.CompressedImageCore.
func (a artifact) RawManifest() ([]byte, error) { return a.manifest, nil }

// MediaType implements partial.CompressedImageCore.
func (artifact) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// LayerByDigest implements partial.CompressedImageCore.
func (a artifact) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	if own, err := a.layer.Digest(); err != nil || own != h {
		return nil, errors.Join(fmt.Errorf("no layer %s: %w", h, io.ErrUnexpectedEOF), err)
	}
	return a.layer, nil
}
