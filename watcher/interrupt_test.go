package watcher

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher/apitest"
)

// asked returns how Services were asked for: "list", "stream" for a streamed list, "watch" for a
// watch from a version, "head" for the look whether the server was set back.
func asked(srv *apitest.Server) []string {
	var out []string
	for _, r := range srv.Requests() {
		switch {
		case r.Resource != "services" || r.Verb != "list" && r.Verb != "watch":
		case r.Verb == "list" && r.Query.Get("limit") == "1":
			out = append(out, "head")
		case r.Verb == "list":
			out = append(out, "list")
		case r.Query.Get("sendInitialEvents") == "true":
			out = append(out, "stream")
		default:
			out = append(out, "watch")
		}
	}
	return out
}

func names(w *running) []string {
	var out []string
	for k := range w.services {
		out = append(out, k.Name)
	}
	slices.Sort(out)
	return out
}

// has waits until exactly these Services are known.
func (r *running) has(want ...string) {
	r.t.Helper()
	r.await(strings.Join(want, " "), func() bool { return slices.Equal(names(r), want) })
}

// TestInterruptions goes through what ends a watch, and holds how it is taken up again.
func TestInterruptions(t *testing.T) {
	tests := []struct {
		name string
		do   func(*apitest.Server)
		want []string // asked, from the interruption on
	}{
		{"cut", func(s *apitest.Server) { s.Cut() }, []string{"head", "watch"}},
		{"torn in the middle of an event", func(s *apitest.Server) { s.Tear() }, []string{"head", "watch"}},
		{
			"expired", func(s *apitest.Server) {
				s.Hold("services")
				s.Create(lb("missed"))
				s.Expire()
				s.Delete(lb("missed"))
				s.Cut()
				s.Release("services")
			},
			[]string{"head", "watch", "head", "stream"},
		},
		{
			"expired, no streamed lists", func(s *apitest.Server) {
				s.NoWatchList()
				s.Hold("services")
				s.Create(lb("missed"))
				s.Expire()
				s.Delete(lb("missed"))
				s.Cut()
				s.Release("services")
			},
			[]string{"head", "watch", "head", "stream", "list", "head", "watch"},
		},
		{
			"server error on the way back", func(s *apitest.Server) {
				failed := 0
				s.Before(func(_ *http.Request, r apitest.Request) error {
					if r.Resource == "services" && r.Verb == "watch" && failed < 2 {
						failed++
						return apierrors.NewInternalError(errFake)
					}
					return nil
				})
				s.Cut()
			},
			[]string{"head", "watch", "head", "watch", "head", "watch"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := apitest.Start(t)
			srv.Create(lb("a"))
			w := start(t, srv.Config())
			w.has("a")
			srv.Create(lb("b")) // the watch has passed something
			w.has("a", "b")
			before := len(asked(srv))
			tt.do(srv)
			srv.Create(lb("c"))
			w.has("a", "b", "c")
			srv.Create(lb("d")) // the way back is complete
			w.has("a", "b", "c", "d")
			if diff := cmp.Diff(tt.want, asked(srv)[before:]); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if got := w.State().words(); len(got) != 0 {
				t.Errorf("problems: %q", got)
			}
		})
	}
}

// TestSetBack: the server is restored from a backup, and silently stands before the version that we
// are at.
func TestSetBack(t *testing.T) {
	srv := apitest.Start(t)
	srv.Create(lb("a"))
	srv.Create(lb("b"))
	w := start(t, srv.Config())
	w.has("a", "b")
	backup := srv.Backup()
	srv.Delete(lb("b"))
	apitest.Edit(srv, lb("a"), "", func(s *corev1.Service) { s.Labels = map[string]string{"lost": "yes"} })
	srv.Create(lb("c"))
	w.has("a", "c")
	before := len(asked(srv))
	srv.Restore(backup)
	w.has("a", "b")
	if got := w.services[Key{Namespace: "d", Name: "a"}].Labels; got != "" {
		t.Errorf("labels of a are %s", got)
	}
	if diff := cmp.Diff([]string{"head", "head", "stream"}, asked(srv)[before:]); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}

var errFake = apierrors.NewBadRequest("made up by the test")

// TestPlainLists: a server without streamed lists is used as such, and that is no problem to
// anyone.
func TestPlainLists(t *testing.T) {
	srv := apitest.Start(t)
	srv.NoWatchList()
	for _, n := range []string{"a", "b", "c"} {
		srv.Create(lb(n))
	}
	w := start(t, srv.Config())
	w.has("a", "b", "c")
	w.awaitSynced()
	if diff := cmp.Diff([]string{"stream", "list"}, asked(srv)[:2]); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if got := w.State().words(); len(got) != 0 {
		t.Errorf("problems: %q", got)
	}
}

