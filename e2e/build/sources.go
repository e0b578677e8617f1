package build

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// sources are what is compiled, by module.
var sources = []struct{ name, module string }{
	{"Kubernetes", "k8s.io/kubernetes"},
	{"containerd", "github.com/containerd/containerd/v2"},
	{"etcd", "go.etcd.io/etcd/server/v3"},
}

// Sources names what Tools compiles, with the versions, and reports whether that is still to be
// done.
func Sources() (words string, missing bool, err error) {
	root, err := Root()
	if err != nil {
		return "", false, err
	}
	words, err = versions(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", false, err
	}
	key, err := fingerprint(root)
	if err != nil {
		return "", false, err
	}
	cache, err := cacheDir()
	if err != nil {
		return "", false, err
	}
	_, err = os.Stat(filepath.Join(cache, key))
	return words, os.IsNotExist(err), nil
}

// versions reads those of the sources in a go.mod.
func versions(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("versions: %w", err)
	}
	var list []string
	for _, s := range sources {
		version := ""
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); len(f) >= 2 && f[0] == s.module && version == "" {
				version = strings.TrimPrefix(f[1], "v")
			}
		}
		if version == "" {
			return "", fmt.Errorf("versions: %s does not require %s", path, s.module)
		}
		list = append(list, s.name+" "+version)
	}
	last := len(list) - 1
	return strings.Join(list[:last], ", ") + " and " + list[last], nil
}
