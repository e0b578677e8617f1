package status

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/doctor"
)

func TestRunServesUntilTheEnd(t *testing.T) {
	t.Parallel()
	logs := make(logLines, 10)
	s := New(testConfig(func(c *Config) { c.Log = zerolog.New(logs) }))
	end := start(t, s)
	logs.want(t, "serving the status page")

	resp, err := http.Get("http://" + s.Addr() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("status %d, want 200", resp.StatusCode)
	}
	if p := s.Problems(); p != nil {
		t.Errorf("problems %q", p)
	}
	addr := s.Addr()
	end()
	if got := s.Addr(); got != "" {
		t.Errorf("listens on %s after the end", got)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Errorf("somebody still answers on %s", addr)
	}
}

func TestRunTriesABusyPortAgain(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	logs := make(logLines, 10)
	s := New(testConfig(func(c *Config) {
		c.Addr = busy.Addr().String()
		c.Log = zerolog.New(logs)
	}))
	start(t, s)
	logs.want(t, "cannot serve the status page")
	if p := s.Problems(); len(p) != 1 || !strings.Contains(p[0], busy.Addr().String()+": bind: address already in use") {
		t.Errorf("problems %q do not name the port", p)
	}
	if got := s.Addr(); got != "" {
		t.Errorf("says that it listens on %s", got)
	}
	busy.Close()
	logs.want(t, "serving the status page")
	if p := s.Problems(); p != nil {
		t.Errorf("problems %q after the port came free", p)
	}
	if got := s.Addr(); got != busy.Addr().String() {
		t.Errorf("listens on %q, want %s", got, busy.Addr())
	}
}

func TestRunWithAnImpossibleAddressEnds(t *testing.T) {
	t.Parallel()
	logs := make(logLines, 10)
	s := New(testConfig(func(c *Config) {
		c.Addr = "198.18.255.254:1" // of no interface
		c.Log = zerolog.New(logs)
	}))
	end := start(t, s)
	logs.want(t, "cannot serve the status page")
	end()
}

// A request that is under way does not hold the end of the program up for long.
func TestRunEndsWithARequestUnderWay(t *testing.T) {
	t.Parallel()
	asked, never := make(chan struct{}), make(chan struct{})
	defer close(never)
	logs := make(logLines, 10)
	s := New(testConfig(func(c *Config) {
		c.Log = zerolog.New(logs)
		c.Healthy = func() error { close(asked); <-never; return nil }
	}))
	end := start(t, s)
	logs.want(t, "serving the status page")
	go func() {
		if resp, err := http.Get("http://" + s.Addr() + "/healthz"); err == nil {
			resp.Body.Close()
		}
	}()
	<-asked
	end()
}

// A request that ends soon gets its answer: it ends after the server was told to stop, and Run
// waits.
func TestRunLetsARequestEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	asked := make(chan struct{})
	logs := make(logLines, 10)
	s := New(testConfig(func(c *Config) {
		c.Log = zerolog.New(logs)
		c.Healthy = func() error { close(asked); <-ctx.Done(); return nil }
	}))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	logs.want(t, "serving the status page")
	code := make(chan int, 1)
	go func() {
		resp, err := http.Get("http://" + s.Addr() + "/healthz")
		if err != nil {
			t.Error(err)
			code <- 0
			return
		}
		resp.Body.Close()
		code <- resp.StatusCode
	}()
	<-asked
	cancel()
	if got := <-code; got != http.StatusOK {
		t.Errorf("status %d, want 200", got)
	}
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestErrorLog(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		level zerolog.Level
		line  string
		want  string
	}{
		{"a client's doing", zerolog.DebugLevel, "http: TLS handshake error\n", "debug"},
		{"a panic", zerolog.DebugLevel, "http: panic serving 198.18.0.9\n", "error"},
		{"a metric that cannot be read", zerolog.ErrorLevel, "error gathering metrics\n", "error"},
	}
	for _, tt := range tests {
		var buf bytes.Buffer
		newErrorLog(zerolog.New(&buf), tt.level).Print(tt.line)
		var got map[string]string
		if err := json.Unmarshal(buf.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"level": tt.want, "message": "http server", "reason": strings.TrimSpace(tt.line)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// start runs s; the function it returns ends it and checks that it ended well.
func start(t *testing.T, s *Server) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var ended bool
	end = func() {
		if ended {
			return
		}
		ended = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(end)
	return end
}

func testConfig(change func(*Config)) Config {
	c := Config{
		Addr:     "127.0.0.1:0",
		Snapshot: func() api.Snapshot { return api.Snapshot{Node: "n1", Ready: true} },
		Who:      func(ip netip.Addr) api.Who { return api.Who{Node: "n1", IP: ip.String()} },
		Leases: func() []api.Lease {
			return []api.Lease{{Service: "a/b", By: "here", Holder: "n1", IPs: []api.LeaseItem{{IP: "198.18.64.1", Pool: "p", State: "bound"}}}}
		},
		Events: func() []json.RawMessage { return []json.RawMessage{json.RawMessage(`{"message":"announcing"}`)} },
		Doctor: func(context.Context) doctor.Report {
			return doctor.Report{Node: "n1", Checks: []doctor.Check{{Name: "keys", Result: doctor.OK}}}
		},
		Healthy: func() error { return nil },
		Log:     zerolog.Nop(),
	}
	if change != nil {
		change(&c)
	}
	return c
}

// handle is the handler of a server that does not stop and knows no other.
func handle(cfg Config) http.Handler {
	return newHandler(cfg, newBounds(nil), nil, func() string { return "" })
}

// logLines takes log lines one by one, so that a test can wait for one.
type logLines chan string

func (l logLines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func (l logLines) want(t *testing.T, words string) {
	t.Helper()
	select {
	case line := <-l:
		if !strings.Contains(line, `"message":"`+words+`"`) {
			t.Fatalf("logged %s, want %q", line, words)
		}
	case <-t.Context().Done():
		t.Fatalf("the test ended before %q was logged", words)
	}
}
