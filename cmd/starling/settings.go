package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher"
)

const (
	// reread is how often a file is read even if nothing tells of a change: file systems of other
	// hosts tell of none.
	reread = 2 * time.Second
	// steady is how long a file that changed must stay the same until it counts: who writes it may
	// do so in steps.
	steady = 50 * time.Millisecond
)

// settings holds the pools in force: those of the flags and those of the configuration, which is a
// file or a ConfigMap. A bad edit keeps the last good pools, also over a restart if there is a
// folder to keep a copy in. So does a ConfigMap that was deleted, which may be a slip; who wants no
// pools says so by an empty list.
type settings struct {
	flags   []lease.Pool
	file    string      // --config, "" none
	object  watcher.Key // of --config-map, zero none
	from    string      // what the configuration is called in messages, "" none
	copied  configCopy
	log     zerolog.Logger
	changed chan struct{}
	notice  func(context.Context) <-chan struct{} // of changes of the file
	read    []byte                                // what was last looked at; only one goroutine at a time uses it and have
	have    bool                                  // read is what was there at the last look

	failures prometheus.Counter

	mu      sync.Mutex // guards all following fields
	pools   *lease.Pools
	known   bool // somebody configured these pools
	problem *health.Condition
}

// errMissing says that the ConfigMap does not exist.
var errMissing = errors.New("it does not exist")

// newSettings reads the file once, if there is one. Its error joins one line for each mistake. A
// ConfigMap is read by begin; before that there are no pools.
func newSettings(cfg config, log zerolog.Logger) (*settings, error) {
	s := &settings{
		flags: cfg.pools, file: cfg.configFile, from: cfg.configFile, log: log, changed: make(chan struct{}, 1),
		copied: configCopy{dir: cfg.stateDir, log: log},
	}
	s.failures = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "starling_config_reload_failures_total", Help: "Configuration changes that were rejected.",
	})
	s.notice = func(ctx context.Context) <-chan struct{} { return watchFile(ctx, s.file, log) }
	if cfg.configMap != "" {
		s.object = watcher.Key{Namespace: cfg.namespace, Name: cfg.configMap}
		s.from = "ConfigMap " + s.object.String()
	}
	pools, err := lease.NewPools(s.flags)
	switch {
	case s.file != "": // the flags are checked along with it
		content, err := os.ReadFile(s.file)
		if err != nil {
			err = fmt.Errorf("--config: %w", err)
		}
		if err = s.take(content, err); s.pools == nil {
			return s, err
		}
		return s, nil
	case err == nil && s.from == "":
		s.pools, s.known = pools, true
	}
	return s, err
}

// begin reads the ConfigMap for the first time, by fetch. While the API server is away, and if the
// ConfigMap has mistakes, the copy of the last good one does as well. Its error says what keeps the
// speaker waiting.
func (s *settings) begin(cluster string, fetch func() (watcher.ConfigText, error)) error {
	if s.object.Name == "" || s.Pools() != nil {
		return nil
	}
	s.copied.header = fmt.Sprintf("# %s of cluster %s\n", s.from, cluster)
	t, err := fetch()
	if err == nil {
		err = s.takeObject(t)
	} else if pools := s.earlier(); pools != nil {
		s.mu.Lock()
		s.pools, s.known = pools, true
		s.mu.Unlock()
	}
	if s.Pools() != nil {
		return nil
	}
	return err
}

// follow puts changes of the ConfigMap in force until ctx ends.
func (s *settings) follow(ctx context.Context, now func() watcher.ConfigText, changed <-chan struct{}) error {
	for {
		if t := now(); t.Known {
			_ = s.takeObject(t) // is a condition
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

func (s *settings) takeObject(t watcher.ConfigText) error {
	switch {
	case !t.Found:
		return s.take(nil, errMissing)
	case t.Wrong != "":
		return s.take(nil, fmt.Errorf("%s: %s", s.from, t.Wrong))
	}
	return s.take([]byte(t.Text), nil)
}

// Run reads the file whenever it changes, until ctx ends.
func (s *settings) Run(ctx context.Context) error {
	if s.file == "" {
		<-ctx.Done()
		return nil
	}
	notice := s.notice(ctx)
	tick := time.NewTicker(reread)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-notice:
		case <-tick.C:
		}
		content, err := s.look(ctx)
		if ctx.Err() == nil {
			_ = s.take(content, err) // is a condition
		}
	}
}

// look reads the file, and again until it is as at the last look, or the same twice.
func (s *settings) look(ctx context.Context) ([]byte, error) {
	content, err := os.ReadFile(s.file)
	for err != nil || !s.have || !bytes.Equal(content, s.read) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(steady):
		}
		before, failed := content, err != nil
		content, err = os.ReadFile(s.file)
		if failed == (err != nil) && bytes.Equal(before, content) {
			break
		}
	}
	return content, err
}

