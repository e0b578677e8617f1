package watcher

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher/apitest"
)

func TestPatch(t *testing.T) {
	key := Key{Namespace: "d", Name: "web"}
	tests := []struct {
		name string
		in   Write
		want string
	}{
		{
			"lease alone",
			Write{Key: key, UID: "u1", Version: "7", Annotations: map[string]string{lease.LeaseAnnotation: "{}"}},
			`{"metadata":{"uid":"u1","resourceVersion":"7","annotations":{"starling-lb.io/lease":"{}"}}}`,
		},
		{
			"lease and ingress",
			Write{Key: key, UID: "u1", Version: "7", Annotations: map[string]string{lease.LeaseAnnotation: "{}"}, SetIngress: true, Ingress: []string{"198.18.64.3", "2001:db8::1"}},
			`{"metadata":{"uid":"u1","resourceVersion":"7","annotations":{"starling-lb.io/lease":"{}"}},
			  "status":{"loadBalancer":{"ingress":[{"ip":"198.18.64.3","ipMode":"VIP"},{"ip":"2001:db8::1","ipMode":"VIP"}]}}}`,
		},
		{
			"release",
			Write{Key: key, UID: "u1", Version: "7", Annotations: map[string]string{lease.LeaseAnnotation: ""}, SetIngress: true},
			`{"metadata":{"uid":"u1","resourceVersion":"7","annotations":{"starling-lb.io/lease":null}},"status":{"loadBalancer":{"ingress":null}}}`,
		},
		{
			"ingress that is not to be set",
			Write{Key: key, UID: "u1", Version: "7", Ingress: []string{"198.18.64.3"}},
			`{"metadata":{"uid":"u1","resourceVersion":"7"}}`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.in.patch()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(decoded(t, tt.want), decoded(t, string(got))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func decoded(t *testing.T, doc string) (out any) {
	t.Helper()
	if err := json.Unmarshal([]byte(doc), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestWrite goes through what can have happened to a Service since the snapshot that a write was
// decided from.
func TestWrite(t *testing.T) {
	const ip = "198.18.64.3"
	bind := func(s *corev1.Service) Write {
		return Write{
			Key: Key{Namespace: "d", Name: "web"}, UID: string(s.UID), Version: s.ResourceVersion,
			Annotations: map[string]string{lease.LeaseAnnotation: "{}"}, Ingress: []string{ip}, SetIngress: true,
		}
	}
	release := func(s *corev1.Service) Write {
		w := bind(s)
		w.Annotations, w.Ingress = map[string]string{lease.LeaseAnnotation: "", "starling-lb.io/never": ""}, nil
		return w
	}
	nothing := func(*apitest.Server, *corev1.Service) {}
	tests := []struct {
		name    string
		between func(*apitest.Server, *corev1.Service)
		write   func(*corev1.Service) Write
		want    error  // nil: no error
		words   string // part of the error
		result  string
	}{
		{name: "nothing", between: nothing, write: bind, result: "ok"},
		{name: "nothing, release", between: nothing, write: release, result: "ok"},
		{
			name: "an unrelated edit", between: func(srv *apitest.Server, s *corev1.Service) {
				apitest.Edit(srv, s, "", func(s *corev1.Service) { s.Labels = map[string]string{"a": "b"} })
			},
			write: bind, want: ErrConflict, words: "write d/web: the Service changed meanwhile", result: "conflict",
		},
		{
			name: "made anew", between: func(srv *apitest.Server, s *corev1.Service) { srv.Delete(s); srv.Create(lb("web")) },
			write: bind, want: ErrConflict, words: "write d/web", result: "conflict",
		},
		{name: "deleted", between: func(srv *apitest.Server, s *corev1.Service) { srv.Delete(s) }, write: bind, want: ErrGone, words: "write d/web: the Service is gone", result: "gone"},
		{
			name: "forbidden", between: func(srv *apitest.Server, _ *corev1.Service) { srv.Forbid("patch services/status") },
			write: bind, words: "forbidden", result: "forbidden",
		},
		{name: "without uid", between: nothing, write: func(s *corev1.Service) Write { w := bind(s); w.UID = ""; return w }, words: "write d/web: uid and version are required", result: "error"},
		{name: "without version", between: nothing, write: func(s *corev1.Service) Write { w := bind(s); w.Version = ""; return w }, words: "uid and version are required", result: "error"},
		{
			name: "no address", between: nothing,
			write: func(s *corev1.Service) Write { w := bind(s); w.Ingress = []string{"here"}; return w },
			words: "must be a valid IP address", result: "error",
		},
		{name: "server gone", between: func(srv *apitest.Server, _ *corev1.Service) { srv.Stop() }, write: bind, words: "write d/web: Patch \"http://127.0.0.1", result: "error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := apitest.Start(t)
			s := srv.Create(lb("web")).(*corev1.Service)
			w := start(t, srv.Config())
			w.has("web")
			tt.between(srv, s)
			version := srv.Version()
			err := w.Write(t.Context(), tt.write(s))
			switch {
			case tt.words == "" && err != nil:
				t.Fatalf("error %v", err)
			case tt.words == "":
				return
			case err == nil || !strings.Contains(err.Error(), tt.words) || tt.want != nil && !errors.Is(err, tt.want):
				t.Errorf("error %v, want %q", err, tt.words)
			case Expected(err) != (tt.want != nil):
				t.Errorf("expected: %v", Expected(err))
			}
			if got := w.metric(w.metrics.writes.WithLabelValues(tt.result)); got != 1 {
				t.Errorf("%v writes counted as %s", got, tt.result)
			}
			if srv.Version() != version {
				t.Error("the server took it")
			}
		})
	}
}

// TestWriteArrives follows a lease through bind and release as the stream shows it.
func TestWriteArrives(t *testing.T) {
	srv := apitest.Start(t)
	in := lb("web")
	in.Annotations = map[string]string{"starling-lb.io/address-pool": "p", "example.com/theirs": "kept"}
	srv.Create(in)
	w := start(t, srv.Config())
	w.has("web")
	key := Key{Namespace: "d", Name: "web"}
	write := func(annotations map[string]string, ips []string, want Service) {
		t.Helper()
		s := w.services[key]
		if err := w.Write(t.Context(), Write{Key: key, UID: s.UID, Version: s.Version, Annotations: annotations, Ingress: ips, SetIngress: ips != nil}); err != nil {
			t.Fatal(err)
		}
		w.await("the write", func() bool { return w.services[key].Version != s.Version })
		got := w.services[key]
		if diff := cmp.Diff(want.Annotations, got.Annotations); diff != "" {
			t.Errorf("annotations (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want.Ingress, got.Ingress); diff != "" {
			t.Errorf("ingress (-want +got):\n%s", diff)
		}
	}
	pool := "starling-lb.io/address-pool"
	write(map[string]string{lease.LeaseAnnotation: "claimed"}, nil, Service{Annotations: [][2]string{{pool, "p"}, {lease.LeaseAnnotation, "claimed"}}})
	write(map[string]string{lease.LeaseAnnotation: "bound"}, []string{"198.18.64.3", "2001:db8::1"},
		Service{Annotations: [][2]string{{pool, "p"}, {lease.LeaseAnnotation, "bound"}}, Ingress: []string{"198.18.64.3", "2001:db8::1"}})
	write(nil, []string{"198.18.64.4"}, Service{Annotations: [][2]string{{pool, "p"}, {lease.LeaseAnnotation, "bound"}}, Ingress: []string{"198.18.64.4"}})
	write(map[string]string{lease.LeaseAnnotation: ""}, []string{}, Service{Annotations: [][2]string{{pool, "p"}}})
	stored, _ := apitest.Get(srv, in)
	if stored.Annotations["example.com/theirs"] != "kept" || stored.Spec.Type != corev1.ServiceTypeLoadBalancer {
		t.Errorf("stored %+v", stored)
	}
	for _, r := range srv.Requests() {
		if r.Verb == "patch" && (r.Subresource != "status" || r.ContentType != "application/merge-patch+json") {
			t.Errorf("patched by %s, %s", r, r.ContentType)
		}
	}
}

// TestWriteOnce: an answer that asks to try again later is handed back; the decision may be another
// by then.
func TestWriteOnce(t *testing.T) {
	srv := apitest.Start(t)
	s := srv.Create(lb("web")).(*corev1.Service)
	w := start(t, srv.Config())
	patches := 0
	srv.Before(func(_ *http.Request, r apitest.Request) error {
		if r.Verb == "patch" {
			patches++
			return apierrors.NewTooManyRequests("later", 1)
		}
		return nil
	})
	err := w.Write(t.Context(), Write{Key: Key{Namespace: "d", Name: "web"}, UID: string(s.UID), Version: s.ResourceVersion})
	if !apierrors.IsTooManyRequests(err) || patches != 1 {
		t.Errorf("%d patches, error %v", patches, err)
	}
}

// TestWriteGivenUp: a write whose caller gives up returns at once and is no problem of the
// server's.
func TestWriteGivenUp(t *testing.T) {
	srv := apitest.Start(t)
	s := srv.Create(lb("web")).(*corev1.Service)
	w := start(t, srv.Config())
	w.awaitSynced()
	ctx, cancel := context.WithCancel(t.Context())
	srv.Before(func(q *http.Request, r apitest.Request) error {
		if r.Verb == "patch" {
			cancel()
			<-q.Context().Done()
		}
		return nil
	})
	err := w.Write(ctx, Write{Key: Key{Namespace: "d", Name: "web"}, UID: string(s.UID), Version: s.ResourceVersion})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if got := w.State().words(); len(got) != 0 {
		t.Errorf("problems %q", got)
	}
}

// TestUIDRefused: an API server may also call a changed uid an invalid field.
func TestUIDRefused(t *testing.T) {
	kind := schema.GroupKind{Kind: "Service"}
	uid := apierrors.NewInvalid(kind, "web", field.ErrorList{field.Invalid(field.NewPath("metadata", "uid"), "u1", "field is immutable")})
	name := apierrors.NewInvalid(kind, "web", field.ErrorList{field.Invalid(field.NewPath("metadata", "name"), "x", "field is immutable")})
	if err := writeError(Key{Namespace: "d", Name: "web"}, uid); !errors.Is(err, ErrConflict) {
		t.Errorf("uid: %v", err)
	}
	if err := writeError(Key{Namespace: "d", Name: "web"}, name); errors.Is(err, ErrConflict) || err == nil {
		t.Errorf("name: %v", err)
	}
}
