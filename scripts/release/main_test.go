package main

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"sigs.k8s.io/yaml"
)

const (
	version  = "v0.2.0-rc.1"
	revision = "0123456789abcdef0123456789abcdef01234567"
)

// The same programs give the same release, file by file, and the same digests in the registry.
func TestTheSameTwice(t *testing.T) {
	t.Parallel()
	host, programs := loopback(t), programs(t)
	first, in := made(t, host, programs)
	second, again := made(t, host, programs)
	if in != again {
		t.Errorf("registries have\n%s and then\n%s", in, again)
	}
	if diff := cmp.Diff(digests(t, first), digests(t, second)); diff != "" {
		t.Errorf("files (-first +second):\n%s", diff)
	}
}

// What is pushed is whole, and what the files say of it is true.
func TestRegistryAndFilesAgree(t *testing.T) {
	t.Parallel()
	host := loopback(t)
	dir, in := made(t, host, programs(t))
	refs := strings.Fields(in)
	if len(refs) != 2 {
		t.Fatalf("registries have %q, want image and chart", refs)
	}
	index, err := remote.Index(reference(t, refs[0]))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Errorf("image: %v", err)
	}
	chart, err := remote.Image(reference(t, refs[1]))
	if err != nil {
		t.Fatal(err)
	}
	layers, err := chart.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("%d layers of the chart: %v", len(layers), err)
	}
	content, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	pushed, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pushed, read(t, dir, "starling-0.2.0-rc.1.tgz")) {
		t.Error("the chart in the registry is not that of the archive")
	}
	if got := string(read(t, dir, "starling.yaml")); !strings.Contains(got, "image: "+refs[0]+"\n") {
		t.Errorf("the manifest does not name %s", refs[0])
	}
	if _, err := remote.Image(reference(t, host+"/starling-lb/charts/starling:artifacthub.io")); err != nil {
		t.Errorf("metadata for Artifact Hub: %v", err)
	}
	for line := range strings.Lines(string(read(t, dir, "checksums.txt"))) {
		digest, file, _ := strings.Cut(strings.TrimSpace(line), "  ")
		if got := fmt.Sprintf("%x", sha256.Sum256(read(t, dir, file))); got != digest {
			t.Errorf("%s has %s, checksums.txt says %s", file, got, digest)
		}
	}
}

// The statement is about every file but the sums, which are about it, and about what was pushed.
func TestProvenance(t *testing.T) {
	t.Parallel()
	dir, in := made(t, loopback(t), programs(t))
	var statement struct {
		Subject []struct {
			Name   string
			Digest map[string]string
		}
		Predicate struct {
			BuildDefinition struct {
				ExternalParameters   map[string]string
				ResolvedDependencies []struct{ Digest map[string]string }
			}
		}
	}
	if err := json.Unmarshal(read(t, dir, "provenance.intoto.json"), &statement); err != nil {
		t.Fatal(err)
	}
	got, want := map[string]string{}, digests(t, dir)
	for _, s := range statement.Subject {
		got[s.Name] = s.Digest["sha256"]
	}
	for _, later := range []string{"checksums.txt", "provenance.json", "provenance.intoto.json"} {
		delete(want, later)
	}
	for ref := range strings.FieldsSeq(in) {
		name, digest, _ := strings.Cut(ref, "@sha256:")
		want[name] = digest
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("subjects (-want +got):\n%s", diff)
	}
	built := statement.Predicate.BuildDefinition
	if built.ExternalParameters["version"] != version || len(built.ResolvedDependencies) != 1 || built.ResolvedDependencies[0].Digest["gitCommit"] != revision {
		t.Errorf("built from %+v", built)
	}
}

