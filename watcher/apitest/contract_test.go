package apitest_test

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/starling-lb/starling/watcher/apitest"
)

// TestContract holds the server to what a real one does. With STARLING_TEST_KUBECONFIG the same
// expectations are tried on the API server named there, in its namespace default; they were written
// down from one of version 1.36.
func TestContract(t *testing.T) {
	t.Run("JSON", func(t *testing.T) { contract(t, apitest.Start(t).Config()) })
	t.Run("protobuf", func(t *testing.T) {
		config := apitest.Start(t).Config()
		config.ContentType = runtime.ContentTypeProtobuf
		contract(t, config)
	})
	if file := os.Getenv("STARLING_TEST_KUBECONFIG"); file != "" {
		t.Run("real", func(t *testing.T) {
			config, err := clientcmd.BuildConfigFromFlags("", file)
			if err != nil {
				t.Fatal(err)
			}
			contract(t, config)
		})
	}
}

func contract(t *testing.T, config *rest.Config) {
	config.QPS = -1
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]func(*bench){
		"create": testCreate, "status patch": testStatusPatch, "preconditions": testPreconditions, "no change": testNoChange,
		"separation": testSeparation, "type flip": testTypeFlip, "refused status": testRefusedStatus, "finalizer": testFinalizer,
		"watch": testWatch, "selector": testSelector, "streamed list": testStreamedList, "pages": testPages,
		"versions to come": testVersionsToCome, "update": testUpdate, "delete": testDelete, "events": testEvents,
		"endpointslices": testEndpointSlices,
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{T: t, Interface: c}
			b.clean()
			t.Cleanup(b.clean)
			test(b)
		})
	}
}

const ns = "default"

// A bench is one test with its client.
type bench struct {
	*testing.T
	kubernetes.Interface
}

// clean removes what tests leave, in the only namespace they use.
func (b *bench) clean() {
	ctx := context.WithoutCancel(b.Context())
	all, err := b.CoreV1().Services(ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range all.Items {
		if s.Name != "kubernetes" {
			_ = b.CoreV1().Services(ns).Delete(ctx, s.Name, metav1.DeleteOptions{})
		}
	}
}

func (b *bench) create(name string, edit ...func(*corev1.Service)) *corev1.Service {
	b.Helper()
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: map[string]string{"test": "yes"}},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	for _, e := range edit {
		e(s)
	}
	got, err := b.CoreV1().Services(ns).Create(b.Context(), s, metav1.CreateOptions{})
	if err != nil {
		b.Fatal(err)
	}
	return got
}

func (b *bench) get(name string) *corev1.Service {
	b.Helper()
	s, err := b.CoreV1().Services(ns).Get(b.Context(), name, metav1.GetOptions{})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// patch is a merge patch; sub is "" or "status".
func (b *bench) patch(name, sub string, doc map[string]any) (*corev1.Service, error) {
	b.Helper()
	body, err := json.Marshal(doc)
	if err != nil {
		b.Fatal(err)
	}
	var subs []string
	if sub != "" {
		subs = append(subs, sub)
	}
	return b.CoreV1().Services(ns).Patch(b.Context(), name, types.MergePatchType, body, metav1.PatchOptions{}, subs...)
}

func (b *bench) must(s *corev1.Service, err error) *corev1.Service {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func (b *bench) version(o metav1.Object) uint64 {
	b.Helper()
	v, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return v
}

func meta(s *corev1.Service, more map[string]any) map[string]any {
	m := map[string]any{"uid": string(s.UID), "resourceVersion": s.ResourceVersion}
	maps.Copy(m, more)
	return m
}

func ingress(ips ...string) map[string]any {
	list := []map[string]any{}
	for _, ip := range ips {
		list = append(list, map[string]any{"ip": ip, "ipMode": "VIP"})
	}
	return map[string]any{"loadBalancer": map[string]any{"ingress": list}}
}

func shown(s *corev1.Service) []string {
	var out []string
	for _, i := range s.Status.LoadBalancer.Ingress {
		mode := ""
		if i.IPMode != nil {
			mode = string(*i.IPMode)
		}
		out = append(out, i.IP+"/"+mode)
	}
	return out
}

func testCreate(b *bench) {
	s := b.create("a", func(s *corev1.Service) {
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "198.18.64.9"}}
	})
	if s.UID == "" || b.version(s) == 0 || s.CreationTimestamp.IsZero() || shown(s) != nil {
		b.Errorf("created %+v", s)
	}
	_, err := b.CoreV1().Services(ns).Create(b.Context(), &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: s.Spec}, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) && !apierrors.IsInvalid(err) { // a real server may refuse the clusterIP first
		b.Errorf("created twice: %v", err)
	}
	if _, err := b.CoreV1().Services(ns).Get(b.Context(), "zz", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		b.Errorf("got what is not there: %v", err)
	}
}

