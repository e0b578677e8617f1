package status

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/starling-lb/starling/api"
)

// What is asked for at one moment is made once, and made anew later.
func TestAnswersAreShared(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]int64{"/api/v1/status": 1, "/api/v1/view": 1, "/readyz": 1, "/api/v1/leases": 0} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var made atomic.Int64
				h := handle(testConfig(func(c *Config) {
					c.Snapshot = func() api.Snapshot {
						made.Add(1)
						return api.Snapshot{Node: "n1", Ready: true}
					}
				}))
				for round := range int64(3) {
					for range 5 {
						go func() {
							w := httptest.NewRecorder()
							if h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody)); w.Code != http.StatusOK {
								t.Errorf("code %d", w.Code)
							}
						}()
					}
					time.Sleep(2 * shareAge)
					if got := made.Load(); got != want*(round+1) {
						t.Errorf("%d snapshots after round %d, want %d", got, round, want*(round+1))
					}
				}
			})
		})
	}
}

// A client that takes nothing is given up after chunkTime, one that takes little after bodyTime.
func TestSlowReadersEnd(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		pace time.Duration // for a chunk
		want time.Duration // until the end
	}{
		"takes nothing":  {time.Hour, chunkTime},
		"takes a little": {4 * time.Second, bodyTime},
		"is quick":       {time.Millisecond, 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := &slow{ResponseRecorder: httptest.NewRecorder(), pace: tt.pace}
				began := time.Now()
				send(w, http.StatusOK, "text/plain", make([]byte, 100*chunk))
				if took := time.Since(began); took != tt.want {
					t.Errorf("it took %v, want %v", took, tt.want)
				}
			})
		})
	}
}

// slow takes each part of an answer in its own time, up to the limit.
type slow struct {
	*httptest.ResponseRecorder
	pace  time.Duration
	until time.Time
}

func (s *slow) SetWriteDeadline(until time.Time) error {
	s.until = until
	return nil
}

func (s *slow) Write(p []byte) (int, error) {
	if rest := time.Until(s.until); s.pace > rest {
		time.Sleep(rest)
		return 0, http.ErrHandlerTimeout
	}
	time.Sleep(s.pace)
	return len(p), nil
}

// Of one visitor so many answers are under way and no more, probes left out; what is refused is
// counted.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		b := newBounds(reg)
		h := newHandler(testConfig(nil), b, nil, func() string { return "" })
		ask := func(from, path string) int {
			w := &slow{ResponseRecorder: httptest.NewRecorder(), pace: time.Second}
			r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
			r.RemoteAddr = from + ":4000"
			h.ServeHTTP(w, r)
			return w.Code
		}
		for range b.answers.limits[stranger].each {
			go ask("198.18.0.9", "/api/v1/status")
		}
		synctest.Wait()
		var mu sync.Mutex // guards got
		got := map[string]int{}
		for _, from := range []string{"198.18.0.9", "198.18.0.10", "127.0.0.1"} {
			for _, path := range []string{"/api/v1/leases", "/healthz", "/readyz"} {
				go func() {
					code := ask(from, path)
					mu.Lock()
					defer mu.Unlock()
					got[from+path] = code
				}()
				synctest.Wait()
			}
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		want := map[string]int{
			"198.18.0.9/api/v1/leases": 503, "198.18.0.9/healthz": 200, "198.18.0.9/readyz": 200,
			"198.18.0.10/api/v1/leases": 200, "198.18.0.10/healthz": 200, "198.18.0.10/readyz": 200,
			"127.0.0.1/api/v1/leases": 200, "127.0.0.1/healthz": 200, "127.0.0.1/readyz": 200,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("codes (-want +got):\n%s", diff)
		}
		counted := "# HELP starling_status_refused_total What the status server refused because a limit was reached, by reason: connections, answers, streams, bytes (of answers under way).\n" +
			"# TYPE starling_status_refused_total counter\n" +
			"starling_status_refused_total{reason=\"answers\"} 1\nstarling_status_refused_total{reason=\"bytes\"} 0\n" +
			"starling_status_refused_total{reason=\"connections\"} 0\nstarling_status_refused_total{reason=\"streams\"} 0\n"
		if err := testutil.GatherAndCompare(reg, strings.NewReader(counted)); err != nil {
			t.Error(err)
		}
	})
}

// The answer of another speaker is read up to what a status of this mesh can be.
func TestLongAnswersAreNotRead(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(strings.Repeat(" ", maxView+1)))
	}))
	t.Cleanup(srv.Close)
	if _, err := (peers{}).get(t.Context(), srv.URL, "/api/v1/view", maxView); err == nil || !strings.Contains(err.Error(), "it is longer than 262144 bytes") {
		t.Errorf("error %v", err)
	}
	if body, err := (peers{}).get(t.Context(), srv.URL, "/api/v1/view", maxView+1); len(body) != maxView+1 || err != nil {
		t.Errorf("%d bytes, %v", len(body), err)
	}
}