// take puts the configuration in force, or notes why that is not possible, which it returns.
func (s *settings) take(content []byte, err error) error {
	if err != nil {
		s.have = false // so that it counts as changed when it is back
		s.reject(err)
		return err
	}
	if s.have && bytes.Equal(content, s.read) {
		return nil
	}
	s.read, s.have = content, true
	pools, err := lease.ReadPools(s.flags, s.from, content)
	if err != nil {
		s.reject(err)
		return err
	}
	s.copied.write(content)
	s.mu.Lock()
	first := s.pools == nil
	s.pools, s.known, s.problem = pools, true, nil
	s.mu.Unlock()
	if !first {
		s.log.Info().Int("pools", len(pools.List())).Msg("new configuration in force")
		s.signal()
	}
	return nil
}

// reject notes why the configuration is not in force. The pools of before stay. Where there are
// none, those of the copy do as well; and without a ConfigMap a speaker runs without pools, so that
// the one that is applied later is taken. Where nothing does, the speaker does not run, and the
// caller tells why.
func (s *settings) reject(err error) {
	s.mu.Lock()
	if s.pools == nil {
		s.pools = s.earlier()
		s.known = s.pools != nil
	}
	if s.pools == nil && errors.Is(err, errMissing) {
		s.pools, _ = lease.NewPools(s.flags) // which newSettings has checked
	}
	c := s.condition(err)
	news := s.pools != nil && (s.problem == nil || s.problem.Words != c.Words)
	s.problem = &c
	s.mu.Unlock()
	if !news {
		return
	}
	s.failures.Inc()
	s.log.Warn().Str("reason", oneLine(err)).Msg("invalid configuration ignored; keeping the last good one")
	s.signal()
}

// condition is called with the lock held.
func (s *settings) condition(err error) health.Condition {
	if !errors.Is(err, errMissing) {
		what := "the configuration"
		if s.file != "" {
			what = "the configuration file"
		}
		return health.New(health.ConfigRejected, health.Node(""), what+" is not in force: "+oneLine(err))
	}
	switch {
	case s.known:
		return health.New(health.ConfigMissing, health.Node(""), s.from+" does not exist any more; its last pools stay in force")
	case len(s.flags) > 0:
		return health.New(health.ConfigMissing, health.Node(""), s.from+" does not exist, so there are no pools but those of --pool")
	}
	return health.New(health.ConfigMissing, health.Node(""), s.from+" does not exist, so there are no pools and no Service gets an address")
}

// earlier gives the pools of the copy, nil if there are none.
func (s *settings) earlier() *lease.Pools {
	content, ok := s.copied.read()
	if !ok {
		return nil
	}
	pools, err := lease.ReadPools(s.flags, s.from, content)
	if err != nil {
		return nil // of another release, or the flags do not go with it
	}
	s.log.Warn().Str("file", s.copied.path()).Msg("starting with the last good configuration")
	return pools
}

// collectors are the metrics about the configuration.
func (s *settings) collectors() []prometheus.Collector {
	successful := func() float64 {
		if len(s.Conditions()) > 0 {
			return 0
		}
		return 1
	}
	return []prometheus.Collector{s.failures, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "starling_config_last_reload_successful", Help: "1 if the configuration is in force, 0 if it has mistakes or is missing.",
	}, successful)}
}

// signal wakes the loop.
func (s *settings) signal() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Pools gives the pools in force, nil before begin.
func (s *settings) Pools() *lease.Pools {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pools
}

// Known reports whether somebody configured these pools. If not, that nothing is in them says
// nothing.
func (s *settings) Known() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known
}

// Conditions says what is wrong with the configuration, if anything.
func (s *settings) Conditions() []health.Condition {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.problem == nil {
		return nil
	}
	return []health.Condition{*s.problem}
}

// Changed wakes the loop after a change.
func (s *settings) Changed() <-chan struct{} { return s.changed }

func oneLine(err error) string {
	return string(bytes.ReplaceAll([]byte(err.Error()), []byte("\n"), []byte("; ")))
}
