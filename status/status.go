// Package status shows a speaker's snapshot to the world by HTTP:
//
//	/               a page for people, see docs/status-page.md
//	/api/v1/stream  what changes on the page, as server-sent events
//	/api/v1/view    a digest of who announces what, for the other speakers to compare, and what only this one finds, as JSON
//	/api/v1/others  what other speakers find and this one does not, as JSON
//	/api/v1/status  the snapshot as JSON, a contract: fields are only ever added
//	/api/v1/who     the ranking of the address in the parameter ip, as JSON: who announces it, and why not the others
//	/api/v1/leases  what each Service holds of addresses, as JSON
//	/api/v1/events  the last lines of the log at level info and above, as JSON
//	/api/v1/doctor  what an examination of this node finds, as JSON
//	/healthz        200 as long as the loop takes turns; anything else asks for a restart
//	/readyz         200, or 503 with the reasons as text, one a line
//	/metrics        for Prometheus
//
// Every speaker serves its own view of the whole mesh. While somebody looks at the page it asks the
// others for theirs, at the same port of their gossip addresses, in plain or by TLS as it serves
// itself (see peer.go), and shows where they differ. Everything is read-only: GET and HEAD, nothing
// else. The server decides nothing; what many watch is made once for all of them, and nothing is
// made while nobody does. A port that is taken is reported as a problem and tried again, because
// addresses must be announced whether or not anybody can watch.
package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/doctor"
)

const (
	retry    = time.Second            // between two attempts to listen
	goodbye  = 500 * time.Millisecond // for requests under way when the server stops
	maxHead  = 16 << 10               // bytes of a request's header
	headTime = 5 * time.Second        // to send a request
	bodyTime = 30 * time.Second       // to take the answer, which can be megabytes
	idleTime = time.Minute
)

// Config is what the server shows and where.
type Config struct {
	Addr     string              // to listen on, host:port; port 0 takes any
	Snapshot func() api.Snapshot // asked at every request, from many goroutines
	Who      func(netip.Addr) api.Who
	Leases   func() []api.Lease
	Events   func() []json.RawMessage            // the last lines of the log, the oldest first
	Doctor   func(context.Context) doctor.Report // examines the node
	Healthy  func() error                        // nil as long as a restart would cure nothing
	Gatherer prometheus.Gatherer                 // of /metrics; nil: none
	Registry prometheus.Registerer               // takes the server's own metrics; nil registers none
	Fellows  func(netip.Addr) bool               // whether it is another node's address; nil: none is
	Cert     Certificate                         // to speak TLS with, except on the loopback; nil: plain HTTP
	Allow    Allow                               // who may ask, see guard; nil: everybody
	Secrets  Secrets                             // by which speakers know each other, see peer.go; needed with Cert
	Log      zerolog.Logger

	who func(remote netip.Addr) kind // in tests, which have only the loopback; else nil
}

// Server serves one speaker's view. All methods may be called from any goroutine.
type Server struct {
	cfg     Config
	handler http.Handler
	bounds  *bounds
	stop    chan struct{}            // closed when Run is to end, for streams
	problem atomic.Pointer[string]   // why nobody can ask; nil when listening
	addr    atomic.Pointer[net.Addr] // nil when not listening
}

// New makes a server; Run starts it.
func New(cfg Config) *Server {
	s := &Server{cfg: cfg, stop: make(chan struct{})}
	s.bounds = newBounds(cfg.Registry)
	s.handler = newHandler(cfg, s.bounds, s.stop, s.port)
	return s
}

// Run serves until ctx ends, and returns nil; it may be called once. When the address cannot be
// listened on, it goes on trying.
func (s *Server) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { close(s.stop) })()
	for ctx.Err() == nil {
		if err := s.serve(ctx); err != nil && ctx.Err() == nil {
			s.fail(err)
			pause(ctx, retry)
		}
	}
	return nil
}

// serve listens and answers until ctx ends or the listener fails.
func (s *Server) serve(ctx context.Context) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("status page: %w", err)
	}
	s.open(ln.Addr())
	defer s.addr.Store(nil)
	ln = doors{ln, s.cfg.visitorOf, s.bounds.connections, s.bounds.refused.WithLabelValues("connections")}
	if s.cfg.Cert != nil {
		ln = secureListener{ln, tlsConfig(s.cfg.Cert)}
	}
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headTime,
		ReadTimeout:       headTime,
		WriteTimeout:      bodyTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHead,
		ErrorLog:          newErrorLog(s.cfg.Log, zerolog.DebugLevel),
	}
	if err := serveUntil(ctx, srv, ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("status page: %w", err)
	}
	return nil
}

// serveUntil serves until ctx ends, and then until the requests under way have ended.
func serveUntil(ctx context.Context, srv *http.Server, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		stop(srv)
	}()
	err := srv.Serve(ln)
	cancel() // when the listener failed
	<-stopped
	return err
}

// stop lets requests under way end, for a moment.
func stop(srv *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	if srv.Shutdown(ctx) != nil {
		srv.Close() // whoever still reads has had their time
	}
}

// open notes that the server listens.
func (s *Server) open(addr net.Addr) {
	s.addr.Store(&addr)
	s.problem.Store(nil)
	s.cfg.Log.Info().Str("addr", addr.String()).Msg("serving the status page")
}

// fail notes why the server does not listen, and logs it when it is news.
func (s *Server) fail(err error) {
	words := err.Error()
	if old := s.problem.Swap(&words); old == nil || *old != words {
		s.cfg.Log.Warn().Err(err).Msg("cannot serve the status page")
	}
}

// Problems says in words why nobody can ask this server, nil when anybody can.
func (s *Server) Problems() []string {
	if p := s.problem.Load(); p != nil {
		return []string{*p}
	}
	return nil
}

// Addr is the address that the server listens on, "" when it does not.
func (s *Server) Addr() string {
	if a := s.addr.Load(); a != nil {
		return (*a).String()
	}
	return ""
}

// port is the one that this server listens at, as do those of the other speakers, "" when it does
// not.
func (s *Server) port() string {
	_, port, _ := net.SplitHostPort(s.Addr())
	return port
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
