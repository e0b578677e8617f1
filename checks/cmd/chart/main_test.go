package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const shipped = "../../../charts/starling"

func TestRun(t *testing.T) {
	values := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(values, []byte("pools: [{name: lab, ranges: [192.0.2.0/24]}]\nnamespace: {create: true}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run([]string{"-namespace", "lb", "-values", values, shipped}, &out, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"kind: Namespace\nmetadata:\n  name: lb\n", "- 192.0.2.0/24", "kind: DaemonSet"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, &out)
		}
	}
}

func TestMistakes(t *testing.T) {
	values := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(values, []byte("pools: []\npools: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"no chart":     {nil, "one folder"},
		"no such file": {[]string{"-values", values + "x", shipped}, "no such file"},
		"a key twice":  {[]string{"-values", values, shipped}, "pools"},
		"not a chart":  {[]string{t.TempDir()}, "Chart.yaml"},
		"a flag":       {[]string{"-x"}, "-x"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := run(tt.args, &out, &out); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
