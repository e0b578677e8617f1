package watcher

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/starling-lb/starling/watcher/apitest"
	"github.com/starling-lb/starling/watcher/record"
)

// told returns the stored events as "Type Reason message xCount".
func told(srv *apitest.Server) []string {
	var out []string
	for _, e := range apitest.All(srv, &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "d"}}) {
		out = append(out, fmt.Sprintf("%s %s %s x%d", e.Type, e.Reason, e.Message, e.Count))
	}
	return out
}

var webAllocated = Event{Key: Key{Namespace: "d", Name: "web"}, UID: "u1", Reason: "IPAllocated", Message: "198.18.64.3"}

func TestEvent(t *testing.T) {
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		w := start(t, config)
		w.Event(webAllocated)
		synctest.Wait()
		got := apitest.All(srv, &corev1.Event{})
		if len(got) != 1 {
			t.Fatalf("%d events", len(got))
		}
		now := metav1.NewTime(time.Now().Truncate(time.Second))
		want := &corev1.Event{
			ObjectMeta:     metav1.ObjectMeta{Namespace: "d", Name: "web." + strconv.FormatInt(time.Now().UnixNano(), 16)},
			InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: "Service", Namespace: "d", Name: "web", UID: "u1"},
			Type:           "Normal", Reason: "IPAllocated", Message: "198.18.64.3", Count: 1, FirstTimestamp: now, LastTimestamp: now,
			Source: corev1.EventSource{Component: "starling", Host: "n1"}, ReportingController: "starling", ReportingInstance: "n1",
		}
		want.TypeMeta = got[0].TypeMeta
		want.UID, want.ResourceVersion, want.CreationTimestamp = got[0].UID, got[0].ResourceVersion, got[0].CreationTimestamp
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestEventsOncePerChange: the same again counts up, anything else is news.
func TestEventsOncePerChange(t *testing.T) {
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		w := start(t, config)
		failed := Event{Key: Key{Namespace: "d", Name: "web"}, UID: "u1", Warning: true, Reason: "AllocationFailed", Message: "pool is full"}
		for range 3 {
			w.Event(webAllocated)
			time.Sleep(time.Second)
			w.Event(failed)
			time.Sleep(time.Second)
		}
		anew := webAllocated
		anew.UID = "u2"
		w.Event(anew)
		synctest.Wait()
		want := []string{"Normal IPAllocated 198.18.64.3 x3", "Warning AllocationFailed pool is full x3", "Normal IPAllocated 198.18.64.3 x1"}
		if diff := cmp.Diff(want, told(srv)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		time.Sleep(record.Memory)
		w.Event(webAllocated) // long after: news
		synctest.Wait()
		if n := len(told(srv)); n != 4 {
			t.Errorf("%d events, want 4", n)
		}
		srv.Delete(apitest.All(srv, &corev1.Event{})[3]) // the server forgets events after an hour
		time.Sleep(time.Second)
		w.Event(webAllocated)
		synctest.Wait()
		if n := len(told(srv)); n != 4 {
			t.Errorf("%d events after one was forgotten, want 4", n)
		}
		if diff := cmp.Diff(Counts{Writes: map[string]uint64{}, Events: map[string]uint64{"sent": 5, "repeated": 4}}, w.Counts()); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
	})
}

