package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	forgers    = 3  // Services of the tenant.
	forgedEach = 16 // Addresses that each names in its lease.
	annotation = "starling-lb.io/lease"
	wanted     = "starling-lb.io/loadBalancerIPs"
)

// TestForgedLeases: three ClusterIP Services of a tenant have leases of another installation on 48
// addresses, bound, and these are written again ten times a second. Whoever asks for one of the
// addresses gets it.
func TestForgedLeases(t *testing.T) {
	calm(t)
	names := &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: "tenant"}}
	if _, err := shared.Kube.CoreV1().Namespaces().Create(t.Context(), names, meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	free := netip.MustParseAddr("198.18.67.100") // The pool's last ones, which no other test gets to.
	var all []netip.Addr
	ctx, stop := context.WithCancel(t.Context())
	var tasks sync.WaitGroup
	t.Cleanup(func() { stop(); tasks.Wait() })
	for i := range forgers {
		var ips []netip.Addr
		for range forgedEach {
			ips, free = append(ips, free), free.Next()
		}
		all = append(all, ips...)
		name, lease := numbered("forged", i), forgedLease(t, ips)
		forger(t, name, lease)
		tasks.Go(func() { every(ctx, 100*time.Millisecond, func() { writeLease(ctx, name, lease) }) })
	}
	begun, lost := time.Now(), 0
	t.Cleanup(func() { remove(t, "asks", len(all)) })
	got, err := expose(t.Context(), "asks", len(all), func(i int, s *core.Service) { s.Annotations = map[string]string{wanted: all[i].String()} })
	for i := range got {
		if got[i] != all[i] {
			t.Errorf("who asks for %s gets %s: %v", all[i], got[i], err)
			lost++
		}
	}
	t.Logf("%d of %d addresses with forged leases were lost to others, who got theirs within %v", lost, len(all), time.Since(begun).Round(time.Millisecond))
}

// forgedLease is a lease of another installation.
func forgedLease(t *testing.T, ips []netip.Addr) string {
	t.Helper()
	type item struct {
		IP    netip.Addr `json:"ip"`
		Pool  string     `json:"pool"`
		State string     `json:"state"`
	}
	lease := struct {
		V      int    `json:"v"`
		By     string `json:"by"`
		Holder string `json:"holder"`
		IPs    []item `json:"ips"`
	}{V: 1, By: "another", Holder: "n2"}
	for _, ip := range ips {
		lease.IPs = append(lease.IPs, item{ip, "default", "bound"})
	}
	text, err := json.Marshal(lease)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// forger makes a Service of the tenant.
func forger(t *testing.T, name, lease string) {
	t.Helper()
	s := &core.Service{
		ObjectMeta: meta.ObjectMeta{Name: name, Annotations: map[string]string{annotation: lease}},
		Spec:       core.ServiceSpec{Ports: []core.ServicePort{{Port: 80}}},
	}
	services := shared.Kube.CoreV1().Services("tenant")
	if _, err := services.Create(t.Context(), s, meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = services.Delete(context.WithoutCancel(t.Context()), name, meta.DeleteOptions{}) })
}

// writeLease writes it again, with a label that makes a difference.
func writeLease(ctx context.Context, name, lease string) {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{annotation: lease}, "labels": map[string]string{"at": fmt.Sprint(time.Now().UnixNano())},
	}})
	if err == nil { // It always is.
		_, _ = shared.Kube.CoreV1().Services("tenant").Patch(ctx, name, types.MergePatchType, patch, meta.PatchOptions{}) // It is written again.
	}
}
