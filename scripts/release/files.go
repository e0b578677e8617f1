package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"sigs.k8s.io/yaml"
)

const (
	source    = "https://github.com/starling-lb/starling"
	published = "ghcr.io/starling-lb" // The registry that the checkout names.
)

// nodes are the architectures that speakers of a release run on.
var nodes = []string{"amd64", "arm64", "arm", "s390x", "ppc64le"}

// machines are those that people ask from.
func (r *release) machines() (all [][2]string) {
	for _, arch := range r.arches {
		all = append(all, [2]string{"linux", arch})
	}
	for _, arch := range r.darwin {
		all = append(all, [2]string{"darwin", arch})
	}
	return all
}

// replaced replaces what must be there exactly once.
func replaced(data []byte, from, to string) ([]byte, error) {
	if n := bytes.Count(data, []byte(from)); n != 1 {
		return nil, fmt.Errorf("%q is there %d times, not once", from, n)
	}
	return bytes.Replace(data, []byte(from), []byte(to), 1), nil
}

var imageLine = regexp.MustCompile(`(?m)^( +image: )\S+$`)

// manifest writes the manifest with the image pinned.
func (r *release) manifest(pinned string) error {
	data, err := os.ReadFile(filepath.Join(r.root, "manifests", "starling.yaml"))
	if err != nil {
		return err
	}
	if n := len(imageLine.FindAll(data, -1)); n != 1 {
		return fmt.Errorf("manifests/starling.yaml names %d images, not one", n)
	}
	return r.write("starling.yaml", imageLine.ReplaceAll(data, []byte("${1}"+pinned)))
}

// lists copies what is in each program.
func (r *release) lists() error {
	for _, arch := range r.arches {
		name := "starling-linux-" + arch + ".cdx.json"
		data, err := os.ReadFile(filepath.Join(r.programs, name))
		if err != nil {
			return fmt.Errorf("list of the modules, see make sbom: %w", err)
		}
		if err := r.write(name, data); err != nil {
			return err
		}
	}
	return nil
}

// plugin is a manifest of krew, v1alpha2, as far as it is used here.
type plugin struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Spec       struct {
		Version          string     `json:"version"`
		Homepage         string     `json:"homepage"`
		ShortDescription string     `json:"shortDescription"`
		Description      string     `json:"description"`
		Platforms        []platform `json:"platforms"`
	} `json:"spec"`
}

type platform struct {
	Selector struct {
		MatchLabels map[string]string `json:"matchLabels"`
	} `json:"selector"`
	URI    string `json:"uri"`
	SHA256 string `json:"sha256"`
	Bin    string `json:"bin"`
}

// commands writes the archives of the command line, and the manifest of the plugin that names them.
func (r *release) commands() error {
	license, err := os.ReadFile(filepath.Join(r.root, "LICENSE"))
	if err != nil {
		return err
	}
	p := plugin{APIVersion: "krew.googlecontainertools.github.com/v1alpha2", Kind: "Plugin", Metadata: map[string]string{"name": "starling"}}
	p.Spec.Version, p.Spec.Homepage = r.version, source
	p.Spec.ShortDescription = "Show who announces LoadBalancer addresses"
	p.Spec.Description = "Shows which node announces each address of starling, why there, and what is\nwrong. Needs starling in the cluster: " + source + "\n"
	for _, m := range r.machines() {
		data, err := os.ReadFile(filepath.Join(r.programs, "starling-"+m[0]+"-"+m[1]))
		if err != nil {
			return fmt.Errorf("command line: %w", err)
		}
		archive, err := packed([]entry{{"LICENSE", 0o644, license}, {"starling", 0o755, data}})
		if err != nil {
			return err
		}
		name := fmt.Sprintf("starling-%s-%s-%s.tar.gz", r.version, m[0], m[1])
		if err := r.write(name, archive); err != nil {
			return err
		}
		one := platform{URI: source + "/releases/download/" + r.version + "/" + name, SHA256: fmt.Sprintf("%x", sha256.Sum256(archive)), Bin: "starling"}
		one.Selector.MatchLabels = map[string]string{"os": m[0], "arch": m[1]}
		p.Spec.Platforms = append(p.Spec.Platforms, one)
	}
	text, err := yaml.Marshal(p)
	if err != nil {
		return err
	}
	return r.write("starling.krew.yaml", text)
}

// checksums writes the SHA-256 of all files, as sha256sum does.
func (r *release) checksums() error {
	sums, err := r.sums()
	if err != nil {
		return err
	}
	var text bytes.Buffer
	for _, s := range sums {
		fmt.Fprintf(&text, "%s  %s\n", s.sha256, s.name)
	}
	return r.write("checksums.txt", text.Bytes())
}

// sum is a file of the release with its digest.
type sum struct{ name, sha256 string }

// sums are those of the files so far, by name.
func (r *release) sums() ([]sum, error) {
	files, err := os.ReadDir(r.out)
	if err != nil {
		return nil, err
	}
	var all []sum
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(r.out, f.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, sum{f.Name(), fmt.Sprintf("%x", sha256.Sum256(data))})
	}
	return all, nil
}