// TestEventsOnNodes: kubectl describe finds them, and of what several speakers tell there is one
// Event in ten minutes.
func TestEventsOnNodes(t *testing.T) {
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		w, other := start(t, config), start(t, config, func(c *Config) { c.NodeName = "n2" })
		blocked := Event{Key: Key{Name: "n3"}, Warning: true, Reason: "GossipBlocked", Message: "as n1 sees it", Once: "GossipBlocked n3"}
		again, elsewhere := blocked, blocked
		again.Message = "as n2 sees it"
		elsewhere.Key.Name, elsewhere.Once = "n4", "GossipBlocked n4"
		begin := time.Now().Truncate(record.Memory).Add(record.Memory) // of a span
		time.Sleep(time.Until(begin))
		for _, step := range []struct {
			name string
			by   *running
			tell Event
			wait time.Duration // after it
			want []string
		}{
			{"the first", w, blocked, time.Minute, []string{"n3 by n1 at 0s: as n1 sees it"}},
			{"another sees it too", other, again, time.Minute, []string{"n3 by n1 at 1m0s: as n2 sees it"}},
			{"the first sees it anew", w, blocked, time.Minute, []string{"n3 by n1 at 2m0s: as n1 sees it"}},
			{"of another node", w, elsewhere, 7 * time.Minute, []string{"n3 by n1 at 2m0s: as n1 sees it", "n4 by n1 at 3m0s: as n1 sees it"}},
			{"in the next span", other, again, 0, []string{
				"n3 by n1 at 2m0s: as n1 sees it", "n3 by n2 at 10m0s: as n2 sees it", "n4 by n1 at 3m0s: as n1 sees it",
			}},
		} {
			step.by.Event(step.tell)
			synctest.Wait()
			if diff := cmp.Diff(step.want, onNodes(t, srv, begin)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", step.name, diff)
			}
			time.Sleep(step.wait)
		}
		for by, want := range map[*running]map[string]uint64{w: {"sent": 2, "known": 1}, other: {"sent": 1, "known": 1}} {
			if diff := cmp.Diff(want, by.Counts().Events); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
		}
	})
}

// onNodes are the stored events as "node by teller at time: message", sorted; each is about a Node,
// where kubectl looks for it, and was never counted.
func onNodes(t *testing.T, srv *apitest.Server, begin time.Time) (out []string) {
	t.Helper()
	for _, e := range apitest.All(srv, &corev1.Event{}) {
		node := e.InvolvedObject.Name
		want := corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: node, UID: types.UID(node)}
		if diff := cmp.Diff(want, e.InvolvedObject); diff != "" || e.Namespace != "default" || e.Count != 1 {
			t.Errorf("in namespace %s, count %d, about (-want +got):\n%s", e.Namespace, e.Count, diff)
		}
		out = append(out, fmt.Sprintf("%s by %s at %s: %s", node, e.Source.Host, e.LastTimestamp.Sub(begin), e.Message))
	}
	slices.Sort(out)
	return out
}

// TestEventsOfOneService: nobody makes us fill the API server, and others are not harmed.
func TestEventsOfOneService(t *testing.T) {
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		w := start(t, config)
		for i := range 200 {
			w.Event(Event{Key: Key{Namespace: "d", Name: "mad"}, UID: "u9", Reason: "IPReleased", Message: strconv.Itoa(i)})
			time.Sleep(time.Second)
		}
		w.Event(webAllocated)
		synctest.Wait()
		want := record.Burst + int(200*time.Second/record.Refill) + 1
		if n := len(told(srv)); n < want-1 || n > want {
			t.Errorf("%d events, want %d", n, want)
		}
		if last := told(srv); last[len(last)-1] != "Normal IPAllocated 198.18.64.3 x1" {
			t.Errorf("last event %q", last[len(last)-1])
		}
		if n := w.metric(w.metrics.events.WithLabelValues("limited")); int(n) != 201-len(told(srv)) {
			t.Errorf("%v counted as limited", n)
		}
	})
}

