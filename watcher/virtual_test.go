package watcher

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/starling-lb/starling/watcher/apitest"
	"github.com/starling-lb/starling/watcher/kube"
)

// virtual runs a test in virtual time against a server reached in memory.
func virtual(t *testing.T, test func(t *testing.T, srv *apitest.Server, config *rest.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := apitest.New()
		config := srv.ListenPipe()
		t.Cleanup(srv.Stop)
		test(t, srv, config)
	})
}

// TestContactOfAnIdleCluster: nothing happens for ten minutes, and yet the last contact is never
// old.
func TestContactOfAnIdleCluster(t *testing.T) {
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		w := start(t, config)
		w.awaitSynced()
		for range 600 {
			time.Sleep(time.Second)
			if age := time.Since(w.State().LastContact); age > quiet+probeEvery {
				t.Fatalf("last contact is %s old", age)
			}
		}
		probes := 0
		for _, r := range srv.Requests() {
			if r.Verb == "get" {
				probes++
			}
		}
		if probes < 20 || probes > 70 {
			t.Errorf("%d probes in ten minutes", probes)
		}
	})
}

// TestContactOfABusyCluster: events alone prove contact.
func TestContactOfABusyCluster(t *testing.T) {
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		w := start(t, config)
		w.awaitSynced()
		synctest.Wait()
		before := len(srv.Requests())
		for i := range 60 {
			time.Sleep(3 * time.Second)
			srv.Create(clusterIP("s" + string(rune('A'+i))))
			synctest.Wait()
			if age := time.Since(w.State().LastContact); age > 0 {
				t.Fatalf("last contact is %s old after an event", age)
			}
		}
		if n := len(srv.Requests()) - before; n != 0 {
			t.Errorf("%d requests although events came all the time", n)
		}
	})
}

// TestNoContactWithoutServices: an API server that answers everything but the watch of Services
// keeps us in the dark.
func TestNoContactWithoutServices(t *testing.T) {
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		w := start(t, config)
		w.awaitSynced()
		srv.Forbid("watch services", "list services")
		srv.Cut()
		time.Sleep(time.Minute)
		if age := time.Since(w.State().LastContact); age < 50*time.Second {
			t.Errorf("last contact %s ago without a watch of Services", age)
		}
		srv.Forbid()
		time.Sleep(10 * time.Second)
		if age := time.Since(w.State().LastContact); age > 10*time.Second {
			t.Errorf("last contact %s ago after the rights came back", age)
		}
	})
}

// TestFrozenServer: connections stay open and nothing is answered.
func TestFrozenServer(t *testing.T) {
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		w := start(t, config)
		w.awaitSynced()
		synctest.Wait() // for the first probe
		srv.Before(func(q *http.Request, _ apitest.Request) error {
			<-q.Context().Done()
			return q.Context().Err()
		})
		time.Sleep(30 * time.Second)
		want := "API server http://apitest unreachable: no answer in time (since 10s)"
		if got := w.State().words(); len(got) != 1 || got[0] != want {
			t.Errorf("problems %q, want %q", got, want)
		}
		srv.Before(nil)
		time.Sleep(10 * time.Second)
		if got := w.State().words(); len(got) != 0 {
			t.Errorf("problems after the server woke: %q", got)
		}
	})
}

// TestPauseBetweenAttempts: an API server that is away is asked often enough to be found within 3
// s, and not more.
func TestPauseBetweenAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		config := &rest.Config{Host: "http://apitest", Dial: func(context.Context, string, string) (net.Conn, error) {
			dials.Add(1)
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}}
		w := start(t, config)
		time.Sleep(time.Second)
		synctest.Wait()
		if n := dials.Swap(0); n < 6 {
			t.Errorf("%d attempts in the first second", n)
		}
		time.Sleep(60 * time.Second)
		if n := dials.Load(); n < 4*20 || n > 4*30+13 { // 13 probes
			t.Errorf("%d attempts of four streams in a minute", n)
		}
		want := "API server http://apitest unreachable: connection refused (since 1m1s)"
		if got := w.State().words(); len(got) != 1 || got[0] != want {
			t.Errorf("problems %q, want %q", got, want)
		}
		begin := time.Now()
		if err := w.end(); err != nil || time.Since(begin) != 0 {
			t.Errorf("Run: %v, after %s", err, time.Since(begin))
		}
	})
}

// TestTimeoutIsNoContact: client-go takes a connection that fails in some ways for a watch without
// events.
func TestTimeoutIsNoContact(t *testing.T) {
	for name, failure := range map[string]error{"timeout": os.ErrDeadlineExceeded, "end": io.EOF, "reset": syscall.ECONNRESET} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, &rest.Config{Host: "http://apitest", Dial: func(context.Context, string, string) (net.Conn, error) {
					return nil, &net.OpError{Op: "dial", Err: failure}
				}})
				time.Sleep(time.Minute)
				s := w.State()
				if !s.LastContact.IsZero() || len(s.words()) != 1 {
					t.Errorf("contact %s, problems %q", s.LastContact, s.words())
				}
				if n := w.metric(w.metrics.lists.WithLabelValues("services")); n != 0 {
					t.Errorf("%v plain lists tried, although nothing says that the server has no streamed ones", n)
				}
			})
		})
	}
}

// TestServerAsksForPatience: 429 with Retry-After is obeyed.
func TestServerAsksForPatience(t *testing.T) {
	virtual(t, func(t *testing.T, srv *apitest.Server, config *rest.Config) {
		var asked atomic.Int32
		srv.Before(func(_ *http.Request, r apitest.Request) error {
			if r.Resource != "services" {
				return nil
			}
			asked.Add(1)
			return apierrors.NewTooManyRequests("slow down", 4)
		})
		w := start(t, config)
		time.Sleep(39 * time.Second)
		synctest.Wait()
		if n := asked.Load(); n != 10 {
			t.Errorf("asked %d times in 39 s, want 10", n)
		}
		if got := w.State().words(); len(got) != 0 {
			t.Logf("problems meanwhile: %q", got)
		}
		srv.Before(nil)
		time.Sleep(5 * time.Second)
		w.awaitSynced()
	})
}

// TestForeign: the process came up with the snapshot file of another cluster.
func TestForeign(t *testing.T) {
	virtual(t, func(t *testing.T, _ *apitest.Server, config *rest.Config) {
		c, err := kube.NewClient(config)
		if err != nil {
			t.Fatal(err)
		}
		w, err := New(Config{Client: c})
		if err != nil {
			t.Fatal(err)
		}
		w.health.isCluster("another")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := w.Run(ctx); !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "http://apitest") {
			t.Errorf("Run: %v", err)
		}
	})
}
