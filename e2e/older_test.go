package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	kubewatch "k8s.io/apimachinery/pkg/watch"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
)

// TestOthersHaveAnOlderConfiguration: one speaker knows a pool that the two others do not know.
// Services that ask for it and such that do not are served at once, by as many writes as always,
// and keep what they have.
func TestOthersHaveAnOlderConfiguration(t *testing.T) {
	saveLogsOnFailure(t)
	ahead, lab := shared.Nodes[2], netip.MustParsePrefix("198.18.70.0/24")
	withMorePools(t, ahead, "lab="+lab.String())
	changes, err := services().Watch(t.Context(), meta.ListOptions{LabelSelector: "test=older"})
	if err != nil {
		t.Fatal(err)
	}
	defer changes.Stop()
	begun := time.Now()
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprintf("older-%d", i))
		create(t, names[i], labeled("test", "older"), func(s *core.Service) {
			if i%2 == 0 {
				annotate("address-pool", "lab")(s)
			}
		})
	}
	held := map[string]netip.Addr{}
	for i, name := range names {
		ip := addresses(t, name, 1)[0]
		if held[name] = ip; lab.Contains(ip) != (i%2 == 0) {
			t.Errorf("%s has %s", name, ip)
		}
	}
	took := time.Since(begun)
	if took > 10*time.Second {
		t.Errorf("all have an address after %v", took)
	}
	for _, n := range shared.Nodes { // all others look at the Services in this time, too
		until(t, 10*time.Second, "addresses in the status of "+n.Name, func(ctx context.Context) error {
			s, err := starling.StatusOf(ctx, shared, n)
			if err != nil {
				return err
			}
			for name, ip := range held {
				if s.Owner(ip.String()) == "" {
					err = errors.Join(err, fmt.Errorf("nobody announces %s of %s", ip, name))
				}
			}
			return err
		})
	}
	writes := 0
	for quiet := time.After(5 * time.Second); quiet != nil; {
		select {
		case c := <-changes.ResultChan():
			if c.Type == kubewatch.Modified {
				writes++
			}
		case <-quiet:
			quiet = nil
		}
	}
	t.Logf("12 Services, after %v, by %d writes", took.Round(time.Millisecond), writes)
	if writes != 24 {
		t.Errorf("%d writes, want two for each of the 12 Services", writes)
	}
	for name, ip := range held {
		if now := addresses(t, name, 1)[0]; now != ip {
			t.Errorf("%s had %s and has %s", name, ip, now)
		}
	}
}

// withMorePools restarts the speaker of a node with a further pool, of which the others learn
// nothing, until the test ends.
func withMorePools(t *testing.T, n *cluster.Node, pool string) {
	t.Helper()
	sets := shared.Kube.AppsV1().DaemonSets(starling.Namespace)
	patch := func(ctx context.Context, text string) {
		t.Helper()
		if _, err := sets.Patch(ctx, starling.Name, types.JSONPatchType, []byte(text), meta.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	restart := func(ctx context.Context, differs bool) error {
		pod, err := starling.PodOn(ctx, shared, n)
		if err != nil {
			return err
		}
		if err := shared.Kube.CoreV1().Pods(starling.Namespace).Delete(ctx, pod, meta.DeleteOptions{}); err != nil {
			return err
		}
		return cluster.Until(ctx, cluster.PodTime, "speaker of "+n.Name, func(ctx context.Context) error {
			now, err := starling.PodOn(ctx, shared, n)
			if err != nil || now == pod {
				return fmt.Errorf("pod %s: %w", now, err)
			}
			for _, m := range shared.Nodes {
				s, err := starling.StatusOf(ctx, shared, m)
				if err != nil {
					return err
				}
				if got := strings.Contains(strings.Join(s.Problems, "\n"), "other pools"); got != differs {
					return fmt.Errorf("problems of %s: %q", m.Name, s.Problems)
				}
			}
			return starling.Joined(ctx, shared)
		})
	}
	before, err := sets.Get(t.Context(), starling.Name, meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	last := len(before.Spec.Template.Spec.Containers[0].Args)
	patch(t.Context(), fmt.Sprintf(`[
		{"op": "replace", "path": "/spec/updateStrategy", "value": {"type": "OnDelete"}},
		{"op": "add", "path": "/spec/template/spec/containers/0/args/%d", "value": "--pool=%s"}
	]`, last, pool))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		patch(ctx, fmt.Sprintf(`[{"op": "remove", "path": "/spec/template/spec/containers/0/args/%d"}]`, last))
		if err := restart(ctx, false); err != nil {
			t.Error(err)
		}
		patch(ctx, `[{"op": "replace", "path": "/spec/updateStrategy", "value": {"type": "RollingUpdate"}}]`)
	})
	if err := restart(t.Context(), true); err != nil {
		t.Fatal(err)
	}
}
