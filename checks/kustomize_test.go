package checks

import (
	"maps"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
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
