package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
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

func labeled(key, value string) func(*core.Service) {
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

// TestPoolsChange edits the ConfigMap while Services live: they move where the file says, nobody
// restarts.
func TestPoolsChange(t *testing.T) {
	w := watch(t)
	zoned := shared.Nodes[1]
	label(t, zoned, "zone", "red")
	old := expose(t, "plain")
	red := expose(t, "red", labeled("color", "red"))
	configure(t, `pools:
- name: default
  ranges: [198.18.64.128/25]
  exclude: [198.18.64.128-198.18.64.130]
- name: red
  ranges: [198.18.69.0/24]
  avoidBuggyIPs: true
  priority: 1
  namespaces: [default]
  serviceSelectors: [{matchLabels: {color: red}}]
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
	if message := event(t, "asks", "AllocationFailed"); !strings.Contains(message, `pool "red"`) || !strings.Contains(message, "color") {
		t.Errorf("event AllocationFailed does not say what red wants: %s", message)
	}
}

// TestRulesAreEnforced: with keep: false a Service loses an address that it may not have any more,
// also after its pool is gone, and though there is no other one. Without, it keeps it.
func TestRulesAreEnforced(t *testing.T) {
	w := watch(t)
	const lab = `- name: lab
  ranges: [198.18.69.0/24]
  priority: 1
  serviceSelectors: [{matchLabels: {color: lab}}]
  keep: false
  revokeAfter: 3s
`
	configure(t, "pools:\n- name: default\n  ranges: ["+cluster.Pool4+"]\n"+lab)
	plain := expose(t, "plain")
	create(t, "gone", labeled("color", "lab"), annotate("address-pool", "lab")) // waits until all have the pool
	gone := movedInto(t, "gone", "198.18.69.0/24")
	create(t, "relabeled", labeled("color", "lab"))
	relabeled := movedInto(t, "relabeled", "198.18.69.0/24")

	configure(t, "pools:\n"+lab)
	if _, err := services().Patch(t.Context(), "relabeled", types.MergePatchType, []byte(`{"metadata": {"labels": {"color": "red"}}}`), meta.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	lost(t, w, "relabeled", relabeled)
	configure(t, "pools: []\n")
	lost(t, w, "gone", gone)
	if ip := addresses(t, "plain", 1)[0]; ip != plain {
		t.Errorf("plain has %s, want %s as before", ip, plain)
	}
	reach(t, "tcp", plain)
}

// lost waits until the Service has no address any more, and was told that and why before.
func lost(t *testing.T, w *probe.Watcher, service string, ip netip.Addr) {
	t.Helper()
	until(t, 30*time.Second, "the end of "+service+"'s address", func(ctx context.Context) error {
		s, err := services().Get(ctx, service, meta.GetOptions{})
		if err == nil && len(s.Status.LoadBalancer.Ingress) > 0 {
			err = fmt.Errorf("it has %s", s.Status.LoadBalancer.Ingress[0].IP)
		}
		return err
	})
	if message := event(t, service, "IPReleased"); !strings.Contains(message, ip.String()+": given up after 3s without another one") {
		t.Errorf("event IPReleased of %s: %s", service, message)
	}
	silent(t, w, ip)
}

// TestPoolsAreInForceAtOnce takes the time from an edit of the pools until all speakers have them,
// and until a Service that has to move is announced at its new address; then the same the other way
// round by kubectl.
func TestPoolsAreInForceAtOnce(t *testing.T) {
	w := watch(t)
	expose(t, "moves")
	begun := time.Now()
	configure(t, "pools:\n- name: other\n  ranges: [198.18.69.0/24]\n")
	everywhere(t, time.Second, "the pool", hasPools("other"))
	t.Logf("in force on all nodes %v after the edit began", time.Since(begun).Round(time.Millisecond))
	announced := func(cidr string) time.Time {
		ip := movedInto(t, "moves", cidr)
		owner(t, w, ip)
		return w.Claims(ip)[0].At
	}
	t.Logf("a Service that moves is announced at its new address %v after the edit began", announced("198.18.69.0/24").Sub(begun).Round(time.Millisecond))
	before := time.Now()
	next := expose(t, "new")
	t.Logf("a new Service has an address of it after %v", time.Since(before).Round(time.Millisecond))
	reach(t, "tcp", next)

	begun = time.Now()
	if _, err := shared.Kubectl(t.Context(), starling.Pools(starling.Pool{Name: "again", Ranges: []string{"198.18.68.0/24"}}), "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	done := time.Now()
	everywhere(t, time.Second, "the pool", hasPools("again"))
	t.Logf("kubectl apply took %v; its edit was in force on all nodes %v later, and the Service was announced at its new address %v after kubectl was started",
		done.Sub(begun).Round(time.Millisecond), time.Since(done).Round(time.Millisecond), announced("198.18.68.0/24").Sub(begun).Round(time.Millisecond))
}

func hasPools(names ...string) func(*starling.Status) error {
	return func(s *starling.Status) error {
		var got []string
		for _, p := range s.Pools {
			got = append(got, p.Name)
		}
		if !slices.Equal(got, names) {
			return fmt.Errorf("pools %v, want %v", got, names)
		}
		return nil
	}
}

// poolsText is what the ConfigMap says at present.
func poolsText(t *testing.T) string {
	t.Helper()
	m, err := shared.Kube.CoreV1().ConfigMaps(starling.Namespace).Get(t.Context(), starling.Name, meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m.Data["starling.yaml"]
}

// everywhere waits until the status of every node is as wanted.
func everywhere(t *testing.T, limit time.Duration, what string, ok func(*starling.Status) error) {
	t.Helper()
	until(t, limit, what, func(ctx context.Context) error {
		for _, n := range shared.Nodes {
			s, err := starling.StatusOf(ctx, shared, n)
			if err == nil {
				err = ok(s)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", n.Name, err)
			}
		}
		return nil
	})
}

// TestBadPoolsAreRefused: mistakes in the ConfigMap change nothing, and all of them are reported
// within a second, by status, metrics and an event.
func TestBadPoolsAreRefused(t *testing.T) {
	w := watch(t)
	ip := expose(t, "before")
	configure(t, "pools:\n- name: one\n  range: [198.18.68.0/24]\n- name: default\n  ranges: [198.18.64.300]\n")
	told := func(words string) error {
		for _, part := range []string{"line 3: pools[0]: unknown key", `line 5: pool "default": range "198.18.64.300"`} {
			if !strings.Contains(words, part) {
				return fmt.Errorf("%q is not in %q", part, words)
			}
		}
		return nil
	}
	begun := time.Now()
	everywhere(t, time.Second, "what status says", func(s *starling.Status) error {
		if !s.Ready {
			return fmt.Errorf("not ready: %q", s.Reasons)
		}
		return told(strings.Join(s.Problems, "\n"))
	})
	for _, n := range shared.Nodes {
		text, err := starling.MetricsOf(t.Context(), shared, n)
		if err != nil || !strings.Contains(text, "\nstarling_config_last_reload_successful 0\n") {
			t.Errorf("metrics of %s say nothing of it, %v", n.Name, err)
		}
	}
	until(t, time.Second, "event ConfigRejected", func(ctx context.Context) error {
		var errs []error
		for _, n := range shared.Nodes {
			words, err := eventOn(ctx, n.Name, "ConfigRejected")
			if err == nil {
				err = told(words)
			}
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		}
		return errors.Join(errs...)
	})
	t.Logf("told by status, metrics and an event %v after the edit", time.Since(begun).Round(time.Millisecond))
	reach(t, "tcp", ip)
	other := expose(t, "after")
	if !netip.MustParsePrefix(cluster.Pool4).Contains(other) {
		t.Errorf("with the last good pools a new Service gets %s", other)
	}
	settled(t, w, ip, other)
}

// TestConfigMapIsDeleted: the pools stay, and new Services get addresses; a speaker that starts
// meanwhile knows them, too.
func TestConfigMapIsDeleted(t *testing.T) {
	w := watch(t)
	ip := expose(t, "before")
	text := poolsText(t)
	maps := shared.Kube.CoreV1().ConfigMaps(starling.Namespace)
	if err := maps.Delete(t.Context(), starling.Name, meta.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if _, err := shared.Kubectl(ctx, starling.Pools(pools()...), "apply", "-f", "-"); err != nil {
			t.Error(err)
		}
		if err := errors.Join(patchConfig(ctx, text), cluster.Until(ctx, 30*time.Second, "former pools", withoutProblems)); err != nil {
			t.Error(err)
		}
	})
	const missing = "ConfigMap starling-system/starling does not exist any more; its last pools stay in force"
	says := func(s *starling.Status) error {
		if !strings.Contains(strings.Join(s.Problems, "\n"), missing) {
			return fmt.Errorf("problems %q", s.Problems)
		}
		return nil
	}
	everywhere(t, 10*time.Second, "what status says", says)
	pod, err := starling.PodOn(t.Context(), shared, owner(t, w, ip))
	if err != nil {
		t.Fatal(err)
	}
	if err := shared.Kube.CoreV1().Pods(starling.Namespace).Delete(t.Context(), pod, meta.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	other := expose(t, "after")
	allReady(t)
	everywhere(t, 10*time.Second, "what status says after a start", says)
	settled(t, w, ip, other)
	reach(t, "tcp", other)
}
