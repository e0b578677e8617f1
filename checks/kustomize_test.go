package checks

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

const policy = "NetworkPolicy starling-system/starling"

// build is what kubectl apply -k would apply.
func build(t *testing.T, folder string) map[string]map[string]any {
	t.Helper()
	all, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		t.Fatal(err)
	}
	text, err := all.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return objects(t, string(text))
}

// differences names the objects that are not the same on both sides.
func differences(a, b map[string]map[string]any) []string {
	var out []string
	all := maps.Clone(a)
	maps.Copy(all, b)
	for _, id := range slices.Sorted(maps.Keys(all)) {
		if !cmp.Equal(a[id], b[id]) {
			out = append(out, id)
		}
	}
	return out
}

// TestOverlays: each builds, and changes what it is for and nothing else.
func TestOverlays(t *testing.T) {
	base := build(t, "../manifests/base")
	want := map[string][]string{
		"example":          {"ConfigMap starling-system/starling"},
		"keep-connections": {daemonSet},
		"network-policy":   {policy},
		"status-auth":      {"ClusterRoleBinding /starling-auth-delegator", daemonSet},
	}
	folders, err := os.ReadDir("../manifests/overlays")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for _, f := range folders {
		got[f.Name()] = differences(base, build(t, "../manifests/overlays/"+f.Name()))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what overlays change (-want +got):\n%s", diff)
	}
}

// TestOwnNamespace: with a namespace of one's own the example's admission policies apply to the
// speakers there, and nothing stays in the namespace of the base. The page on the installation has
// the lines that do it.
func TestOwnNamespace(t *testing.T) {
	example, err := os.ReadFile("../manifests/overlays/example/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	disk := filesys.MakeFsOnDisk()
	folder, err := os.MkdirTemp("../manifests/overlays", "mine-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	pools, err := os.ReadFile("../manifests/overlays/example/pools.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"kustomization.yaml": string(example) + "namespace: mine\n", "pools.yaml": string(pools)} {
		if err := disk.WriteFile(filepath.Join(folder, name), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	policies := 0
	for id, object := range build(t, folder) {
		text, err := yaml.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "starling-system") {
			t.Errorf("%s names the namespace of the base:\n%s", id, text)
		}
		if strings.HasPrefix(id, "ValidatingAdmissionPolicy ") {
			policies++
			if want := "system:serviceaccount:mine:starling"; !strings.Contains(string(text), want) {
				t.Errorf("%s does not apply to %s:\n%s", id, want, text)
			}
		}
	}
	if policies != 3 {
		t.Errorf("%d policies", policies)
	}
	page, err := os.ReadFile("../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	_, lines, _ := strings.Cut(string(example), "\nreplacements:\n")
	if indented := "  " + strings.ReplaceAll(strings.TrimSpace("replacements:\n"+lines), "\n", "\n  "); !strings.Contains(string(page), indented) {
		t.Errorf("docs/install.md does not show\n%s", indented)
	}
}

// TestPatchesOfPage: the patches that the page on the installation shows set a flag, and another
// port for status.
func TestPatchesOfPage(t *testing.T) {
	page, err := os.ReadFile("../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	base, err := filepath.Abs("../manifests/base")
	if err != nil {
		t.Fatal(err)
	}
	for heading, want := range map[string][]string{
		"Set a flag":        {"- name: STARLING_HOLD_DOWN\n          value: 2h\n"},
		"What must be open": {"- containerPort: 7938\n          name: status\n", "- name: STARLING_STATUS_ADDR\n          value: :7938\n", "value: http://localhost:7938\n"},
	} {
		_, section, _ := strings.Cut(string(page), "\n## "+heading+"\n")
		_, patch, _ := strings.Cut(section, "\n```yaml\n")
		patch, _, _ = strings.Cut(patch, "```")
		folder := t.TempDir()
		from, err := filepath.Rel(folder, base)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte("resources: ["+from+"]\n"+patch), 0o600); err != nil {
			t.Fatal(err)
		}
		got := build(t, folder)
		if diff := cmp.Diff([]string{daemonSet}, differences(build(t, "../manifests/base"), got)); diff != "" {
			t.Errorf("%s: what the patch changes (-want +got):\n%s", heading, diff)
		}
		set, err := yaml.Marshal(got[daemonSet])
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range want {
			if !strings.Contains(string(set), w) {
				t.Errorf("%s: no %q in\n%s", heading, w, set)
			}
		}
	}
}

// TestPolicies: the overlay and the chart make the same policy.
func TestPolicies(t *testing.T) {
	overlay := build(t, "../manifests/overlays/network-policy")[policy]
	if diff := cmp.Diff(overlay, render(t, "networkPolicy: {enabled: true}")[policy]); diff != "" {
		t.Errorf("policy (-overlay +chart):\n%s", diff)
	}
}

// TestStatusAuth: the overlay installs what the chart does.
func TestStatusAuth(t *testing.T) {
	overlay, chart := build(t, "../manifests/overlays/status-auth"), withoutPools(t, render(t, "{status: {auth: true}, namespace: {create: true}}"))
	if diff := cmp.Diff(overlay, chart); diff != "" {
		t.Errorf("objects (-overlay +chart):\n%s", diff)
	}
}

// TestKeepConnections: the overlay installs what the chart does.
func TestKeepConnections(t *testing.T) {
	overlay, chart := build(t, "../manifests/overlays/keep-connections"), withoutPools(t, render(t, "{keepConnections: true, namespace: {create: true}}"))
	if diff := cmp.Diff(overlay, chart); diff != "" {
		t.Errorf("objects (-overlay +chart):\n%s", diff)
	}
}

// TestMonitoringBuilds: kubectl apply -k takes alerts and dashboard.
func TestMonitoringBuilds(t *testing.T) {
	got := slices.Sorted(maps.Keys(build(t, "../manifests/monitoring")))
	want := []string{"ConfigMap starling-system/starling-dashboard", "PodMonitor starling-system/starling", "PrometheusRule starling-system/starling"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

// TestExampleConfigures: the example's pools are read as written.
func TestExampleConfigures(t *testing.T) {
	config := configured(t, build(t, "../manifests/overlays/example"))["ConfigMap starling-system/starling"]
	pools := at(at(config, "data").(map[string]any)["starling.yaml"], "pools")
	want := []any{map[string]any{"name": "default", "ranges": []any{"192.168.1.240-192.168.1.250"}}}
	if diff := cmp.Diff(want, pools); diff != "" {
		t.Errorf("pools (-want +got):\n%s", diff)
	}
}
