package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheck(t *testing.T) {
	t.Chdir(t.TempDir())
	const object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: starling}\ndata:\n"
	for _, tt := range []struct {
		name, text string
		out, err   string
	}{
		{"sound", "pools:\n- {name: a, ranges: [198.18.64.0/30]}\n- {name: b, ranges: [\"2001:db8::/64\"]}\n", "f.yaml: no mistakes; pools: a, b\n", ""},
		{
			"with a router", "bgp: {asn: 1, peers: [{name: tor1, address: 192.0.2.1, asn: 2}]}\npools: [{name: a, ranges: [198.18.64.0/30], announce: [layer2, bgp]}]\n",
			"f.yaml: no mistakes; pools: a; routers: tor1\n", "",
		},
		{
			"a router's mistakes", "bgp:\n  asn: 0\n  peers:\n  - {name: tor1, address: 192.0.2.1, asn: 2, holdTime: 1s}\npools:\n- name: a\n  ranges: [198.18.64.0/30]\n  announce:\n  - bgp: {peers: [tor2]}\n", "",
			"starling: f.yaml: line 2: bgp: asn: missing or 0; want the AS of the nodes, 1 to 4294967295; 64512 to 65534 are for private use\n" +
				"starling: f.yaml: line 4: bgp: peer \"tor1\": holdTime \"1s\": want 3s to 18h12m15s\n" +
				"starling: f.yaml: line 9: pool \"a\": announce[0]: unknown peer \"tor2\"; known are tor1\n",
		},
		{
			"all at once", "pools:\n- {name: a, ranges: [198.18.64.9-198.18.64.1]}\n- {name: b, rang: 1}\n", "",
			"starling: f.yaml: line 2: pool \"a\": range \"198.18.64.9-198.18.64.1\": reversed: the first address is above the last one\n" +
				"starling: f.yaml: line 3: pools[1]: unknown key \"rang\"; did you mean ranges?\n",
		},
		{"no pools on purpose", "pools: []\n", "f.yaml: no mistakes; pools: none\n", ""},
		{"empty", "", "", "starling: f.yaml: no key \"pools\" (an empty list is written as pools: [])\n"},
		{
			"in a ConfigMap", "kind: Namespace\n---\n" + object + "  # The pools.\n  starling.yaml: |\n\n    pools: []\n    pols: []\n", "",
			"starling: f.yaml: ConfigMap starling: line 11: configuration: unknown key \"pols\"; did you mean pools?\n",
		},
		{
			"twice in a ConfigMap", object + "  starling.yaml: |\n    pools: []\n    pools: []\n", "",
			"starling: f.yaml: ConfigMap starling: line 7: configuration: key \"pools\" is there twice, first in line 6\n",
		},
		{
			"no YAML in a ConfigMap", object + "  starling.yaml: |\n    pools: []\n    bgp: a: b\n", "",
			"starling: f.yaml: ConfigMap starling: configuration: yaml: line 7: mapping values are not allowed in this context\n",
		},
		{
			"no pools in a ConfigMap", object + "  starling.yaml: |\n    {}\n", "",
			"starling: f.yaml: ConfigMap starling: no key \"pools\" (an empty list is written as pools: [])\n",
		},
		{
			"in quotes", "---\n" + object + "  starling.yaml: 'pols: []'\n", "",
			"starling: f.yaml: ConfigMap starling: line 6: configuration: unknown key \"pols\"; did you mean pools?\n",
		},
		{
			"lines in quotes", `{"kind": "ConfigMap", "metadata": {"name": "a"},` + "\n" + `"data": {"starling.yaml": "pools: []\npols: []"}}`, "",
			"starling: f.yaml: ConfigMap a: line 2, within starling.yaml: line 2: configuration: unknown key \"pols\"; did you mean pools?\n",
		},
		{
			"in a list", "apiVersion: v1\nitems:\n- apiVersion: v1\n  data:\n    ca.crt: x\n  kind: ConfigMap\n- apiVersion: v1\n  data:\n    starling.yaml: |\n      pools:\n      - name: a\n  kind: ConfigMap\n  metadata:\n    name: starling\nkind: List\n", "",
			"starling: f.yaml: ConfigMap starling: line 11: pool \"a\": it has no range\n",
		},
		{
			"in a list of its kind", "kind: ConfigMapList\nitems:\n- metadata: {name: starling}\n  data: {starling.yaml: \"pools: []\"}\n",
			"f.yaml: ConfigMap starling: starling.yaml: no mistakes; pools: none\n", "",
		},
		{
			"in two ConfigMaps of a name", object + "  starling.yaml: 'pools: []'\n---\n" + object + "  starling.yaml: 'pool: []'\n",
			"f.yaml: ConfigMap starling: starling.yaml: no mistakes; pools: none\n",
			"starling: f.yaml: ConfigMap starling: line 11: configuration: unknown key \"pool\"; did you mean pools?\n",
		},
		{"the only entry", object + "  mine: 'pools: [{name: a, ranges: [198.18.64.0/30]}]'\n", "f.yaml: ConfigMap starling: mine: no mistakes; pools: a\n", ""},
		{
			"beside another ConfigMap", object + "  starling.yaml: 'pools: []'\n---\n" + object + "  ca.crt: x\n---\n" + object + "  a: x\n  b: x\n",
			"f.yaml: ConfigMap starling: starling.yaml: no mistakes; pools: none\n", "",
		},
		{
			"beside no YAML", object + "  starling.yaml: 'pools: []'\n---\nkind: Service\nspec: a: b\n",
			"f.yaml: ConfigMap starling: starling.yaml: no mistakes; pools: none\n", "starling: f.yaml: yaml: line 8: mapping values are not allowed in this context\n",
		},
		{
			"no text", object + "  starling.yaml:\n    pools: []\n", "",
			"starling: f.yaml: ConfigMap starling: line 5: starling.yaml: want text; write \"starling.yaml: |\", and indent the configuration below it\n",
		},
		{"no entry", object + "  a: x\n  b: x\n", "", "starling: f.yaml: ConfigMap starling has no entry starling.yaml; the configuration belongs there\n"},
		{
			"no ConfigMap", "kind: Service\n---\nkind: Namespace\n---\nkind: Service\n", "",
			"starling: f.yaml: there is no ConfigMap in it, only Namespace, Service; name the manifest of the one with the pools, or a configuration file\n",
		},
		{
			"of MetalLB", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: metallb.io/v1beta1\n  kind: IPAddressPool\n", "",
			"starling: f.yaml: there is no ConfigMap in it; starling convert turns MetalLB's objects into a configuration\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile("f.yaml", []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			code, out, errOut := called(t, "starling", "check", "f.yaml")
			if diff := cmp.Diff([]string{tt.out, tt.err}, []string{out, errOut}); diff != "" {
				t.Errorf("printed (-want +got):\n%s", diff)
			}
			if want := map[bool]int{true: exitOK, false: exitUsage}[tt.err == ""]; code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
		})
	}
}

func TestCheckNames(t *testing.T) {
	t.Chdir(t.TempDir())
	code, _, errOut := called(t, "starling", "check")
	if want := "starling: name a FILE, as in starling check pools.yaml\nstarling: see \"starling check --help\"\n"; code != exitUsage || errOut != want {
		t.Errorf("exit code %d, %q, want %q", code, errOut, want)
	}
	code, _, errOut = called(t, "starling", "check", filepath.Join("no", "file"))
	if want := "starling: open no/file: no such file or directory\n"; code != exitUsage || errOut != want {
		t.Errorf("exit code %d, %q, want %q", code, errOut, want)
	}
}
