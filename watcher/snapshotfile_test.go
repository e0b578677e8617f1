package watcher

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher/apitest"
)

func stateDir(dir string) func(*Config) { return func(c *Config) { c.StateDir = dir } }

// TestStartWithoutServer is the whole story of the file: written while all is well, read by the
// next process that finds no API server, and replaced by what the server says when it is back.
func TestStartWithoutServer(t *testing.T) {
	dir := t.TempDir()
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		s := lb("web")
		s.Annotations = map[string]string{lease.LeaseAnnotation: "bound"}
		srv.Create(s)
		srv.Create(lb("gone-later"))
		srv.Create(clusterIP("internal"))
		srv.Create(node("n1", "198.18.0.1"))
		srv.Create(endpointSlice("web-1", "web", "n1"))
		srv.Create(endpointSlice("internal-1", "internal", "n1"))
		first := start(t, config, stateDir(dir))
		first.awaitSynced()
		time.Sleep(saveEvery + time.Second)
		if err := first.end(); err != nil {
			t.Fatal(err)
		}
		known, contact := first.services, first.State().LastContact
		srv.Stop()
		time.Sleep(time.Hour)

		second := start(t, config, stateDir(dir))
		begin := time.Now()
		second.has("gone-later", "web")
		if took := time.Since(begin); took > snapshotWait {
			t.Errorf("took %s", took)
		}
		st := second.State()
		if diff := cmp.Diff(known, second.services); diff != "" {
			t.Errorf("services (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[Key]Endpoints{{Namespace: "d", Name: "web"}: {V4: found([]string{"n1"})}}, st.Endpoints); diff != "" {
			t.Errorf("endpoints (-want +got):\n%s", diff)
		}
		if st.Synced || !st.Stale || len(st.Nodes) != 1 || !st.LastContact.Equal(contact) || st.Cluster != first.State().Cluster {
			t.Errorf("state %+v, want contact %s", st, contact)
		}

		srv.Delete(lb("gone-later"))
		srv.Create(lb("new"))
		again := srv.ListenPipe()
		third := start(t, again, stateDir(dir))
		third.await("sync", func() bool { return third.State().Synced && !third.State().Stale })
		if diff := cmp.Diff(map[string]bool{"d/new": true, "d/web": true}, set(third.versions())); diff != "" {
			t.Errorf("services (-want +got):\n%s", diff)
		}
	})
}

func set(m map[string]string) map[string]bool {
	out := map[string]bool{}
	for k := range m {
		out[k] = true
	}
	return out
}

// TestServerComesBack: what came from the file is reset by the first list.
func TestServerComesBack(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, saved{Cluster: "", Services: []*Service{at("old", "u1", "5")}})
	srv := apitest.Start(t)
	srv.Create(lb("web"))
	config := srv.Config()
	srv.Stop()
	w := start(t, config, stateDir(dir))
	w.has("old")
	if !w.State().Stale {
		t.Error("not stale")
	}
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	var reset bool
	w.await("the list", func() bool { reset = !w.State().Stale; return reset })
	w.has("web")
}

func write(t *testing.T, dir string, s saved) {
	t.Helper()
	s.Contact = time.Now()
	if err := os.WriteFile(filepath.Join(dir, snapshotName), []byte(encoded(t, s)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestSlowStart: a server that answers late is waited for, and the file of another cluster is not
// used.
func TestSlowStart(t *testing.T) {
	tests := []struct {
		name    string
		cluster string
		denied  []string
		want    []string
	}{
		{"the server answers", "", nil, []string{"web"}},
		{"only Services are refused", "", []string{"list services", "watch services"}, []string{"old"}},
		{"and the file is another cluster's", "other", []string{"list services", "watch services"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, saved{Cluster: tt.cluster, Services: []*Service{at("old", "u1", "5")}})
			virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
				srv.Create(lb("web"))
				srv.Forbid(tt.denied...)
				w := start(t, config, stateDir(dir))
				time.Sleep(snapshotWait + time.Second)
				synctest.Wait()
				w.apply()
				if diff := cmp.Diff(tt.want, names(w)); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestSaving: written soon after Services change, later for endpoints alone, not at all for
// nothing, and at the end.
func TestSaving(t *testing.T) {
	dir := t.TempDir()
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		srv.Create(lb("web"))
		w := start(t, config, stateDir(dir))
		w.awaitSynced()
		time.Sleep(2 * saveEvery)
		steps := []struct {
			name   string
			do     func()
			sleep  time.Duration
			writes float64
		}{
			{"nothing", func() {}, time.Hour, 0},
			{"a Service", func() {
				apitest.Edit(srv, lb("web"), "", func(s *corev1.Service) { s.Labels = map[string]string{"a": "b"} })
			}, saveEvery, 1},
			{"what is not kept", func() { srv.Create(clusterIP("internal")) }, time.Hour, 0},
			{"a node", func() { srv.Create(node("n1", "198.18.0.1")) }, saveEvery, 1},
			{"endpoints", func() { srv.Create(endpointSlice("web-1", "web", "n1")) }, saveEvery, 0},
			{"a minute later", func() {}, time.Minute, 1},
			{"the end comes soon", func() { srv.Create(lb("last")); synctest.Wait(); _ = w.end() }, 0, 1},
		}
		for _, st := range steps {
			before := w.metric(w.metrics.snapshots.WithLabelValues("written"))
			st.do()
			time.Sleep(st.sleep)
			synctest.Wait()
			if n := w.metric(w.metrics.snapshots.WithLabelValues("written")) - before; n != st.writes {
				t.Errorf("%s: %v writes, want %v", st.name, n, st.writes)
			}
		}
		s, ok := w.saved.read()
		if !ok || len(s.Services) != 2 {
			t.Errorf("the file has %+v", s)
		}
	})
}

// TestFileTime: in an idle cluster the file still says when the server was last heard.
func TestFileTime(t *testing.T) {
	dir := t.TempDir()
	virtual(t, func(t *testing.T, _ *apitest.Server, config *rest.Config) {
		w := start(t, config, stateDir(dir))
		w.awaitSynced()
		for range 30 {
			time.Sleep(time.Minute)
			synctest.Wait()
			s, ok := w.saved.read()
			if age := time.Since(s.Contact); !ok || age > saveContact+2*quiet {
				t.Fatalf("the file is of %s ago", age)
			}
		}
	})
}

// TestNoStateDir: without a directory nothing is written anywhere.
func TestNoStateDir(t *testing.T) {
	t.Chdir(t.TempDir())
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		srv.Create(lb("web"))
		w := start(t, config)
		w.has("web")
		time.Sleep(time.Minute)
		_ = w.end()
	})
	if left, err := os.ReadDir("."); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}
