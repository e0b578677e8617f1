package manifests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/starling-lb/starling/lease"
)

var yamlBlock = regexp.MustCompile("(?ms)^ *```yaml\n(.*?)^ *```")

// TestExamplesOfPages: the Services and the pools that the pages show are such.
func TestExamplesOfPages(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	services, pools := 0, 0
	for _, page := range append(pages, "../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			switch block := dedent(m[1]); {
			case strings.Contains(block, "\nkind: Service\n"):
				services++
				var s corev1.Service
				if err := yaml.UnmarshalStrict([]byte(block), &s); err != nil || s.Spec.Type != corev1.ServiceTypeLoadBalancer || len(s.Spec.Ports) == 0 {
					t.Errorf("%s: %v in\n%s", page, err, block)
				}
			case strings.HasPrefix(block, "pools:"):
				pools++
				if _, err := lease.ReadPools(nil, page, []byte(block)); err != nil {
					t.Errorf("%v in\n%s", err, block)
				}
			}
		}
	}
	if services < 3 || pools < 3 {
		t.Errorf("found %d Services and %d lists of pools", services, pools)
	}
}

// dedent takes the indentation of the first line from all lines.
func dedent(block string) string {
	indent := block[:len(block)-len(strings.TrimLeft(block, " "))]
	return strings.ReplaceAll("\n"+block, "\n"+indent, "\n")[1:]
}
