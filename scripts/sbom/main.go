// Command sbom lists what is in a Go program as CycloneDX JSON: its modules with their versions, as the program itself tells
// (`go version -m`), so the list is that of the file and not of a checkout. Run it in the module's root:
//
//	go run ./scripts/sbom v0.1.0 dist/starling-linux-amd64 >dist/starling-linux-amd64.cdx.json
//
// There is no time and no serial number in it: equal programs give an equal list.
package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// run prints the list of a program, of which the version is not in a form that Go knows.
func run(args []string, out io.Writer) error {
	if len(args) != 2 {
		return errors.New("usage: sbom VERSION PROGRAM")
	}
	data, err := os.ReadFile(args[1])
	if err != nil {
		return fmt.Errorf("read program: %w", err)
	}
	info, err := buildinfo.Read(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("program %q: %w", args[1], err)
	}
	info.Main.Version = args[0]
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(listOf(info, sha256.Sum256(data)))
}

// list is a document of CycloneDX 1.6, as far as it is used here.
type list struct {
	Schema      string      `json:"$schema"`
	Format      string      `json:"bomFormat"`
	SpecVersion string      `json:"specVersion"`
	Version     int         `json:"version"`
	Metadata    metadata    `json:"metadata"`
	Components  []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	Purl       string     `json:"purl"`
	Hashes     []hash     `json:"hashes,omitempty"`
	Properties []property `json:"properties,omitempty"`
}

type hash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// listOf puts what a program tells of itself into the words of CycloneDX.
func listOf(info *debug.BuildInfo, sum [sha256.Size]byte) list {
	program := componentOf("application", &info.Main)
	program.Hashes = []hash{{"SHA-256", fmt.Sprintf("%x", sum)}}
	for _, s := range info.Settings {
		program.Properties = append(program.Properties, property{"go:" + s.Key, s.Value})
	}
	l := list{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata:   metadata{program},
		Components: []component{componentOf("library", &debug.Module{Path: "stdlib", Version: strings.TrimPrefix(info.GoVersion, "go")})},
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		l.Components = append(l.Components, componentOf("library", m))
	}
	return l
}

// componentOf names a module as a package URL, and tells the sum that go.sum has of it.
func componentOf(kind string, m *debug.Module) component {
	c := component{Type: kind, Name: m.Path, Version: m.Version, Purl: "pkg:golang/" + m.Path}
	if c.Version != "" {
		c.Purl += "@" + strings.ReplaceAll(c.Version, "+", "%2B")
	}
	c.Ref = c.Purl
	if m.Sum != "" {
		c.Properties = []property{{"go:sum", m.Sum}}
	}
	return c
}
