package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
)

// TestWaitsForKubeProxy starts a speaker on a node whose kube-proxy does not answer: it is not
// ready, and says why, until kube-proxy goes on.
func TestWaitsForKubeProxy(t *testing.T) {
	saveLogsOnFailure(t)
	allReady(t)
	n := shared.Nodes[0]
	goOn := func() error { return n.Signal("kube-proxy", syscall.SIGCONT) }
	t.Cleanup(func() {
		if err := goOn(); err != nil {
			t.Error(err)
		}
	})
	if err := n.Signal("kube-proxy", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	pod, err := starling.PodOn(t.Context(), shared, n)
	if err != nil {
		t.Fatal(err)
	}
	if err := shared.Kube.CoreV1().Pods(starling.Namespace).Delete(t.Context(), pod, meta.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, cluster.PodTime, "a speaker that waits for kube-proxy", func(ctx context.Context) error {
		s, err := starling.StatusOf(ctx, shared, n)
		if err == nil && !slices.ContainsFunc(s.Reasons, func(r string) bool { return strings.HasPrefix(r, "waiting for kube-proxy of this node: ") }) {
			err = fmt.Errorf("ready %v, reasons %q", s.Ready, s.Reasons)
		}
		return err
	})
	if err := goOn(); err != nil {
		t.Fatal(err)
	}
	allReady(t)
}