// TestEventsOfOneNamespace: who makes and deletes Services without end fills nothing, and other
// namespaces are not harmed.
func TestEventsOfOneNamespace(t *testing.T) {
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		w := start(t, config)
		const services, pace = 2000, 100 * time.Millisecond
		for i := range services {
			w.Event(Event{Key: Key{Namespace: "mad", Name: fmt.Sprint("s", i)}, UID: fmt.Sprint("u", i), Reason: "IPAllocated", Message: "198.18.64.9"})
			time.Sleep(pace)
		}
		w.Event(webAllocated)
		synctest.Wait()
		all := len(apitest.All(srv, &corev1.Event{}))
		want := record.NamespaceBurst + int((services-1)*pace/record.NamespaceRefill)
		if n := all - 1; n < want-1 || n > want {
			t.Errorf("%d events, want %d", n, want)
		}
		if diff := cmp.Diff([]string{"Normal IPAllocated 198.18.64.3 x1"}, told(srv)); diff != "" {
			t.Errorf("in another namespace (-want +got):\n%s", diff)
		}
		if n := w.metric(w.metrics.events.WithLabelValues("limited")); int(n) != services+1-all {
			t.Errorf("%v counted as limited", n)
		}
	})
}

// TestEventQueue: while the server does not answer, adding never blocks, and what does not fit is
// counted.
func TestEventQueue(t *testing.T) {
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		srv.Before(func(q *http.Request, r apitest.Request) error {
			if r.Resource == "events" {
				<-q.Context().Done()
			}
			return nil
		})
		w := start(t, config)
		begin := time.Now()
		w.Event(webAllocated)
		synctest.Wait()
		for i := range record.Queue + 100 {
			w.Event(Event{Key: Key{Namespace: "d", Name: "web"}, UID: strconv.Itoa(i), Reason: "IPAllocated"})
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("adding took %s", took)
		}
		if n := w.metric(w.metrics.events.WithLabelValues("dropped")); n != 100 {
			t.Errorf("%v dropped, want 100", n)
		}
		if err := w.end(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// TestEventErrors: what is worth another attempt, and what is a problem to be told.
func TestEventErrors(t *testing.T) {
	events := schema.GroupResource{Resource: "events"}
	terminating := apierrors.NewForbidden(events, "", errors.New("namespace d is being terminated"))
	terminating.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause}}
	tests := []struct {
		name     string
		err      error
		times    int32 // that the error is given
		attempts int32
		stored   int
		problem  string
	}{
		{"a hiccup", apierrors.NewServiceUnavailable("busy"), 2, 3, 1, ""},
		{"for long", apierrors.NewServiceUnavailable("busy"), 100, 3, 0, "API server http://apitest cannot create events of d: busy"},
		{"no right", apierrors.NewForbidden(events, "", errors.New(`User "x" cannot create resource "events"`)), 100, 3, 0, `forbidden by RBAC: create events of d (User "x" cannot create resource "events")`},
		{"the namespace goes", terminating, 100, 1, 0, ""},
		{"the namespace is gone", apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "d"), 100, 1, 0, ""},
		{"refused", apierrors.NewBadRequest("no"), 100, 1, 0, ""},
		{"a full quota", apierrors.NewForbidden(events, "e", errors.New("exceeded quota: q, requested: count/events=1, used: 5, limited: 5")), 100, 1, 0, ""},
		{"a webhook", apierrors.NewForbidden(events, "e", errors.New(`admission webhook "x" denied the request: no`)), 100, 1, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
				var attempts atomic.Int32
				srv.Before(func(_ *http.Request, r apitest.Request) error {
					if r.Resource == "events" && attempts.Add(1) <= tt.times {
						return tt.err
					}
					return nil
				})
				w := start(t, config)
				w.Event(webAllocated)
				time.Sleep(4 * time.Second)
				synctest.Wait()
				if n := attempts.Load(); n != tt.attempts {
					t.Errorf("%d attempts, want %d", n, tt.attempts)
				}
				if n := len(told(srv)); n != tt.stored {
					t.Errorf("%d events stored, want %d", n, tt.stored)
				}
				if p := strings.Join(w.State().words(), "; "); tt.problem == "" && p != "" || !strings.HasPrefix(p, tt.problem) {
					t.Errorf("problems %q, want %q", p, tt.problem)
				}
				if failed := w.metric(w.metrics.events.WithLabelValues("failed")); int(failed) != 1-tt.stored {
					t.Errorf("%v counted as failed", failed)
				}
			})
		})
	}
}
