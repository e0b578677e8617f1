package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestListOf(t *testing.T) {
	t.Parallel()
	sum := sha256.Sum256([]byte("program"))
	got := listOf(&debug.BuildInfo{
		GoVersion: "go1.26.8",
		Main:      debug.Module{Path: "example.org/lb", Version: "v0.1.0"},
		Deps: []*debug.Module{
			{Path: "example.org/a", Version: "v1.2.3", Sum: "h1:x="},
			{Path: "example.org/b", Version: "v2.0.0+incompatible"},
			{Path: "example.org/c", Version: "v1.0.0", Replace: &debug.Module{Path: "example.org/fork", Version: "v1.0.1"}},
		},
		Settings: []debug.BuildSetting{{Key: "CGO_ENABLED", Value: "0"}},
	}, sum)
	library := func(name, version, purl string, more ...property) component {
		return component{Type: "library", Ref: purl, Name: name, Version: version, Purl: purl, Properties: more}
	}
	want := []component{
		library("stdlib", "1.26.8", "pkg:golang/stdlib@1.26.8"),
		library("example.org/a", "v1.2.3", "pkg:golang/example.org/a@v1.2.3", property{"go:sum", "h1:x="}),
		library("example.org/b", "v2.0.0+incompatible", "pkg:golang/example.org/b@v2.0.0%2Bincompatible"),
		library("example.org/fork", "v1.0.1", "pkg:golang/example.org/fork@v1.0.1"),
	}
	if diff := cmp.Diff(want, got.Components); diff != "" {
		t.Errorf("components (-want +got):\n%s", diff)
	}
	program := component{
		Type: "application", Ref: "pkg:golang/example.org/lb@v0.1.0", Name: "example.org/lb", Version: "v0.1.0", Purl: "pkg:golang/example.org/lb@v0.1.0",
		Hashes: []hash{{"SHA-256", fmt.Sprintf("%x", sum)}}, Properties: []property{{"go:CGO_ENABLED", "0"}},
	}
	if diff := cmp.Diff(program, got.Metadata.Component); diff != "" {
		t.Errorf("program (-want +got):\n%s", diff)
	}
}

// TestRun lists the test program itself.
func TestRun(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var first, second strings.Builder
	for _, out := range []*strings.Builder{&first, &second} {
		if err := run([]string{"v9", self}, out); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != second.String() {
		t.Error("two lists of one program differ")
	}
	var l list
	if err := json.Unmarshal([]byte(first.String()), &l); err != nil {
		t.Fatal(err)
	}
	if l.Format != "CycloneDX" || l.SpecVersion != "1.6" || l.Metadata.Component.Version != "v9" || len(l.Components) == 0 || l.Components[0].Version != strings.TrimPrefix(runtime.Version(), "go") {
		t.Errorf("the list is\n%s", &first)
	}
	refs := map[string]bool{}
	for _, c := range l.Components {
		if refs[c.Ref] {
			t.Errorf("%s is there twice", c.Ref)
		}
		refs[c.Ref] = true
	}
}

func TestMistakes(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no program":   {nil, "usage: sbom VERSION PROGRAM"},
		"not there":    {[]string{"v1", script + "x"}, "no such file"},
		"not a binary": {[]string{"v1", script}, script},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			if err := run(tt.args, &out); err == nil || !strings.Contains(err.Error(), tt.want) || out.Len() > 0 {
				t.Errorf("error %v, want %q; printed %q", err, tt.want, &out)
			}
		})
	}
}
