package status

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/status/page"
)

// handlers answer the endpoints from a Config.
type handlers struct {
	cfg    Config
	log    zerolog.Logger
	scenes *scenes
	bounds *bounds
	stop   <-chan struct{} // closed when streams are to end
}

// newHandler answers until stop is closed; port is where the other speakers serve their status.
func newHandler(cfg Config, b *bounds, stop <-chan struct{}, port func() string) http.Handler {
	if cfg.Gatherer == nil {
		cfg.Gatherer = prometheus.NewRegistry()
	}
	cfg.Snapshot = share(cfg.Snapshot)
	h := handlers{
		cfg: cfg, log: cfg.Log, stop: stop, bounds: b,
		scenes: &scenes{snapshot: cfg.Snapshot, views: &views{snapshot: cfg.Snapshot, port: port, stop: stop, peers: newPeers(cfg.Cert != nil, cfg.Secrets)}},
	}
	mux := http.NewServeMux() // a GET pattern takes HEAD too, and answers 405 to all others
	mux.HandleFunc("GET /{$}", h.page)
	mux.HandleFunc("GET /icon.svg", h.icon)
	mux.HandleFunc("GET "+streamPath, h.follow)
	mux.HandleFunc("GET /api/v1/view", asJSON(h, func() api.View { return viewOf(cfg.Snapshot()) }))
	mux.HandleFunc("GET /api/v1/others", h.others)
	mux.HandleFunc("GET /api/v1/status", asJSON(h, cfg.Snapshot))
	mux.HandleFunc("GET /api/v1/who", h.who)
	mux.HandleFunc("GET /api/v1/leases", asJSON(h, cfg.Leases))
	mux.HandleFunc("GET /api/v1/events", asJSON(h, h.events))
	mux.HandleFunc("GET /api/v1/doctor", func(w http.ResponseWriter, r *http.Request) { h.json(w, cfg.Doctor(r.Context())) })
	mux.HandleFunc("GET /healthz", h.healthz)
	mux.HandleFunc("GET /readyz", h.readyz)
	mux.HandleFunc("GET /metrics", h.metrics())
	return secure(h.bounded(guard(cfg.Allow, cfg.Secrets, h.source, cfg.Log, mux)))
}

// metrics answers Prometheus.
func (h handlers) metrics() http.HandlerFunc {
	all := promhttp.HandlerFor(sharedGatherer(h.cfg.Gatherer), promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, // one bad metric must not hide all others
		ErrorLog:      newErrorLog(h.log, zerolog.ErrorLevel),
	})
	return func(w http.ResponseWriter, r *http.Request) {
		b := &buffered{ResponseWriter: w, code: http.StatusOK}
		all.ServeHTTP(b, r)
		b.answer(w)
	}
}

// secure sets the headers that keep a browser from doing more with an answer than showing it.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", page.Policy)
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		next.ServeHTTP(w, r)
	})
}

func (h handlers) healthz(w http.ResponseWriter, _ *http.Request) {
	if err := h.cfg.Healthy(); err != nil {
		plain(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	plain(w, http.StatusOK, "ok")
}

func (h handlers) readyz(w http.ResponseWriter, _ *http.Request) {
	s := h.cfg.Snapshot()
	if s.Ready {
		plain(w, http.StatusOK, "ready")
		return
	}
	plain(w, http.StatusServiceUnavailable, reasons(s)...)
}

// reasons are why a speaker is not ready; there is always one.
func reasons(s api.Snapshot) []string {
	if len(s.Reasons) == 0 {
		return []string{"not ready"}
	}
	return s.Reasons
}

func plain(w http.ResponseWriter, code int, lines ...string) {
	var buf bytes.Buffer
	for _, l := range lines {
		fmt.Fprintln(&buf, l)
	}
	answer(w, code, "text/plain; charset=utf-8", buf.Bytes())
}

// broken answers a request that our own data could not be put into words for.
func (h handlers) broken(w http.ResponseWriter, err error) {
	h.log.Error().Err(err).Msg("cannot write an answer")
	plain(w, http.StatusInternalServerError, "internal error, see the log")
}
