// Package proxy finds out whether the node forwards what comes for Services: it
// asks kube-proxy, where there is one.
//
// kube-proxy answers on a port of the node, by default 10256, with 200 as soon as
// it has programmed its rules once, and with 503 before that or when it cannot keep up.
// It is asked at /livez, because /healthz says no also when the node is about to be
// deleted; before Kubernetes 1.28 there was only /healthz. Networks that bring their own data
// plane (Cilium, kube-router) have nobody on that port, which looks the same as a
// kube-proxy that has not been started yet; who asks must know from elsewhere which it is.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

const (
	pause   = 250 * time.Millisecond // between two rounds: others take over within 3 s when kube-proxy ends
	respite = 2 * time.Second        // for one answer
)

// Health is what is known of kube-proxy.
type Health uint8

// What it may be.
const (
	Unknown   Health = iota // not asked yet
	Absent                  // nobody listens
	Unhealthy               // somebody listens and does not say that all is well
	Healthy
)

// State is the last answer.
type State struct {
	Health Health
	Reason string // in words, unless it is healthy or unknown
}

// Config says whom to ask.
type Config struct {
	Servers func() []string // scheme, host and port: the first that is not absent counts; asked each time
	Log     zerolog.Logger
}

// Monitor asks again and again.
type Monitor struct {
	cfg     Config
	client  *http.Client
	changed chan struct{}

	mu    sync.Mutex // Guards state.
	state State
}

// New makes a monitor; Run starts it.
func New(cfg Config) *Monitor {
	return &Monitor{
		cfg: cfg, changed: make(chan struct{}, 1),
		// Straight to the node itself, whatever proxies the environment names.
		client: &http.Client{Timeout: respite, Transport: &http.Transport{DisableKeepAlives: true}},
	}
}

// State is the last answer.
func (m *Monitor) State() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state
}

// Changed is signaled after a change.
func (m *Monitor) Changed() <-chan struct{} { return m.changed }

// Run asks until ctx ends, and returns nil.
func (m *Monitor) Run(ctx context.Context) error {
	for {
		s := m.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		m.set(s)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

func (m *Monitor) set(s State) {
	m.mu.Lock()
	was := m.state
	m.state = s
	m.mu.Unlock()
	if s == was {
		return
	}
	if s.Health != was.Health {
		m.cfg.Log.Info().Str("reason", s.Reason).Msg("kube-proxy is " + s.Health.String())
	}
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// look asks one server after the other until somebody is there.
func (m *Monitor) look(ctx context.Context) State {
	s := State{Absent, "nobody listens at any address"}
	for _, server := range m.cfg.Servers() {
		if s = m.ask(ctx, server); s.Health != Absent {
			return s
		}
	}
	return s
}

func (m *Monitor) ask(ctx context.Context, server string) State {
	var last State
	for _, path := range []string{"/livez", "/healthz"} {
		code, err := m.get(ctx, server+path)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			return State{Absent, fmt.Sprintf("nobody listens at %s", server)}
		case err != nil:
			return State{Unhealthy, err.Error()}
		case code == http.StatusOK:
			return State{Health: Healthy}
		}
		last = State{Unhealthy, fmt.Sprintf("%s%s answers %d", server, path, code)}
		if code != http.StatusNotFound {
			return last
		}
	}
	return last
}

func (m *Monitor) get(ctx context.Context, url string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	answer, err := m.client.Do(request)
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}

// String gives the health in the words of the log.
func (h Health) String() string {
	return map[Health]string{Unknown: "unknown", Absent: "absent", Unhealthy: "not healthy", Healthy: "healthy"}[h]
}
