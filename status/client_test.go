package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/api"
)

// snapshotPath is what is asked for.
const snapshotPath = "api/v1/status"

func TestGet(t *testing.T) {
	t.Parallel()
	want := api.Snapshot{
		Node: "n1", Ready: true, Reasons: []string{}, Problems: []string{},
		Members:   []api.Member{{Name: "n1", State: "alive", Segments: []string{"198.18.0.0/24"}, Keys: []string{"0a0b0c0d"}}},
		VIPs:      []api.VIP{{IP: "198.18.64.1", Services: []string{"a/b"}, Since: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}},
		Pools:     []api.Pool{},
		Conflicts: []api.Conflict{},
	}
	srv := httptest.NewServer(handle(testConfig(func(c *Config) { c.Snapshot = func() api.Snapshot { return want } })))
	t.Cleanup(srv.Close)
	for _, base := range []string{srv.URL, srv.URL + "/"} {
		body, err := Get(t.Context(), base, snapshotPath)
		if err != nil {
			t.Fatal(err)
		}
		var got api.Snapshot
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", base, diff)
		}
	}
}

func TestGetErrors(t *testing.T) {
	t.Parallel()
	answers := func(code int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(code)
			fmt.Fprint(w, body)
		}
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"another status", answers(503, "text/plain", "sorry\nmore"), `it answers 503 Service Unavailable: "sorry"`},
		{"another service", answers(200, "text/html; charset=utf-8", "<html>"), `it answers with "text/html", so this is no speaker`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(tt.handler)
			t.Cleanup(srv.Close)
			got, err := Get(t.Context(), srv.URL, snapshotPath)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "ask "+srv.URL+"/api/v1/status: ") {
				t.Errorf("error %v does not tell %q and whom", err, tt.want)
			}
			if got != nil {
				t.Errorf("%q in spite of the error", got)
			}
		})
	}
}

func TestGetWithoutAServer(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + ln.Addr().String()
	ln.Close()
	_, err = Get(t.Context(), base, snapshotPath)
	want := "ask " + base + "/api/v1/status: dial tcp " + ln.Addr().String() + ": connect: connection refused"
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestGetGivesUp(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	t.Cleanup(srv.Close)
	patience := errors.New("waited long enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() { <-asked; cancel(patience) }()
	_, err := Get(ctx, srv.URL, snapshotPath)
	if !errors.Is(err, patience) || !strings.Contains(err.Error(), "no answer: waited long enough") {
		t.Errorf("error %v", err)
	}
}

func TestGetFromNowhere(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "localhost:7928", "198.18.0.1:7928", "ftp://n1", "http://", "http://a b", "://"} {
		_, err := Get(t.Context(), base, snapshotPath)
		if err == nil || !strings.Contains(err.Error(), "is not a URL like http://localhost:7928") {
			t.Errorf("%q: error %v", base, err)
		}
	}
}
