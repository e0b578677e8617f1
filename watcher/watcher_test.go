package watcher

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher/apitest"
)

// TestNew: a Watcher that does not run knows nothing and does nothing.
func TestNew(t *testing.T) {
	srv := apitest.Start(t)
	w, err := New(Config{Client: client(t, srv)})
	if err != nil {
		t.Fatal(err)
	}
	if s := w.State(); s.Synced || !s.Stale || !s.LastContact.IsZero() || s.Cluster != "" || len(s.words()) != 0 {
		t.Errorf("state %+v", s)
	}
	if c := w.Drain(); c.Reset || len(c.Put) != 0 || len(c.Deleted) != 0 {
		t.Errorf("changes %+v", c)
	}
	if n := len(srv.Requests()); n != 0 {
		t.Errorf("%d requests", n)
	}
	if _, err := New(Config{}); err == nil || !strings.Contains(err.Error(), "Config.Client is required") {
		t.Errorf("error %v", err)
	}
}

// TestFollow sees what there was, what comes and what goes, of each resource.
func TestFollow(t *testing.T) {
	srv := apitest.Start(t)
	srv.Create(lb("a"))
	srv.Create(clusterIP("internal"))
	srv.Create(node("n2", "198.18.0.2"))
	srv.Create(node("n1", "198.18.0.1"))
	srv.Create(endpointSlice("a-1", "a", "n1", "n2-"))
	hidden := endpointSlice("db-1", "db", "n1")
	hidden.Labels["service.kubernetes.io/headless"] = ""
	srv.Create(hidden)
	stray := endpointSlice("by-hand", "x", "n1")
	stray.Labels = nil
	srv.Create(stray)

	w := start(t, srv.Config())
	w.has("a")
	w.awaitSynced()
	w.await("the cluster", func() bool { return w.State().Cluster != "" })
	s := w.State()
	wantNodes := []Node{
		{Name: "n1", Addresses: []netip.Addr{netip.MustParseAddr("198.18.0.1")}},
		{Name: "n2", Addresses: []netip.Addr{netip.MustParseAddr("198.18.0.2")}},
	}
	if diff := cmp.Diff(wantNodes, s.Nodes, addrs()); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[Key]Endpoints{{Namespace: "d", Name: "a"}: {V4: found([]string{"n1"})}}, s.Endpoints); diff != "" {
		t.Errorf("endpoints (-want +got):\n%s", diff)
	}
	if s.Stale || s.LastContact.IsZero() || len(s.words()) != 0 || !strings.HasPrefix(s.Cluster, "00000000-") {
		t.Errorf("state %+v", s)
	}

	team := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team", Labels: map[string]string{"env": "prod"}}}
	srv.Create(team)
	wantSpaces := map[string]map[string]string{"kube-system": {}, "team": {"env": "prod"}}
	w.await("the namespace", func() bool { return cmp.Equal(wantSpaces, w.State().Namespaces) })
	before := w.State().NamespaceEdits
	apitest.Edit(srv, team, "", func(n *corev1.Namespace) { n.Labels["env"] = "test" })
	w.await("its label", func() bool {
		return w.State().Namespaces["team"]["env"] == "test" && w.State().NamespaceEdits != before
	})
	srv.Delete(team)
	w.await("the namespace to go", func() bool { return w.State().Namespaces["team"] == nil })

	apitest.Edit(srv, node("n1", ""), "", func(n *corev1.Node) { n.Spec.Unschedulable = true })
	w.await("the cordon", func() bool { return w.State().Nodes[0].Cordoned })
	srv.Delete(node("n2", ""))
	w.await("the node to go", func() bool { return len(w.State().Nodes) == 1 })
	apitest.Edit(srv, endpointSlice("a-1", "a"), "", func(s *discoveryv1.EndpointSlice) { s.Endpoints = nil })
	w.await("the endpoint to go", func() bool { return len(w.State().Endpoints[Key{Namespace: "d", Name: "a"}].V4.Nodes) == 0 })
	apitest.Edit(srv, clusterIP("internal"), "", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeLoadBalancer })
	w.has("a", "internal")
	apitest.Edit(srv, lb("a"), "", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP })
	w.has("internal")
	srv.Delete(lb("internal"))
	w.has()
	if err := w.end(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestProtobuf: everything large comes as protobuf.
func TestProtobuf(t *testing.T) {
	srv := apitest.Start(t)
	w := start(t, srv.Config())
	w.awaitSynced()
	for _, r := range srv.Requests() {
		if !strings.HasPrefix(r.Accept, "application/vnd.kubernetes.protobuf") || r.UserAgent != "starling" {
			t.Errorf("%s accepts %s, by %s", r, r.Accept, r.UserAgent)
		}
	}
}

// TestQuiet: what does not concern us wakes nobody.
func TestQuiet(t *testing.T) {
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		srv.Create(node("n1", "198.18.0.1"))
		w := start(t, config)
		woken := func() bool {
			synctest.Wait()
			select {
			case <-w.Changed():
				return true
			default:
				return false
			}
		}
		if !woken() || woken() {
			t.Error("not woken once by the first lists")
		}
		srv.Create(clusterIP("internal"))
		apitest.Edit(srv, node("n1", ""), "status", func(n *corev1.Node) {
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Reason: "heartbeat"}}
		})
		time.Sleep(10 * time.Minute) // bookmarks, probes, watches that reach their age
		if woken() {
			t.Error("woken by nothing")
		}
		srv.Create(lb("a"))
		if !woken() {
			t.Error("not woken by a Service")
		}
	})
}

// TestRunEnds: Run's goroutines end with it, as often as it is done.
func TestRunEnds(t *testing.T) {
	srv := apitest.Start(t)
	for range 5 {
		w := start(t, srv.Config())
		w.awaitSynced()
		if err := w.end(); err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func TestMetrics(t *testing.T) {
	srv := apitest.Start(t)
	srv.Create(lb("a"))
	srv.Create(node("n1", "198.18.0.1"))
	w := start(t, srv.Config())
	w.has("a")
	w.awaitSynced()
	w.await("the namespaces", func() bool { return len(w.State().Namespaces) > 0 })
	s := w.services[Key{Namespace: "d", Name: "a"}]
	if err := w.Write(t.Context(), Write{Key: s.Key(), UID: s.UID, Version: s.Version, Annotations: map[string]string{lease.LeaseAnnotation: "x"}}); err != nil {
		t.Fatal(err)
	}
	want := `
# HELP starling_watcher_nodes Nodes known.
# TYPE starling_watcher_nodes gauge
starling_watcher_nodes 1
# HELP starling_watcher_services Services kept: those that hold or want an address.
# TYPE starling_watcher_services gauge
starling_watcher_services 1
# HELP starling_watcher_watches_total Watches begun or resumed.
# TYPE starling_watcher_watches_total counter
starling_watcher_watches_total{resource="endpointslices"} 1
starling_watcher_watches_total{resource="namespaces"} 1
starling_watcher_watches_total{resource="nodes"} 1
starling_watcher_watches_total{resource="services"} 1
# HELP starling_watcher_writes_total Writes of services/status by result: ok, conflict, gone, forbidden, timeout, error.
# TYPE starling_watcher_writes_total counter
starling_watcher_writes_total{result="ok"} 1
`
	names := []string{"starling_watcher_nodes", "starling_watcher_services", "starling_watcher_watches_total", "starling_watcher_writes_total"}
	if err := testutil.GatherAndCompare(w.registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(w.registry); err != nil || len(problems) != 0 {
		t.Errorf("%v, %v", problems, err)
	}
}