// krew and Artifact Hub read these; their rules are in the pages of both.
func TestMetadata(t *testing.T) {
	t.Parallel()
	host := loopback(t)
	dir, _ := made(t, host, programs(t))
	var p plugin
	if err := yaml.UnmarshalStrict(read(t, dir, "starling.krew.yaml"), &p); err != nil {
		t.Fatal(err)
	}
	if n := len(p.Spec.ShortDescription); n == 0 || n > 50 {
		t.Errorf("shortDescription has %d letters, krew wants up to 50", n)
	}
	if p.Metadata["name"] != "starling" || p.Spec.Version != version || len(p.Spec.Platforms) != len(nodes)+2 {
		t.Errorf("krew manifest of %q %s for %d platforms", p.Metadata["name"], p.Spec.Version, len(p.Spec.Platforms))
	}
	for _, one := range p.Spec.Platforms {
		file := one.URI[strings.LastIndex(one.URI, "/")+1:]
		if got := fmt.Sprintf("%x", sha256.Sum256(read(t, dir, file))); got != one.SHA256 || one.Bin == "" {
			t.Errorf("%s has %s, krew's manifest says %s", file, got, one.SHA256)
		}
	}
	r := release{version: version, registry: host + "/starling-lb", root: "../.."}
	files, about, err := r.chartFiles()
	if err != nil {
		t.Fatal(err)
	}
	if about["version"] != "0.2.0-rc.1" || about["appVersion"] != version || about["icon"] == nil || about["home"] == nil {
		t.Errorf("the chart is %v", about)
	}
	notes, _ := about["annotations"].(map[string]any)
	var images []struct{ Name, Image string }
	if err := yaml.Unmarshal(fmt.Append(nil, notes["artifacthub.io/images"]), &images); err != nil {
		t.Fatal(err)
	}
	if len(images) != 1 || images[0].Image != host+"/starling-lb/starling:"+version {
		t.Errorf("images for Artifact Hub are %+v", images)
	}
	var links []struct{ Name, URL string }
	if err := yaml.Unmarshal(fmt.Append(nil, notes["artifacthub.io/links"]), &links); err != nil || len(links) == 0 {
		t.Errorf("links for Artifact Hub are %+v: %v", links, err)
	}
	if notes["artifacthub.io/prerelease"] != "true" {
		t.Errorf("prerelease is %q", notes["artifacthub.io/prerelease"])
	}
	found := map[string]bool{}
	for _, f := range files {
		found[f.name] = true
	}
	for _, want := range []string{"Chart.yaml", "README.md", "values.yaml", "values.schema.json", "templates/daemonset.yaml", "files/monitoring/dashboard.json"} {
		if !found["starling/"+want] {
			t.Errorf("the chart lacks %s", want)
		}
	}
	icon := strings.TrimPrefix(fmt.Sprint(about["icon"]), "https://raw.githubusercontent.com/starling-lb/starling/main/")
	if _, err := os.Stat(filepath.Join("../..", icon)); err != nil {
		t.Errorf("icon: %v", err)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	all := programs(t)
	lacking := t.TempDir()
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"no version", []string{"-revision", revision, "-out", "x"}, `version "" is not one like v0.2.0`},
		{"version without letter", []string{"-version", "0.2.0", "-revision", revision, "-out", "x"}, "is not one like v0.2.0"},
		{"state of a branch", []string{"-version", "v0.1.0-3-gabc-dirty+1", "-revision", revision, "-out", "x"}, "is not one like v0.2.0"},
		{"no commit", []string{"-version", version, "-revision", "main", "-out", "x"}, "is not a commit"},
		{"no folder", []string{"-version", version, "-revision", revision}, "-out is missing"},
		{"rest", []string{"-version", version, "-revision", revision, "-out", "x", "y"}, `unknown argument "y"`},
		{"no programs", []string{"-version", version, "-revision", revision, "-out", filepath.Join(lacking, "r"), "-programs", lacking}, "no such file"},
		{"not a registry", []string{"-version", version, "-revision", revision, "-out", filepath.Join(lacking, "r"), "-programs", all, "-registry", "starling-lb"}, "is not REGISTRY/NAME:TAG"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), tt.args, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v does not tell %q", err, tt.want)
			}
			if left, _ := filepath.Glob(filepath.Join(lacking, "*")); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// loopback is a registry for the test.
func loopback(t *testing.T) (host string) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// made is the folder of a release of these programs, in the registry too, and what that has.
func made(t *testing.T, host, programs string) (dir, in string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), version)
	var out strings.Builder
	err := run(t.Context(), []string{
		"-version", version, "-revision", revision, "-registry", host + "/starling-lb", "-programs", programs, "-out", dir, "-push",
	}, &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got := string(read(t, dir, "oci.txt")); got != out.String() {
		t.Errorf("oci.txt has %q, printed was %q", got, &out)
	}
	return dir, out.String()
}

// programs is a folder as the Makefile leaves it, with the smallest programs that there are.
func programs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for arch, machine := range map[string]elf.Machine{
		"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "arm": elf.EM_ARM, "s390x": elf.EM_S390, "ppc64le": elf.EM_PPC64,
	} {
		var program bytes.Buffer
		err := binary.Write(&program, binary.LittleEndian, elf.Header64{
			Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
			Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64, Phentsize: 56,
		})
		if err != nil {
			t.Fatal(err)
		}
		save(t, dir, "starling-linux-"+arch, program.Bytes())
		save(t, dir, "starling-linux-"+arch+".cdx.json", []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","version":1}`))
	}
	save(t, dir, "starling-darwin-amd64", []byte("one"))
	save(t, dir, "starling-darwin-arm64", []byte("another"))
	return dir
}

func save(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// digests are those of the files of a folder.
func digests(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range files {
		all[f.Name()] = fmt.Sprintf("%x", sha256.Sum256(read(t, dir, f.Name())))
	}
	return all
}

func reference(t *testing.T, ref string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
