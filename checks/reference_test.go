package checks

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// metric is a row of the metrics in docs/reference.md, which is made from the code.
type metric struct {
	kind   string
	labels []string
}

var metricRow = regexp.MustCompile("(?m)^\\| `(starling_[a-z0-9_]+)` \\| ([a-z]+) \\| ([a-z, ]*) \\|")

// reference gives the real metrics, and those of Prometheus's Go library that the dashboard uses.
func reference(t *testing.T) map[string]metric {
	t.Helper()
	out := map[string]metric{
		"up":                            {kind: "gauge"},
		"process_resident_memory_bytes": {kind: "gauge"},
		"process_cpu_seconds_total":     {kind: "counter"},
	}
	rows := metricRow.FindAllStringSubmatch(read(t, "../docs/reference.md"), -1)
	for _, m := range rows {
		var labels []string
		if m[3] != "" {
			labels = strings.Split(m[3], ", ")
		}
		out[m[1]] = metric{m[2], labels}
	}
	if len(rows) < 35 {
		t.Fatalf("%d metrics in docs/reference.md", len(rows))
	}
	return out
}

var conditionRow = regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| (error|warning|information) \\|")

// severities are those of all conditions, by code, as docs/reference.md has them from the code.
func severities(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, m := range conditionRow.FindAllStringSubmatch(read(t, "../docs/reference.md"), -1) {
		out[m[1]] = m[2]
	}
	if len(out) < 70 {
		t.Fatalf("%d conditions in docs/reference.md", len(out))
	}
	return out
}

// targetLabels are on every series, by the relabelling of the PodMonitor and by Prometheus.
var targetLabels = []string{"namespace", "pod", "node", "job"}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// parse reads the text of a YAML or JSON file.
func parse[T any](t *testing.T, name, text string) (v T) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}
