package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const refName = "ghcr.io/starling-lb/starling:v1.2.3"

func TestRunWritesTheSameArchiveTwice(t *testing.T) {
	t.Parallel()
	first, second := pack(t), pack(t)
	a, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(second)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("two runs over the same binaries differ")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(first), "*.new")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestRunReplacesAnOldArchive(t *testing.T) {
	t.Parallel()
	out := pack(t)
	before, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	bin := elfFile(t, elf.EM_X86_64, false)
	if err := run([]string{"-ref", refName, "-out", out, "amd64=" + bin}, io.Discard, io.Discard); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(before, after) {
		t.Error("the archive of two architectures stayed in place of the new one")
	}
}

func TestRunErrors(t *testing.T) {
	t.Parallel()
	amd64, arm64 := elfFile(t, elf.EM_X86_64, false), elfFile(t, elf.EM_AARCH64, false)
	dynamic := elfFile(t, elf.EM_X86_64, true)
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		ref  string
		bins []string
		want string
	}{
		{"no name", "", []string{"amd64=" + amd64}, "-ref is missing"},
		{"short name", "starling:v1", []string{"amd64=" + amd64}, "does not begin with a registry"},
		{"user and name only", "starling-lb/starling:v1", []string{"amd64=" + amd64}, "does not begin with a registry"},
		{"no tag", "ghcr.io/starling-lb/starling", []string{"amd64=" + amd64}, "does not end with a tag"},
		{"digest", "ghcr.io/starling-lb/starling@sha256:00", []string{"amd64=" + amd64}, "does not end with a tag"},
		{"no binary", refName, nil, "no ARCH=BINARY"},
		{"no architecture", refName, []string{amd64}, "is not ARCH=BINARY"},
		{"unknown architecture", refName, []string{"riscv64=" + amd64}, `unknown architecture "riscv64"`},
		{"twice", refName, []string{"amd64=" + amd64, "amd64=" + amd64}, `"amd64" is given twice`},
		{"mixed up", refName, []string{"amd64=" + arm64}, "built for EM_AARCH64, not for amd64"},
		{"dynamic", refName, []string{"amd64=" + dynamic}, "CGO_ENABLED=0"},
		{"not a program", refName, []string{"amd64=" + script}, "not a Linux program"},
		{"not there", refName, []string{"amd64=" + script + "x"}, "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out := filepath.Join(t.TempDir(), "image.tar")
			err := run(append([]string{"-ref", tt.ref, "-out", out}, tt.bins...), io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v does not tell %q", err, tt.want)
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("an archive was written")
			}
		})
	}
}

func TestRunWithoutOutput(t *testing.T) {
	t.Parallel()
	err := run([]string{"-ref", refName, "amd64=x"}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "-out is missing") {
		t.Errorf("error %v", err)
	}
}

func TestParseRef(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		want ref
	}{
		{"ghcr.io/starling-lb/starling:v1", ref{"ghcr.io/starling-lb/starling:v1", "v1"}},
		{"localhost/starling:dev", ref{"localhost/starling:dev", "dev"}},
		{"registry:5000/a/b/c:1.0-rc.1", ref{"registry:5000/a/b/c:1.0-rc.1", "1.0-rc.1"}},
	}
	for _, tt := range tests {
		got, err := parseRef(tt.in)
		if err != nil {
			t.Errorf("%s: %v", tt.in, err)
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(ref{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.in, diff)
		}
	}
}

// pack writes an archive of three architectures and returns its path.
func pack(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "dist", "image.tar")
	var stdout bytes.Buffer
	err := run([]string{
		"-ref", refName, "-out", out,
		"arm64=" + elfFile(t, elf.EM_AARCH64, false), "amd64=" + elfFile(t, elf.EM_X86_64, false), "arm=" + elfFile(t, elf.EM_ARM, false),
	}, &stdout, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(stdout.String(), "sha256:") {
		t.Errorf("printed %q, want the digest", stdout.String())
	}
	return out
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
