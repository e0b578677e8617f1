package checks

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const fromMetalLB = `apiVersion: v1
kind: List
items:
- apiVersion: metallb.io/v1beta1
  kind: IPAddressPool
  metadata: {name: lab, namespace: metallb-system}
  spec: {addresses: [192.0.2.0/28]}
- apiVersion: metallb.io/v1beta1
  kind: L2Advertisement
  metadata: {name: lab, namespace: metallb-system}
  spec: {ipAddressPools: [lab], interfaces: [eth0]}
- apiVersion: metallb.io/v1beta1
  kind: BGPAdvertisement
  metadata: {name: lab, namespace: metallb-system}
  spec: {ipAddressPools: [lab], peers: [tor]}
- apiVersion: metallb.io/v1beta2
  kind: BGPPeer
  metadata: {name: tor, namespace: metallb-system}
  spec: {myASN: 64513, peerASN: 64512, peerAddress: 198.51.100.1}
`

// TestConvertedValues: what starling convert prints is a file of values of the chart, as
// docs/migrate-from-metallb.md says.
func TestConvertedValues(t *testing.T) {
	file := filepath.Join(t.TempDir(), "metallb.yaml")
	if err := os.WriteFile(file, []byte(fromMetalLB), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "go", "run", "./cmd/starling", "convert", file)
	cmd.Dir = ".."
	values, err := cmd.Output()
	if err != nil {
		t.Fatalf("starling convert: %v", err)
	}
	want := parse[map[string]any](t, "converted", string(values))
	got := at(configured(t, render(t, string(values)))[poolsMap], "data").(map[string]any)["starling.yaml"]
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-converted +chart):\n%s", diff)
	}
	for _, key := range []string{"pools", "bgp"} {
		if _, ok := want[key]; !ok {
			t.Errorf("converted without %s:\n%s", key, values)
		}
	}
}