func testStatusPatch(b *bench) {
	s := b.create("a", func(s *corev1.Service) { s.Annotations = map[string]string{"x": "1", "y": "2"} })
	got := b.must(b.patch("a", "status", map[string]any{
		"metadata": meta(s, map[string]any{"annotations": map[string]any{"x": nil, "z": "3"}, "labels": map[string]any{"l": "m"}}),
		"spec":     map[string]any{"type": "ClusterIP"},
		"status":   ingress("198.18.64.3", "2001:db8::1"),
	}))
	if got.Spec.Type != corev1.ServiceTypeLoadBalancer || b.version(got) <= b.version(s) || got.UID != s.UID {
		b.Errorf("type %s, version %s after %s", got.Spec.Type, got.ResourceVersion, s.ResourceVersion)
	}
	if diff := cmp.Diff(map[string]string{"y": "2", "z": "3"}, got.Annotations); diff != "" {
		b.Errorf("annotations (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"198.18.64.3/VIP", "2001:db8::1/VIP"}, shown(got)); diff != "" {
		b.Errorf("ingress (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(got, b.get("a")); diff != "" {
		b.Errorf("answered and stored differ:\n%s", diff)
	}
	for _, empty := range []any{nil, []any{}} {
		b.must(b.patch("a", "status", map[string]any{"status": ingress("198.18.64.3")}))
		cleared := b.must(b.patch("a", "status", map[string]any{"status": map[string]any{"loadBalancer": map[string]any{"ingress": empty}}}))
		if shown(cleared) != nil {
			b.Errorf("%v leaves %v", empty, shown(cleared))
		}
	}
	bare := map[string]any{"loadBalancer": map[string]any{"ingress": []any{map[string]any{"ip": "198.18.64.4"}}}}
	if got := shown(b.must(b.patch("a", "status", map[string]any{"status": bare}))); len(got) != 1 || got[0] != "198.18.64.4/VIP" {
		b.Errorf("without ipMode: %v", got)
	}
}

func testPreconditions(b *bench) {
	s := b.create("a")
	other := s.DeepCopy()
	other.UID = "00000000-0000-4000-8000-00000000ffff"
	old := s
	s = b.must(b.patch("a", "", map[string]any{"metadata": map[string]any{"labels": map[string]any{"n": "1"}}}))
	doc := func(m map[string]any) map[string]any {
		return map[string]any{"metadata": m, "status": ingress("198.18.64.3")}
	}
	if _, err := b.patch("a", "status", doc(meta(old, nil))); !apierrors.IsConflict(err) {
		b.Errorf("an old version: %v", err)
	}
	other.ResourceVersion = s.ResourceVersion
	if _, err := b.patch("a", "status", doc(meta(other, nil))); !apierrors.IsConflict(err) && !apierrors.IsInvalid(err) {
		b.Errorf("another uid: %v", err)
	}
	if _, err := b.patch("zz", "status", doc(meta(s, nil))); !apierrors.IsNotFound(err) {
		b.Errorf("no such Service: %v", err)
	}
	if err := b.CoreV1().Services(ns).Delete(b.Context(), "a", metav1.DeleteOptions{}); err != nil {
		b.Fatal(err)
	}
	b.create("a")
	if _, err := b.patch("a", "status", doc(meta(s, nil))); !apierrors.IsConflict(err) {
		b.Errorf("made anew: %v", err)
	}
	if got := shown(b.get("a")); got != nil {
		b.Errorf("ingress %v", got)
	}
	b.must(b.patch("a", "status", doc(map[string]any{}))) // none asked, none checked
}

func testNoChange(b *bench) {
	s := b.create("a", func(s *corev1.Service) { s.Annotations = map[string]string{"x": "1"} })
	got := b.must(b.patch("a", "status", map[string]any{"metadata": meta(s, map[string]any{"annotations": map[string]any{"x": "1", "none": nil}})}))
	if got.ResourceVersion != s.ResourceVersion {
		b.Errorf("version %s after %s", got.ResourceVersion, s.ResourceVersion)
	}
}

func testSeparation(b *bench) {
	b.create("a")
	b.must(b.patch("a", "status", map[string]any{"status": ingress("198.18.64.3")}))
	got := b.must(b.patch("a", "", map[string]any{"status": ingress("198.18.64.7"), "spec": map[string]any{"externalTrafficPolicy": "Local"}}))
	if diff := cmp.Diff([]string{"198.18.64.3/VIP"}, shown(got)); diff != "" || got.Spec.ExternalTrafficPolicy != corev1.ServiceExternalTrafficPolicyLocal {
		b.Errorf("policy %s, ingress (-want +got):\n%s", got.Spec.ExternalTrafficPolicy, diff)
	}
}

func testTypeFlip(b *bench) {
	b.create("a")
	b.must(b.patch("a", "status", map[string]any{"metadata": map[string]any{"annotations": map[string]any{"lease": "x"}}, "status": ingress("198.18.64.3")}))
	got := b.must(b.patch("a", "", map[string]any{"spec": map[string]any{"type": "ClusterIP", "ports": []any{map[string]any{"port": 80}}}}))
	if got.Spec.Type != corev1.ServiceTypeClusterIP || shown(got) != nil || got.Annotations["lease"] != "x" {
		b.Errorf("type %s, ingress %v, annotations %v", got.Spec.Type, shown(got), got.Annotations)
	}
}

func testRefusedStatus(b *bench) {
	b.create("a")
	if _, err := b.patch("a", "status", map[string]any{"status": ingress("here")}); !apierrors.IsInvalid(err) {
		b.Errorf("no address: %v", err)
	}
	b.create("b", func(s *corev1.Service) { s.Spec.Type = corev1.ServiceTypeClusterIP })
	if _, err := b.patch("b", "status", map[string]any{"status": ingress("198.18.64.3")}); !apierrors.IsInvalid(err) {
		b.Errorf("ingress of a ClusterIP: %v", err)
	}
	b.must(b.patch("b", "status", map[string]any{"metadata": map[string]any{"annotations": map[string]any{"x": "1"}}}))
}

func testFinalizer(b *bench) {
	s := b.create("a", func(s *corev1.Service) { s.Finalizers = []string{"example.com/test"} })
	w := b.watch(metav1.ListOptions{ResourceVersion: s.ResourceVersion})
	if err := b.CoreV1().Services(ns).Delete(b.Context(), "a", metav1.DeleteOptions{}); err != nil {
		b.Fatal(err)
	}
	marked := b.get("a")
	if marked.DeletionTimestamp == nil || b.version(marked) <= b.version(s) {
		b.Errorf("marked %+v", marked.ObjectMeta)
	}
	b.must(b.patch("a", "status", map[string]any{"metadata": map[string]any{"annotations": map[string]any{"x": "1"}}}))
	if _, err := b.patch("a", "", map[string]any{"metadata": map[string]any{"finalizers": nil}}); err != nil {
		b.Fatal(err)
	}
	b.expect(w, "MODIFIED a", "MODIFIED a", "DELETED a")
	if _, err := b.CoreV1().Services(ns).Get(b.Context(), "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		b.Errorf("still there: %v", err)
	}
}

func testUpdate(b *bench) {
	s := b.create("a")
	s.Labels["n"] = "1"
	got := b.must(b.CoreV1().Services(ns).Update(b.Context(), s, metav1.UpdateOptions{}))
	if _, err := b.CoreV1().Services(ns).Update(b.Context(), s, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		b.Errorf("an old version: %v", err)
	}
	got.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "198.18.64.3"}}
	got.Labels["n"] = "2"
	got = b.must(b.CoreV1().Services(ns).UpdateStatus(b.Context(), got, metav1.UpdateOptions{}))
	if diff := cmp.Diff([]string{"198.18.64.3/VIP"}, shown(got)); diff != "" || got.Labels["n"] != "2" {
		b.Errorf("labels %v, ingress (-want +got):\n%s", got.Labels, diff)
	}
}

