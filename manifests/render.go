// Package manifests holds what a user applies to a cluster.
//
// base/ is the source, a kustomize base of one file per concern. starling.yaml is the same objects
// in one file. It is joined from the texts of the base and not built by kustomize, because
// kustomize drops comments and sorts keys, and the comments (where the pools go, why a right is
// needed) are half of the file's worth. So the base may only list resources: Render refuses a
// transformer, which it would have to imitate. `make lint` builds the base with the real kustomize
// and compares.
package manifests

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"sigs.k8s.io/yaml"
)

// Rendered is the file that Render's result is kept in, beside base/.
const Rendered = "starling.yaml"

const header = `# starling: addresses for Services of type LoadBalancer on bare metal.
#
#   1. kubectl apply -f starling.yaml
#   2. Put your addresses into a file of your own, such as pools.yaml, and: kubectl apply -f pools.yaml
#
#      apiVersion: v1
#      kind: ConfigMap
#      metadata:
#        name: starling
#        namespace: starling-system
#      data:
#        starling.yaml: |
#          pools: # of addresses of the nodes' own network, or routed to it, that nothing else uses
#            - name: default
#              ranges:
#                - 192.168.1.240-192.168.1.250 # first-last, both included
#                - 192.168.2.0/28              # or CIDR
#                - 2001:db8:0:1::1:0/112       # or IPv6
#
# Whatever of the two is applied again, the other stays. docs/pools.md has all that a pool may say.
# Rendered from base/ by "make manifests".
`

// kustomization is the part of a kustomization.yaml that Render understands.
type kustomization struct {
	APIVersion  string      `json:"apiVersion"`
	Kind        string      `json:"kind"`
	SortOptions sortOptions `json:"sortOptions"`
	Resources   []string    `json:"resources"`
}

type sortOptions struct {
	Order string `json:"order"`
}

// Render joins the resources of base/ in fsys, in their order, into one YAML file.
func Render(fsys fs.FS) ([]byte, error) {
	k, err := readKustomization(fsys, "base/kustomization.yaml")
	if err != nil {
		return nil, err
	}
	out := bytes.NewBufferString(header)
	for _, name := range k.Resources {
		b, err := fs.ReadFile(fsys, path.Join("base", name))
		if err != nil {
			return nil, fmt.Errorf("read resource: %w", err)
		}
		text := strings.TrimSpace(string(b))
		if text == "" || strings.HasPrefix(text, "---") || strings.HasSuffix(text, "---") {
			return nil, fmt.Errorf("resource %q begins or ends with an empty document", name)
		}
		fmt.Fprintf(out, "---\n%s\n", text)
	}
	return out.Bytes(), nil
}

func readKustomization(fsys fs.FS, name string) (kustomization, error) {
	var k kustomization
	b, err := fs.ReadFile(fsys, name)
	if err != nil {
		return k, fmt.Errorf("read kustomization: %w", err)
	}
	if err := yaml.UnmarshalStrict(b, &k); err != nil {
		return k, fmt.Errorf("parse %q, of which only resources are understood: %w", name, err)
	}
	switch {
	case k.Kind != "Kustomization":
		return k, fmt.Errorf("parse %q: kind is %q, not Kustomization", name, k.Kind)
	case k.SortOptions.Order != "fifo":
		return k, fmt.Errorf("parse %q: sortOptions.order is %q, but the order of resources is kept only by fifo", name, k.SortOptions.Order)
	case len(k.Resources) == 0:
		return k, errors.New("parse " + name + ": no resources")
	}
	return k, nil
}
