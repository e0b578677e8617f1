package watcher

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/lease"
)

// boundService is a Service as users of kubectl apply have them, bound.
func boundService(i int) *corev1.Service {
	name := "svc-" + strconv.Itoa(i)
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "team-" + strconv.Itoa(i%20), Name: name, UID: "00000000-0000-4000-8000-000000000001", ResourceVersion: strconv.Itoa(100000 + i),
			Labels: map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "shop"},
			Annotations: map[string]string{
				lease.LeaseAnnotation:                              `{"v":1,"by":"00000000-0000-4000-8000-000000000001","holder":"n2","ips":[{"ip":"198.18.64.3","pool":"default","state":"bound"}]}`,
				"starling-lb.io/ip-allocated-from-pool":            "default",
				"kubectl.kubernetes.io/last-applied-configuration": fmt.Sprintf("%01000d", i),
			},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl", FieldsV1: metav1.NewFieldsV1(strings.Repeat(" ", 1000))}},
		},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"app.kubernetes.io/name": name},
			Ports: []corev1.ServicePort{{Port: 80}}, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
		},
		Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "198.18.64.3"}}}},
	}
}

// decodedService is what a decoder hands out: nothing in it is shared with another object.
func decodedService(b *testing.B, i int) *corev1.Service {
	b.Helper()
	raw, err := boundService(i).Marshal()
	if err != nil {
		b.Fatal(err)
	}
	var s corev1.Service
	if err := s.Unmarshal(raw); err != nil {
		b.Fatal(err)
	}
	return &s
}

// BenchmarkTableMemory tells what 10,000 bound Services cost once they are in the table.
func BenchmarkTableMemory(b *testing.B) {
	const n = 10_000
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		t := newTable(func() {})
		for i := range n {
			t.put("1", fromService(decodedService(b, i)))
		}
		t.drain()
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(t)
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "heap-B/service")
}

// BenchmarkRelist tells what a list of 10,000 Services costs of which ten differ.
func BenchmarkRelist(b *testing.B) {
	const n = 10_000
	t := newTable(func() {})
	all := make([]*Service, n)
	for i := range n {
		all[i] = fromService(decodedService(b, i))
	}
	t.replace("1", all)
	t.drain()
	for i := 0; b.Loop(); i++ {
		for k := range 10 {
			s := *all[k]
			s.Version = strconv.Itoa(i)
			all[k] = &s
		}
		t.replace("2", all)
		if c, _ := t.drain(); c.Reset || len(c.Put) != 10 {
			b.Fatalf("%d changes, reset %v", len(c.Put), c.Reset)
		}
	}
}

func BenchmarkFromService(b *testing.B) {
	s := decodedService(b, 7)
	b.ReportAllocs()
	for b.Loop() {
		fromService(s)
	}
}