func testDelete(b *bench) {
	s := b.create("a")
	uid := types.UID("00000000-0000-4000-8000-00000000ffff")
	err := b.CoreV1().Services(ns).Delete(b.Context(), "a", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if !apierrors.IsConflict(err) {
		b.Errorf("another uid: %v", err)
	}
	err = b.CoreV1().Services(ns).Delete(b.Context(), "a", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &s.UID, ResourceVersion: &s.ResourceVersion}})
	if err != nil {
		b.Error(err)
	}
	if err := b.CoreV1().Services(ns).Delete(b.Context(), "a", metav1.DeleteOptions{}); !apierrors.IsNotFound(err) {
		b.Errorf("deleted twice: %v", err)
	}
}

func (b *bench) watch(o metav1.ListOptions) watch.Interface {
	b.Helper()
	w, err := b.CoreV1().Services(ns).Watch(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(w.Stop)
	return w
}

// expect reads events, "TYPE name" each, and checks that versions only grow. Bookmarks without an
// end mark are skipped.
func (b *bench) expect(w watch.Interface, want ...string) []watch.Event {
	b.Helper()
	var events []watch.Event
	var got []string
	last := uint64(0)
	for len(got) < len(want) {
		select {
		case e, ok := <-w.ResultChan():
			if !ok {
				b.Fatalf("the watch ended after %q, want %q", got, want)
			}
			s, ok := e.Object.(*corev1.Service)
			if !ok {
				b.Fatalf("%s with a %T: %+v", e.Type, e.Object, e.Object)
			}
			if e.Type == watch.Bookmark && s.Annotations[metav1.InitialEventsAnnotationKey] == "" {
				continue
			}
			if v := b.version(s); (e.Type == watch.Modified || e.Type == watch.Deleted) && v <= last {
				b.Errorf("version %d after %d", v, last)
			} else {
				last = max(v, last)
			}
			got, events = append(got, strings.TrimSpace(string(e.Type)+" "+s.Name)), append(events, e)
		case <-time.After(10 * time.Second):
			b.Fatalf("got %q, want %q", got, want)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.Errorf("(-want +got):\n%s", diff)
	}
	return events
}

func testWatch(b *bench) {
	s := b.create("a")
	w := b.watch(metav1.ListOptions{ResourceVersion: s.ResourceVersion})
	b.must(b.patch("a", "status", map[string]any{"status": ingress("198.18.64.3")}))
	b.create("b")
	if err := b.CoreV1().Services(ns).Delete(b.Context(), "a", metav1.DeleteOptions{}); err != nil {
		b.Fatal(err)
	}
	b.create("a")
	events := b.expect(w, "MODIFIED a", "ADDED b", "DELETED a", "ADDED a")
	second := events[1].Object.(*corev1.Service)
	b.expect(b.watch(metav1.ListOptions{ResourceVersion: second.ResourceVersion}), "DELETED a", "ADDED a")
	b.expect(b.watch(metav1.ListOptions{FieldSelector: "metadata.name=b", ResourceVersion: s.ResourceVersion}), "ADDED b")
}

func testSelector(b *bench) {
	s := b.create("a")
	w := b.watch(metav1.ListOptions{ResourceVersion: s.ResourceVersion, LabelSelector: "test=yes"})
	label := func(v any) {
		b.must(b.patch("a", "", map[string]any{"metadata": map[string]any{"labels": map[string]any{"test": v}}}))
	}
	label("no")
	label("never")
	label("yes")
	b.create("b", func(s *corev1.Service) { s.Labels = nil })
	b.must(b.patch("a", "status", map[string]any{"status": ingress("198.18.64.3")}))
	b.expect(w, "DELETED a", "ADDED a", "MODIFIED a")
	list, err := b.CoreV1().Services(ns).List(b.Context(), metav1.ListOptions{LabelSelector: "test"})
	if err != nil || len(list.Items) != 1 {
		b.Errorf("%d listed, %v", len(list.Items), err)
	}
}

func testStreamedList(b *bench) {
	b.create("a")
	b.create("b")
	yes := true
	w := b.watch(metav1.ListOptions{
		SendInitialEvents: &yes, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan, AllowWatchBookmarks: true, LabelSelector: "test",
	})
	events := b.expect(w, "ADDED a", "ADDED b", "BOOKMARK")
	if end := events[2].Object.(*corev1.Service); b.version(end) < b.version(events[1].Object.(*corev1.Service)) {
		b.Errorf("ends at version %s", end.ResourceVersion)
	}
	b.create("c")
	b.expect(w, "ADDED c")
	_, err := b.CoreV1().Services(ns).Watch(b.Context(), metav1.ListOptions{SendInitialEvents: &yes})
	if !apierrors.IsInvalid(err) {
		b.Errorf("without resourceVersionMatch: %v", err)
	}
}

func testPages(b *bench) {
	for _, n := range []string{"a", "b", "c"} {
		b.create(n)
	}
	o := metav1.ListOptions{Limit: 2, LabelSelector: "test"}
	first, err := b.CoreV1().Services(ns).List(b.Context(), o)
	if err != nil || len(first.Items) != 2 || first.Continue == "" {
		b.Fatalf("first page %d, %v", len(first.Items), err)
	}
	b.create("d") // after the first page, and not in the second
	o.Continue = first.Continue
	second, err := b.CoreV1().Services(ns).List(b.Context(), o)
	if err != nil || len(second.Items) != 1 || second.Continue != "" || second.ResourceVersion != first.ResourceVersion {
		b.Fatalf("second page %d of version %s after %s, %v", len(second.Items), second.ResourceVersion, first.ResourceVersion, err)
	}
}

func testVersionsToCome(b *bench) {
	s := b.create("a")
	later := strconv.FormatUint(b.version(s)+1_000_000, 10)
	err := b.CoreV1().RESTClient().Get().Namespace(ns).Resource("services").Param("resourceVersion", later).
		MaxRetries(0).Do(b.Context()).Error()
	if !apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge) {
		b.Errorf("list: %v", err)
	}
	if _, err := b.CoreV1().Services(ns).List(b.Context(), metav1.ListOptions{ResourceVersion: "x"}); err == nil {
		b.Error("listed at version x")
	}
}

func testEvents(b *bench) {
	e := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: ns, Name: "a.1"},
		InvolvedObject: corev1.ObjectReference{Kind: "Service", Namespace: ns, Name: "a", UID: "u1"},
		Reason:         "Test", Message: "m", Type: "Normal", Count: 1,
	}
	_ = b.CoreV1().Events(ns).Delete(b.Context(), "a.1", metav1.DeleteOptions{})
	if _, err := b.CoreV1().Events(ns).Create(b.Context(), e, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	got, err := b.CoreV1().Events(ns).Patch(b.Context(), "a.1", types.MergePatchType, []byte(`{"count":2}`), metav1.PatchOptions{})
	if err != nil || got.Count != 2 || got.Message != "m" {
		b.Errorf("patched %+v, %v", got, err)
	}
	list, err := b.CoreV1().Events(ns).List(b.Context(), metav1.ListOptions{FieldSelector: "involvedObject.uid=u1,involvedObject.kind=Service"})
	if err != nil || len(list.Items) != 1 {
		b.Errorf("%d listed, %v", len(list.Items), err)
	}
}

func testEndpointSlices(b *bench) {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "a-1"}, AddressType: discoveryv1.AddressTypeIPv4}
	_ = b.DiscoveryV1().EndpointSlices(ns).Delete(b.Context(), "a-1", metav1.DeleteOptions{})
	if _, err := b.DiscoveryV1().EndpointSlices(ns).Create(b.Context(), s, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	list, err := b.DiscoveryV1().EndpointSlices("").List(b.Context(), metav1.ListOptions{FieldSelector: "metadata.name=a-1"})
	if err != nil || len(list.Items) != 1 || list.Items[0].UID == "" {
		b.Errorf("listed %+v, %v", list, err)
	}
	if err := b.DiscoveryV1().EndpointSlices(ns).Delete(b.Context(), "a-1", metav1.DeleteOptions{}); err != nil {
		b.Error(err)
	}
}
