package watcher

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/starling-lb/starling/watcher/kube"
)

// patience ends a test that waits for what never comes.
const patience = 20 * time.Second

// A running is a Watcher at work, with what it drained so far.
type running struct {
	*Watcher
	t        *testing.T
	registry *prometheus.Registry
	services map[Key]Service // every Drain applied
	ended    chan error
	stop     context.CancelFunc
	patience time.Duration
}

func start(t *testing.T, config *rest.Config, edit ...func(*Config)) *running {
	t.Helper()
	client, err := kube.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	c := Config{Client: client, NodeName: "n1", Log: zerolog.New(zerolog.NewTestWriter(t)), Registry: registry}
	for _, e := range edit {
		e(&c)
	}
	w, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{Watcher: w, t: t, registry: registry, services: map[Key]Service{}, ended: make(chan error, 1), stop: cancel, patience: patience}
	go func() { r.ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		if err := r.end(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

// end stops the Watcher and returns what Run returned.
func (r *running) end() error {
	r.stop()
	select {
	case err := <-r.ended:
		r.ended <- err
		return err
	case <-time.After(patience):
		r.t.Error("Run does not return")
		return nil
	}
}

// apply drains into services and checks that each step is well formed.
func (r *running) apply() Changes {
	r.t.Helper()
	c := r.Drain()
	if c.Reset {
		clear(r.services)
	}
	for _, k := range c.Deleted {
		delete(r.services, k)
	}
	for _, s := range c.Put {
		if !relevant(s) {
			r.t.Errorf("%s is handed out and holds nothing", s.Key())
		}
		r.services[s.Key()] = *s
	}
	if !slices.IsSortedFunc(c.Put, byKey) || !slices.IsSortedFunc(c.Deleted, Key.Compare) {
		r.t.Errorf("changes are not sorted: %v %v", c.Put, c.Deleted)
	}
	return c
}

// await drains until the condition holds. It looks again whenever the Watcher says that something
// changed.
func (r *running) await(what string, holds func() bool) {
	r.t.Helper()
	limit := time.After(r.patience)
	for {
		r.apply()
		if holds() {
			return
		}
		select {
		case <-r.Changed():
		case <-limit:
			r.t.Fatalf("waited for %s: %d services, state %+v", what, len(r.services), r.State())
		}
	}
}

func (r *running) awaitSynced() {
	r.t.Helper()
	r.await("sync", func() bool { return r.State().Synced })
}

// versions returns what the drained Services look like: resourceVersion by name.
func (r *running) versions() map[string]string {
	out := map[string]string{}
	for k, s := range r.services {
		out[k.String()] = s.Version
	}
	return out
}

// metric sums a counter over those of its labels that match.
func (r *running) metric(c prometheus.Collector) float64 {
	r.t.Helper()
	return testutil.ToFloat64(c)
}

func lb(name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "d", Name: name},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}},
	}
}

func clusterIP(name string) *corev1.Service {
	s := lb(name)
	s.Spec.Type = corev1.ServiceTypeClusterIP
	return s
}

func node(name, ip string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Status:     corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: ip}}},
	}
}

// endpointSlice has one endpoint per node, named node:yes or node:no for serving or not.
func endpointSlice(name, service string, endpoints ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "d", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for i, e := range endpoints {
		serving := e[len(e)-1] != '-'
		host := e
		if !serving {
			host = e[:len(e)-1]
		}
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Addresses: []string{fmt.Sprintf("10.0.0.%d", i+1)}, NodeName: &host, Conditions: discoveryv1.EndpointConditions{Serving: &serving},
		})
	}
	return s
}
