package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/lease"
)

// reread is how often the configuration file is compared with what was read. A
// ConfigMap volume changes by swapping a symbolic link, which file
// notifications are known to miss; reading a small file is cheap.
const reread = 2 * time.Second

// configCopyName is the copy of the last good configuration file in --state-dir.
const configCopyName = "configuration.yaml"

// settings holds the pools in force: those of the flags and those of the
// configuration file. A bad edit of the file keeps the last good pools, also
// over a restart if there is a folder to keep a copy of the file in.
type settings struct {
	flags   []lease.Pool
	file    string
	copy    string // path, "" for none
	log     zerolog.Logger
	changed chan struct{}
	read    []byte // content last looked at; only Run uses it and have after newSettings
	have    bool   // read is what the file held when it was last looked at

	failures prometheus.Counter

	mu      sync.Mutex // guards all following fields
	pools   *lease.Pools
	problem string
}

// newSettings reads the file once. Its error joins one line for each mistake.
func newSettings(flags []lease.Pool, file, stateDir string, log zerolog.Logger) (*settings, error) {
	s := &settings{flags: flags, file: file, log: log, changed: make(chan struct{}, 1)}
	s.failures = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "starling_config_reload_failures_total", Help: "Changes of the configuration file that could not be put in force.",
	})
	if file != "" && stateDir != "" {
		s.copy = filepath.Join(stateDir, configCopyName)
	}
	pools, err := s.load()
	if err == nil {
		s.pools = pools
		return s, nil
	}
	if s.pools = s.earlier(); s.pools == nil {
		return s, err
	}
	s.set(nil, err)
	return s, nil
}

// load reads the file, if there is one, and makes the pools.
func (s *settings) load() (*lease.Pools, error) {
	if s.file != "" {
		content, err := os.ReadFile(s.file)
		if err != nil {
			return nil, fmt.Errorf("--config: %w", err)
		}
		s.read, s.have = content, true
	}
	pools, err := s.compile(s.read)
	if err == nil {
		s.keep(s.read)
	}
	return pools, err
}

// earlier gives the pools of the copy, nil if there are none.
func (s *settings) earlier() *lease.Pools {
	if s.copy == "" {
		return nil
	}
	content, err := os.ReadFile(s.copy)
	if err != nil {
		return nil
	}
	pools, err := s.compile(content)
	if err != nil {
		return nil // of another release, or the flags do not go with it
	}
	s.log.Warn().Str("file", s.copy).Msg("starting with the configuration of before")
	return pools
}

// keep copies what is in force. An error is logged: the copy is a convenience.
func (s *settings) keep(content []byte) {
	if s.copy == "" {
		return
	}
	if err := replaceFile(s.copy, content); err != nil {
		s.log.Warn().Err(err).Msg("copy of the configuration not written")
	}
}

// collectors are the metrics about the configuration.
func (s *settings) collectors() []prometheus.Collector {
	successful := func() float64 {
		if len(s.Problems()) > 0 {
			return 0
		}
		return 1
	}
	return []prometheus.Collector{s.failures, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "starling_config_last_reload_successful", Help: "1 if the configuration file is in force, 0 if it has mistakes and an earlier one is.",
	}, successful)}
}

// compile makes the pools of the flags and of a file's content.
func (s *settings) compile(content []byte) (*lease.Pools, error) {
	all := s.flags
	if s.file != "" {
		c, err := lease.ParseConfig(content)
		if err != nil {
			return nil, prefixed(s.file, err)
		}
		if c.Pools == nil {
			return nil, fmt.Errorf("%s: no key \"pools\" (an empty list is written as pools: [])", s.file)
		}
		all = slices.Concat(all, c.Pools)
	}
	return lease.NewPools(all)
}

// Run reads the file again until ctx ends.
func (s *settings) Run(ctx context.Context) error {
	if s.file == "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(reread)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.refresh()
		}
	}
}

func (s *settings) refresh() {
	content, err := os.ReadFile(s.file)
	if err == nil && s.have && bytes.Equal(content, s.read) {
		err = errSame
	}
	var pools *lease.Pools
	switch {
	case err == nil:
		s.read, s.have = content, true
		if pools, err = s.compile(content); err == nil {
			s.keep(content)
		}
	case !errors.Is(err, errSame):
		s.have = false // so that the file counts as changed when it is back
	}
	if s.set(pools, err) {
		s.signal()
	}
}

// signal wakes the loop.
func (s *settings) signal() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

var errSame = errors.New("the file has not changed")

// set takes the outcome of reading the file and tells whether anything changed.
func (s *settings) set(pools *lease.Pools, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, errSame):
		return false
	case err != nil:
		problem := "the configuration file is not in force: " + oneLine(err)
		if problem == s.problem {
			return false
		}
		s.problem = problem
		s.failures.Inc()
		s.log.Warn().Str("reason", oneLine(err)).Msg("configuration kept as it was")
	default:
		s.pools, s.problem = pools, ""
		s.log.Info().Int("pools", len(pools.List())).Msg("configuration read again")
	}
	return true
}

// Pools gives the pools in force.
func (s *settings) Pools() *lease.Pools {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pools
}

// Problems says what is wrong with the file, if anything.
func (s *settings) Problems() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.problem == "" {
		return nil
	}
	return []string{s.problem}
}

// Changed wakes the loop after a change.
func (s *settings) Changed() <-chan struct{} { return s.changed }

func oneLine(err error) string {
	return string(bytes.ReplaceAll([]byte(err.Error()), []byte("\n"), []byte("; ")))
}