// TestRestart: the server goes and comes back on its port, with changes in between.
func TestRestart(t *testing.T) {
	srv := apitest.Start(t)
	srv.Create(lb("a"))
	w := start(t, srv.Config())
	w.has("a")
	w.awaitSynced()
	srv.Stop()
	w.await("the problem", func() bool {
		p := w.State().words()
		return len(p) == 1 && strings.HasPrefix(p[0], "API server "+srv.Config().Host+" unreachable: connection refused (since ")
	})
	contact := w.State().LastContact
	srv.Create(lb("b"))
	srv.Delete(lb("a"))
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	w.has("b")
	w.await("no problem", func() bool { return len(w.State().words()) == 0 })
	if !w.State().LastContact.After(contact) {
		t.Error("the last contact is that of before the restart")
	}
}

// TestForbidden: every right that is missing is named, and its return is noticed.
func TestForbidden(t *testing.T) {
	const who = `(User "system:serviceaccount:starling-system:starling" cannot `
	tests := []struct {
		denied []string
		want   string
	}{
		{[]string{"list services", "watch services"}, "forbidden by RBAC: list services " + who + `list resource "services")`},
		{[]string{"watch services"}, "forbidden by RBAC: watch services " + who + `watch resource "services")`},
		{[]string{"list nodes", "watch nodes"}, "forbidden by RBAC: list nodes " + who + `list resource "nodes")`},
		{[]string{"list endpointslices", "watch endpointslices"}, "forbidden by RBAC: list endpointslices " + who + `list resource "endpointslices")`},
		{[]string{"list namespaces", "watch namespaces"}, "forbidden by RBAC: list namespaces " + who + `list resource "namespaces")`},
		{[]string{"get namespaces"}, "forbidden by RBAC: get namespaces " + who + `get resource "namespaces")`},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.denied, ", "), func(t *testing.T) {
			t.Parallel()
			srv := apitest.Start(t)
			srv.Forbid(tt.denied...)
			w := start(t, srv.Config())
			w.await("the problem", func() bool {
				p := w.State().words()
				return len(p) == 1 && strings.HasPrefix(p[0], tt.want)
			})
			srv.Forbid()
			w.awaitSynced()
			w.await("no problem", func() bool { return len(w.State().words()) == 0 })
		})
	}
}

// TestSlowServer: a list that takes its time delays everything and breaks nothing.
func TestSlowServer(t *testing.T) {
	srv := apitest.Start(t)
	srv.Create(lb("a"))
	answer := make(chan struct{})
	asking := make(chan struct{}, 1)
	srv.Before(func(_ *http.Request, r apitest.Request) error {
		if r.Resource == "services" {
			asking <- struct{}{}
			<-answer
		}
		return nil
	})
	w := start(t, srv.Config())
	<-asking
	w.await("the nodes and endpoints", func() bool { return w.nodes.synced() && w.endpoints.synced() })
	if s := w.State(); s.Synced || !s.Stale || len(w.services) != 0 {
		t.Errorf("before the answer: %+v", s)
	}
	close(answer)
	w.has("a")
	if s := w.State(); !s.Synced || s.Stale {
		t.Errorf("after the answer: %+v", s)
	}
}

// TestHugeObjects: what is not ours is not kept, however large; what is ours is kept.
func TestHugeObjects(t *testing.T) {
	srv := apitest.Start(t)
	s := lb("huge")
	s.Annotations = map[string]string{
		"kubectl.kubernetes.io/last-applied-configuration": strings.Repeat("x", 200<<10),
		lease.LeaseAnnotation:                              strings.Repeat("y", 50<<10),
	}
	srv.Create(s)
	var hosts []string
	for i := range 1000 {
		hosts = append(hosts, "n"+string(rune('a'+i%26)))
	}
	srv.Create(endpointSlice("huge-1", "huge", hosts...))
	w := start(t, srv.Config())
	w.has("huge")
	w.awaitSynced()
	got := w.services[Key{Namespace: "d", Name: "huge"}]
	if len(got.Annotations) != 1 || len(got.Annotations[0][1]) != 50<<10 {
		t.Errorf("%d annotations kept, lease of %d bytes", len(got.Annotations), len(got.Annotations[0][1]))
	}
	if n := len(w.State().Endpoints[Key{Namespace: "d", Name: "huge"}].V4.Nodes); n != 26 {
		t.Errorf("%d nodes, want 26", n)
	}
	apitest.Edit(srv, s, "", func(s *corev1.Service) { s.Annotations = nil })
	w.await("the edit", func() bool { return w.services[Key{Namespace: "d", Name: "huge"}].Annotations == nil })
}
