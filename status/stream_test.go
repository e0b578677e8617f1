package status

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/api"
)

// watcher is a client of the stream, as the server sees it.
type watcher struct {
	head   http.Header
	broken error // to fail with
	events chan event

	text  strings.Builder // since the last event
	until time.Time
}

// event is what a client got, and until when it had time to take it.
type event struct {
	text  string
	until time.Time
}

func newWatcher() *watcher { return &watcher{head: http.Header{}, events: make(chan event, 100)} }

func (w *watcher) Header() http.Header { return w.head }
func (w *watcher) WriteHeader(int)     {}

func (w *watcher) Write(p []byte) (int, error) {
	if w.broken != nil {
		return 0, w.broken
	}
	return w.text.Write(p)
}

// Flush takes what was written as one event.
func (w *watcher) Flush() {
	w.events <- event{w.text.String(), w.until}
	w.text.Reset()
}

func (w *watcher) SetWriteDeadline(t time.Time) error {
	w.until = t
	return nil
}

// watch lets a client watch until ctx ends; the channel that it returns is closed at the end.
func watch(ctx context.Context, h http.Handler, w http.ResponseWriter, path string) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, http.NoBody))
	}()
	return done
}

// partsOf reads an event.
func partsOf(t *testing.T, e event) map[string]string {
	t.Helper()
	data, ok := strings.CutPrefix(e.text, "event: parts\ndata: ")
	data, end := strings.CutSuffix(data, "\n\n")
	if !ok || !end || strings.Contains(data, "\n") {
		t.Fatalf("event %.100q", e.text)
	}
	var r map[string]string
	if err := json.Unmarshal([]byte(data), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// everything is all parts of a page.
var everything = []string{"addresses", "changes", "conflicts", "drawing", "head", "members", "pools"}

// A client gets everything first, then only what changes, all changes of a moment at once, and a
// sign of life when nothing does.
func TestStreamTellWhatChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		s := api.Snapshot{Node: "n1", Ready: true, VIPs: []api.VIP{{IP: "198.18.64.1", Owner: "n1"}, {IP: "198.18.64.2", Owner: "n1"}}}
		change := func(f func()) { mu.Lock(); defer mu.Unlock(); f() }
		h := handle(testConfig(func(c *Config) {
			c.Snapshot = func() api.Snapshot {
				mu.Lock()
				defer mu.Unlock()
				r := s
				r.VIPs = slices.Clone(s.VIPs)
				return r
			}
		}))
		ctx, cancel := context.WithCancel(t.Context())
		w := newWatcher()
		done := watch(ctx, h, w, "/api/v1/stream?q=64.1")
		first := <-w.events
		if !first.until.Equal(time.Now().Add(streamTime)) {
			t.Errorf("it has until %v to take an event", first.until)
		}
		parts := partsOf(t, first)
		if diff := cmp.Diff(everything, slices.Sorted(maps.Keys(parts))); diff != "" {
			t.Errorf("the first event (-want +got):\n%s", diff)
		}
		if !strings.Contains(parts["addresses"], "row-198.18.64.1") || strings.Contains(parts["addresses"], "row-198.18.64.2") {
			t.Error("the filter is not kept")
		}
		if got := w.head.Get("Content-Type"); got != "text/event-stream" {
			t.Errorf("content type %q", got)
		}
		start := time.Now()
		if e := <-w.events; e.text != "event: alive\ndata: {}\n\n" || time.Since(start) != streamBeat {
			t.Errorf("%q after %v", e.text, time.Since(start))
		}
		change(func() { s.VIPs[0].Owner = "n2" })
		change(func() { s.VIPs[1].Owner = "n2" })
		start = time.Now()
		parts = partsOf(t, <-w.events)
		if diff := cmp.Diff([]string{"addresses"}, slices.Sorted(maps.Keys(parts))); diff != "" {
			t.Errorf("after a move (-want +got):\n%s", diff)
		}
		if took := time.Since(start); took > streamTick {
			t.Errorf("a move is reported after %v", took)
		}
		change(func() { s.Pools = []api.Pool{{Name: "p"}} })
		if parts := partsOf(t, <-w.events); len(parts) != 1 || !strings.Contains(parts["pools"], "pool-p") {
			t.Errorf("after a new pool: %q", slices.Sorted(maps.Keys(parts)))
		}
		cancel()
		<-done
		if len(w.events) > 0 {
			t.Errorf("%d events more than changes", len(w.events))
		}
	})
}

// So many of one address may watch, and no more until one of them goes.
func TestStreamAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := handle(testConfig(nil))
		ctx, cancel := context.WithCancel(t.Context())
		var first <-chan struct{}
		var all []<-chan struct{}
		firstCtx, firstGoes := context.WithCancel(ctx)
		for i := range newBounds(nil).streams.limits[stranger].each {
			if i == 0 {
				first = watch(firstCtx, h, newWatcher(), "/api/v1/stream")
				continue
			}
			all = append(all, watch(ctx, h, newWatcher(), "/api/v1/stream"))
		}
		synctest.Wait()
		late := httptest.NewRecorder()
		<-watch(ctx, h, late, "/api/v1/stream")
		if late.Code != http.StatusServiceUnavailable || late.Header().Get("Retry-After") != "10" || late.Body.String() != "too many streams are under way to here; try again later\n" {
			t.Errorf("one too many: code %d, %q", late.Code, late.Body)
		}
		firstGoes()
		<-first
		w := newWatcher()
		all = append(all, watch(ctx, h, w, "/api/v1/stream"))
		partsOf(t, <-w.events)
		cancel()
		for _, done := range all {
			<-done
		}
	})
}

// A stream ends with the server, and with a client that takes nothing; the log tells nobody of
// either.
func TestStreamEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		var logs strings.Builder
		h := newHandler(testConfig(func(c *Config) { c.Log = zerolog.New(&logs).Level(zerolog.InfoLevel) }), newBounds(nil), stop, func() string { return "" })
		gone := newWatcher()
		gone.broken = errors.New("broken pipe")
		<-watch(t.Context(), h, gone, "/api/v1/stream")

		w := newWatcher()
		done := watch(t.Context(), h, w, "/api/v1/stream")
		<-w.events
		close(stop)
		<-done
		if logs.String() != "" {
			t.Errorf("logged %s", logs.String())
		}
	})
}

// Asking what there is does not open a stream.
func TestStreamHead(t *testing.T) {
	t.Parallel()
	rec := httptest.NewRecorder()
	handle(testConfig(nil)).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodHead, "/api/v1/stream", http.NoBody))
	if rec.Code != 200 || rec.Header().Get("Content-Type") != "text/event-stream" || rec.Body.Len() > 0 {
		t.Errorf("code %d, %v, %d bytes", rec.Code, rec.Header(), rec.Body.Len())
	}
}

// On a real connection, an event arrives at once, and the end of the server is the end of the
// stream.
func TestRunEndsStreams(t *testing.T) {
	t.Parallel()
	logs := make(logLines, 10)
	s := New(testConfig(func(c *Config) { c.Log = zerolog.New(logs) }))
	end := start(t, s)
	logs.want(t, "serving the status page")
	resp, err := http.Get("http://" + s.Addr() + "/api/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	begin := make([]byte, len("event: parts\n"))
	if _, err := resp.Body.Read(begin); err != nil || string(begin) != "event: parts\n" {
		t.Errorf("read %q: %v", begin, err)
	}
	began := time.Now()
	end()
	if took := time.Since(began); took >= goodbye {
		t.Errorf("the end took %v, as long as a request that hangs", took)
	}
}
