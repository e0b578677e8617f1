// Package image writes container images of one static binary without a container engine.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
)

// Write makes an OCI archive at out that holds, as image ref, the single program at binary for
// arch. The program is started as it is; arguments come from the pod. An importer without the name
// annotation on the index would import nothing and say nothing.
func Write(out, ref, arch, binary string) error {
	program, err := os.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("image %s: %w", ref, err)
	}
	file, err := os.Create(out)
	if err != nil {
		return fmt.Errorf("image %s: %w", ref, err)
	}
	defer file.Close()
	if err := write(file, ref, arch, path.Base(binary), program); err != nil {
		return fmt.Errorf("image %s: %w", ref, err)
	}
	return file.Close()
}

// object is a piece of JSON.
type object = map[string]any

const oci = "application/vnd.oci.image."

func write(to io.Writer, ref, arch, name string, program []byte) error {
	a := archive{tar: tar.NewWriter(to)}
	layer := a.blob(oci+"layer.v1.tar", tarball(name, program))
	config := a.json(oci+"config.v1+json", object{
		"os": "linux", "architecture": arch,
		"config": object{"Entrypoint": []string{"/" + name}},
		"rootfs": object{"type": "layers", "diff_ids": []any{layer["digest"]}},
	})
	manifest := a.json(oci+"manifest.v1+json", object{
		"schemaVersion": 2, "mediaType": oci + "manifest.v1+json", "config": config, "layers": []object{layer},
	})
	manifest["platform"] = object{"os": "linux", "architecture": arch}
	manifest["annotations"] = object{"io.containerd.image.name": ref}
	a.file("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	a.file("index.json", encode(object{"schemaVersion": 2, "mediaType": oci + "index.v1+json", "manifests": []object{manifest}}))
	if a.err != nil {
		return a.err
	}
	return a.tar.Close()
}

// archive collects files and keeps the first error.
type archive struct {
	tar *tar.Writer
	err error
}

func (a *archive) file(name string, content []byte) {
	if a.err == nil {
		a.err = a.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))})
	}
	if a.err == nil {
		_, a.err = a.tar.Write(content)
	}
}

func (a *archive) blob(mediaType string, content []byte) object {
	digest := fmt.Sprintf("%x", sha256.Sum256(content))
	a.file("blobs/sha256/"+digest, content)
	return object{"mediaType": mediaType, "digest": "sha256:" + digest, "size": len(content)}
}

func (a *archive) json(mediaType string, content object) object {
	return a.blob(mediaType, encode(content))
}

// tarball is a layer with one executable; writing to memory cannot fail.
func tarball(name string, program []byte) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(program))})
	_, _ = w.Write(program)
	_ = w.Close()
	return b.Bytes()
}

// encode writes values made of maps, strings and numbers; that cannot fail.
func encode(v any) []byte {
	b, _ := json.Marshal(v)
	return b
}
