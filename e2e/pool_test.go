package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
)

// asValues are the pools as the configuration file has them.
func asValues(list []starling.Pool) (out []map[string]any) {
	for _, p := range list {
		out = append(out, map[string]any{"name": p.Name, "ranges": p.Ranges})
	}
	return out
}

// patchConfig writes the configuration file as `kubectl edit configmap` does.
func patchConfig(ctx context.Context, text string) error {
	patch, err := json.Marshal(map[string]any{"data": map[string]string{"starling.yaml": text}})
	if err != nil {
		return err
	}
	_, err = shared.Kube.CoreV1().ConfigMaps(starling.Namespace).Patch(ctx, starling.Name, types.MergePatchType, patch, meta.PatchOptions{})
	return err
}

// configure changes the pools of all speakers until the test ends.
func configure(t *testing.T, text string) {
	t.Helper()
	before, err := shared.Kube.CoreV1().ConfigMaps(starling.Namespace).Get(t.Context(), starling.Name, meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := patchConfig(t.Context(), text); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := patchConfig(ctx, before.Data["starling.yaml"]); err != nil {
			t.Error(err)
		}
		if err := cluster.Until(ctx, 30*time.Second, "former pools", withoutProblems); err != nil {
			t.Error(err)
		}
	})
}

// withoutProblems returns nil when no speaker has anything that somebody should look at.
func withoutProblems(ctx context.Context) error {
	for _, n := range shared.Nodes {
		s, err := starling.StatusOf(ctx, shared, n)
		if err != nil {
			return err
		}
		if len(s.Problems) > 0 {
			return fmt.Errorf("%s: %s", n.Name, strings.Join(s.Problems, "; "))
		}
	}
	return nil
}

// label gives the node a label until the test ends.
func label(t *testing.T, n *cluster.Node, key, value string) {
	t.Helper()
	patch := func(ctx context.Context, value string) error {
		text := fmt.Sprintf(`{"metadata": {"labels": {%q: %s}}}`, key, value)
		_, err := shared.Kube.CoreV1().Nodes().Patch(ctx, n.Name, types.MergePatchType, []byte(text), meta.PatchOptions{})
		return err
	}
	if err := patch(t.Context(), fmt.Sprintf("%q", value)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := patch(context.WithoutCancel(t.Context()), "null"); err != nil {
			t.Error(err)
		}
	})
}

func labelled(key, value string) func(*core.Service) {
	return func(s *core.Service) { s.Labels = map[string]string{key: value} }
}

// movedInto waits until the Service's address is in the range.
func movedInto(t *testing.T, service, cidr string) (ip netip.Addr) {
	t.Helper()
	until(t, 30*time.Second, "address of "+service+" in "+cidr, func(context.Context) error {
		ip = addresses(t, service, 1)[0]
		if !netip.MustParsePrefix(cidr).Contains(ip) {
			return fmt.Errorf("it has %s", ip)
		}
		return nil
	})
	return ip
}

// TestPoolsChange edits the ConfigMap while Services live: they move where the file says, nobody restarts.
func TestPoolsChange(t *testing.T) {
	w := watch(t)
	zoned := shared.Nodes[1]
	label(t, zoned, "zone", "red")
	old := expose(t, "plain")
	red := expose(t, "red", labelled("colour", "red"))
	configure(t, `pools:
- name: default
  ranges: [198.18.64.128/25]
  exclude: [198.18.64.128-198.18.64.130]
- name: red
  ranges: [198.18.69.0/24]
  avoidBuggyIPs: true
  priority: 1
  namespaces: [default]
  serviceSelectors: [{matchLabels: {colour: red}}]
  nodeSelectors: [{matchLabels: {zone: red}}]
  interfaces: ["`+cluster.NIC+`"]
`)
	ip := movedInto(t, "plain", "198.18.64.128/25")
	if low := netip.MustParseAddr("198.18.64.131"); ip.Less(low) {
		t.Errorf("plain has %s, which is excluded", ip)
	}
	if message := event(t, "plain", "IPReleased"); !strings.Contains(message, old.String()) {
		t.Errorf("event IPReleased does not name %s: %s", old, message)
	}
	silent(t, w, old)
	silent(t, w, red)
	reach(t, "tcp", ip)

	ip = movedInto(t, "red", "198.18.69.0/24")
	if ip.String() == "198.18.69.0" {
		t.Error("red has an address that ends in .0")
	}
	if n := owner(t, w, ip); n != zoned {
		t.Errorf("%s announces %s, which only %s may", n.Name, ip, zoned.Name)
	}
	reach(t, "tcp", ip)
	create(t, "asks", annotate("address-pool", "red"))
	if message := event(t, "asks", "AllocationFailed"); !strings.Contains(message, `pool "red"`) || !strings.Contains(message, "colour") {
		t.Errorf("event AllocationFailed does not say what red wants: %s", message)
	}
}

// TestBadPoolsAreRefused: a mistake in the ConfigMap changes nothing but what status says.
func TestBadPoolsAreRefused(t *testing.T) {
	w := watch(t)
	ip := expose(t, "before")
	configure(t, "pools:\n- name: default\n  ranges: [198.18.64.0/99]\n  rangs: []\n")
	for _, n := range shared.Nodes {
		until(t, 30*time.Second, "what status of "+n.Name+" says", func(ctx context.Context) error {
			s, err := starling.StatusOf(ctx, shared, n)
			if err == nil && (!s.Ready || !strings.Contains(strings.Join(s.Problems, "\n"), "rangs")) {
				err = fmt.Errorf("ready %v, problems %q", s.Ready, s.Problems)
			}
			return err
		})
	}
	reach(t, "tcp", ip)
	other := expose(t, "after")
	if !netip.MustParsePrefix(cluster.Pool4).Contains(other) {
		t.Errorf("with the last good pools a new Service gets %s", other)
	}
	settled(t, w, ip, other)
}
