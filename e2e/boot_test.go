package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/starling"
)

// bootTime is how long a whole cluster that boots may be silent after its first speaker was
// started.
const bootTime = 3 * time.Second

// TestClusterBoots ends all speakers at once, without a word, and counts from the start of the
// first new one until every address is announced.
func TestClusterBoots(t *testing.T) {
	const count = 12
	allReady(t)
	w := watch(t)
	var ips []netip.Addr
	for i := range count {
		ips = append(ips, expose(t, fmt.Sprintf("boot-%d", i)))
	}
	settled(t, w, ips...)
	w = watch(t) // Remembers nothing from before.
	killed := killAll(t)
	until(t, 30*time.Second, "answers for all addresses", func(ctx context.Context) error {
		answers, err := w.WhoAll(ctx, 50*time.Millisecond, ips)
		if err == nil && len(answers) < count {
			err = fmt.Errorf("%d of %d are answered", len(answers), count)
		}
		return err
	})
	allReady(t)
	first := firstStart(t)
	var last time.Time
	for _, ip := range ips {
		for _, claim := range w.Claims(ip) {
			if claim.At.After(first) { // not of a container that kubelet started anew for a moment
				last = later(last, claim.At)
				break
			}
		}
	}
	took := last.Sub(first)
	t.Logf("all %d addresses are announced %v after the first speaker was started, %v after all were killed",
		count, took.Round(time.Millisecond), last.Sub(killed).Round(time.Millisecond))
	if took > bootTime {
		t.Errorf("announced after %v, want %v at most", took, bootTime)
	}
	settled(t, w, ips...)
}

// killAll ends all speakers, and returns when that was.
func killAll(t *testing.T) time.Time {
	t.Helper()
	for _, n := range shared.Nodes {
		if err := n.Signal(starling.Name, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	killed := time.Now()
	// New pods at once: of one that is killed again and again, kubelet waits longer and longer with
	// the next start.
	pods := shared.Kube.CoreV1().Pods(starling.Namespace)
	if err := pods.DeleteCollection(t.Context(), *meta.NewDeleteOptions(0), meta.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	return killed
}

// firstStart is when the first of the speakers wrote its first line.
func firstStart(t *testing.T) (first time.Time) {
	t.Helper()
	for _, n := range shared.Nodes {
		pod, err := starling.PodOn(t.Context(), shared, n)
		if err != nil {
			t.Fatal(err)
		}
		out, err := shared.Kubectl(t.Context(), "", "-n", starling.Namespace, "logs", "--timestamps", "--limit-bytes=200", pod)
		stamp, _, _ := strings.Cut(out, " ")
		at, parsed := time.Parse(time.RFC3339Nano, stamp)
		if err := errors.Join(err, parsed); err != nil {
			t.Fatalf("first line of %s: %v", pod, err)
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
