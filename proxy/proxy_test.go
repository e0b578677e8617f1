package proxy

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// answering is a kube-proxy that answers each path with a code; a path without one is not found.
func answering(t *testing.T, codes map[string]int) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code, known := codes[r.URL.Path]
		if !known {
			code = http.StatusNotFound
		}
		w.WriteHeader(code)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// nobody is a port of the loopback that nobody listens on.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func always(servers ...string) func() []string { return func() []string { return servers } }

func TestLook(t *testing.T) {
	for _, tt := range []struct {
		name    string
		servers func(*testing.T) []string
		want    Health
		words   string // part of the reason
	}{
		{"healthy", func(t *testing.T) []string { return []string{answering(t, map[string]int{"/livez": 200})} }, Healthy, ""},
		{"not yet", func(t *testing.T) []string {
			return []string{answering(t, map[string]int{"/livez": 503, "/healthz": 200})}
		}, Unhealthy, "/livez answers 503"},
		{
			"the node is about to go",
			func(t *testing.T) []string {
				return []string{answering(t, map[string]int{"/livez": 200, "/healthz": 503})}
			},
			Healthy, "",
		},
		{"of an old release", func(t *testing.T) []string { return []string{answering(t, map[string]int{"/healthz": 200})} }, Healthy, ""},
		{"of an old release, not yet", func(t *testing.T) []string { return []string{answering(t, map[string]int{"/healthz": 503})} }, Unhealthy, "/healthz answers 503"},
		{"something else", func(t *testing.T) []string { return []string{answering(t, nil)} }, Unhealthy, "/healthz answers 404"},
		{"absent", func(t *testing.T) []string { return []string{nobody(t)} }, Absent, "nobody listens at http://127.0.0.1:"},
		{"no address", func(*testing.T) []string { return nil }, Absent, "nobody listens"},
		{
			"at the second address",
			func(t *testing.T) []string { return []string{nobody(t), answering(t, map[string]int{"/livez": 200})} },
			Healthy, "",
		},
		{
			"the first that is there counts",
			func(t *testing.T) []string {
				return []string{answering(t, map[string]int{"/livez": 503}), answering(t, map[string]int{"/livez": 200})}
			},
			Unhealthy, "answers 503",
		},
		{"no URL", func(*testing.T) []string { return []string{"http://[::1"} }, Unhealthy, "missing ']'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := New(Config{Servers: always(tt.servers(t)...), Log: zerolog.Nop()})
			got := m.look(t.Context())
			if got.Health != tt.want || !strings.Contains(got.Reason, tt.words) || (got.Reason == "") != (tt.words == "") {
				t.Errorf("%s, %q; want %s, %q", got.Health, got.Reason, tt.want, tt.words)
			}
		})
	}
}

// TestRun follows a kube-proxy that comes up.
func TestRun(t *testing.T) {
	var code atomic.Int32
	code.Store(http.StatusServiceUnavailable)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(code.Load())) }))
	defer server.Close()
	m := New(Config{Servers: always(server.URL), Log: zerolog.Nop()})
	if s := m.State(); s.Health != Unknown {
		t.Errorf("%s before anybody was asked", s.Health)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	for _, want := range []Health{Unhealthy, Healthy} {
		select {
		case <-m.Changed():
		case <-ctx.Done():
			t.Fatalf("never %s", want)
		}
		if s := m.State(); s.Health != want {
			t.Fatalf("%s, %q; want %s", s.Health, s.Reason, want)
		}
		code.Store(http.StatusOK)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
