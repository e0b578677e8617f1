package image

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

const ref = "ghcr.io/starling-lb/starling:v1.2.3"

// architectures are those of a release, with what their programs are for.
var architectures = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "arm": elf.EM_ARM, "s390x": elf.EM_S390, "ppc64le": elf.EM_PPC64,
}

// The layout is walked as a reader does, from index.json down to the program in each layer.
func TestLayout(t *testing.T) {
	t.Parallel()
	l, err := layout.FromPath(unpacked(t, pack(t)))
	if err != nil {
		t.Fatal(err)
	}
	top, err := l.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := top.IndexManifest()
	if err != nil || len(entries.Manifests) != 1 {
		t.Fatalf("%+v, %v in index.json, want one image", entries, err)
	}
	want := map[string]string{"io.containerd.image.name": ref, "org.opencontainers.image.ref.name": "v1.2.3"}
	if diff := cmp.Diff(want, entries.Manifests[0].Annotations); diff != "" {
		t.Errorf("annotations (-want +got):\n%s", diff)
	}
	index, err := top.ImageIndex(entries.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	images, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, d := range images.Manifests {
		found = append(found, d.Platform.String())
		img, err := index.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		checkImage(t, img, *d.Platform)
	}
	if diff := cmp.Diff([]string{"linux/amd64", "linux/arm/v7", "linux/arm64", "linux/ppc64le", "linux/s390x"}, found); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
}

// checkImage walks from one image to its program.
func checkImage(t *testing.T, img v1.Image, p v1.Platform) {
	t.Helper()
	got, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := v1.Config{
		User: "0", Env: []string{"PATH=/"}, Entrypoint: []string{"/starling"}, WorkingDir: "/", Labels: labels("v1.2.3", ""),
	}
	if diff := cmp.Diff(want, got.Config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
	if got.Architecture != p.Architecture || got.Variant != p.Variant || !got.Created.Equal(epoch) {
		t.Errorf("the configuration of %s says %s %s, %v", p, got.Architecture, got.Variant, got.Created)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers, %v, want 1", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	r := tar.NewReader(content)
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
	if want := architectures[p.Architecture]; f.Machine != want {
		t.Errorf("program is for %v, want %v", f.Machine, want)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("more than the program in the layer: %v", err)
	}
}

func TestTheSameTwice(t *testing.T) {
	t.Parallel()
	first := pack(t)
	a, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(pack(t))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("two archives of the same programs differ")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(first), ".image-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestRefusedPrograms(t *testing.T) {
	t.Parallel()
	amd64, arm64 := elfFile(t, elf.EM_X86_64, false), elfFile(t, elf.EM_AARCH64, false)
	dynamic := elfFile(t, elf.EM_X86_64, true)
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		programs []string
		want     string
	}{
		{"no binary", nil, "no ARCH=BINARY"},
		{"no architecture", []string{amd64}, "is not ARCH=BINARY"},
		{"unknown architecture", []string{"riscv64=" + amd64}, `unknown architecture "riscv64"`},
		{"twice", []string{"amd64=" + amd64, "amd64=" + amd64}, `"amd64" is given twice`},
		{"mixed up", []string{"amd64=" + arm64}, "built for EM_AARCH64, not for amd64"},
		{"dynamic", []string{"amd64=" + dynamic}, "CGO_ENABLED=0"},
		{"not a program", []string{"amd64=" + script}, "not a Linux program"},
		{"not there", []string{"amd64=" + script + "x"}, "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := ReadPrograms("starling", tt.programs); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v does not tell %q", err, tt.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		ref: "v1.2.3", "localhost/starling:dev": "dev", "registry:5000/a/b/c:1.0-rc.1": "1.0-rc.1",
		"": "", "starling:v1": "", "starling-lb/starling:v1": "", "ghcr.io/starling-lb/starling": "", "ghcr.io/starling-lb/starling@sha256:00": "",
	} {
		tag, err := Parse(in)
		if got := tag.TagStr(); err == nil && (got != want || tag.String() != in) || (err == nil) != (want != "") {
			t.Errorf("%q is %v with tag %q: %v", in, tag, got, err)
		}
	}
}

// pack writes an archive of all architectures and returns its path.
func pack(t *testing.T) string {
	t.Helper()
	tag, err := Parse(ref)
	if err != nil {
		t.Fatal(err)
	}
	var args []string
	for _, arch := range []string{"amd64", "arm", "arm64", "ppc64le", "s390x"} {
		args = append(args, arch+"="+elfFile(t, architectures[arch], false))
	}
	programs, err := ReadPrograms("starling", args)
	if err != nil {
		t.Fatal(err)
	}
	index, err := Index(tag, programs)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "dist", "image.tar")
	if err := Archive(out, tag, index); err != nil {
		t.Fatal(err)
	}
	return out
}

// unpacked is a folder with the files of the archive.
func unpacked(t *testing.T, archive string) string {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := t.TempDir()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// elfFile writes the smallest file that is a program for m, linked dynamically or not.
func elfFile(t *testing.T, m elf.Machine, dynamic bool) string {
	t.Helper()
	h := elf.Header64{
		Ident:   [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:    uint16(elf.ET_EXEC),
		Machine: uint16(m),
		Version: uint32(elf.EV_CURRENT),
		Phoff:   64, Ehsize: 64, Phentsize: 56, Phnum: 1,
	}
	p := elf.Prog64{Type: uint32(elf.PT_LOAD)}
	if dynamic {
		p.Type = uint32(elf.PT_INTERP)
	}
	var buf bytes.Buffer
	for _, v := range []any{h, p} {
		if err := binary.Write(&buf, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), m.String())
	if err := os.WriteFile(path, buf.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
