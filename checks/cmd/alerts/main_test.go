package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const shipped = "../../../manifests/monitoring/prometheusrule.yaml"

// save writes metrics of a node and returns the file.
func save(t *testing.T, node, metrics string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), node)
	if err := os.WriteFile(file, []byte(metrics), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestRun(t *testing.T) {
	well := "# HELP starling_ready 1 if this node may own addresses.\n# TYPE starling_ready gauge\nstarling_ready 1\nstarling_conditions{code=\"address-taken\",severity=\"error\"} 0\n"
	for name, tt := range map[string]struct {
		n1, n2 string
		want   []string
	}{
		"all is well": {well, well, nil},
		"a stranger on one node": {
			well, strings.Replace(well, "} 0", "} 1", 1),
			[]string{"StarlingTwoAnswers\t1 addresses are answered for by somebody else as well (address-taken)\t", "Find that machine"},
		},
		"labels of the scrape":  {well, "starling_conditions{code=\"config-rejected\",severity=\"error\"} 1\n", []string{"StarlingConfigRejected\tThe configuration or the gossip keys on n2 have a mistake (config-rejected)\t"}},
		"labels of the metric":  {"starling_mesh_trouble{reason=\"key\",peer=\"192.0.2.1\"} 1\n", well, []string{"StarlingKeyMismatch\t192.0.2.1 uses another gossip key\t"}},
		"one that waits a time": {"starling_conditions{code=\"no-endpoint\",severity=\"warning\"} 1\n", well, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := run(t.Context(), []string{shipped, save(t, "n1", tt.n1), save(t, "n2", tt.n2)}, &out); err != nil {
				t.Fatal(err)
			}
			if tt.want == nil && out.Len() > 0 {
				t.Errorf("fires:\n%s", &out)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is missing in:\n%s", want, &out)
				}
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	good := save(t, "n1", "starling_ready 1\n")
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no metrics":      {[]string{shipped}, "files with metrics"},
		"no such rules":   {[]string{good + "x", good}, "read rules"},
		"no rules":        {[]string{good, good}, "PrometheusRule"},
		"no such metrics": {[]string{shipped, good + "x"}, "read metrics"},
		"no metrics in":   {[]string{shipped, save(t, "n2", "<html>\n")}, "n2"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := run(t.Context(), tt.args, &out); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
