package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/watcher"
)

// keyring holds the gossip keys in force and follows where they come from: the
// file of --gossip-key-file, or the Secret, of which a copy is kept in the
// folder of --state-dir. A bad edit keeps the last good keys.
type keyring struct {
	file   string // --gossip-key-file, "" for the Secret
	secret string // its name in messages
	copied keyCopy
	wake   func() // called when Conditions have changed
	log    zerolog.Logger

	failures prometheus.Counter

	mu      sync.Mutex // guards all following fields
	keys    [][]byte
	problem string
}

// newKeyring reads the file, if there is one.
func newKeyring(cfg config, log zerolog.Logger) (*keyring, error) {
	k := &keyring{file: cfg.keyFile, secret: "Secret " + cfg.namespace + "/starling-gossip", wake: func() {}, log: log}
	k.failures = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "starling_gossip_key_reload_failures_total", Help: "Gossip key changes that were rejected.",
	})
	if k.file == "" {
		k.copied = keyCopy{dir: cfg.stateDir, log: log}
		return k, nil
	}
	text, err := os.ReadFile(k.file)
	if err != nil {
		return nil, fmt.Errorf("--gossip-key-file: %w", err)
	}
	if k.keys, err = mesh.ParseKeys(text); err != nil {
		return nil, fmt.Errorf("--gossip-key-file: %s: %w", k.file, err)
	}
	return k, nil
}

// namespace is where the Secret is followed, "" if it is not.
func (k *keyring) namespace(cfg config) string {
	if k.file != "" {
		return ""
	}
	return cfg.namespace
}

// source is where the keys come from, in messages.
func (k *keyring) source() string { return cmp.Or(k.file, k.secret) }

// begin gives the keys to start with. fetch returns what the Secret holds, and
// makes it with the given keys where it is missing. Whatever keeps it from
// that, the copy of the last keys does as well.
func (k *keyring) begin(cluster string, fetch func(generate func() ([]byte, error)) ([]byte, error)) ([][]byte, error) {
	if k.file != "" {
		return k.inForce(), nil
	}
	last := k.copied.read(cluster)
	text, err := fetch(func() ([]byte, error) {
		if last != nil {
			return mesh.FormatKeys(last), nil
		}
		return mesh.GenerateKey()
	})
	var keys [][]byte
	if err == nil {
		keys, err = k.parse(text)
	}
	if err != nil && last == nil {
		return nil, err
	}
	if err != nil {
		k.log.Warn().Err(err).Msg("started with the last known gossip keys")
		keys = last
	}
	k.mu.Lock()
	k.keys = keys
	k.mu.Unlock()
	k.copied.write(cluster, keys)
	return keys, nil
}

func (k *keyring) parse(text []byte) ([][]byte, error) {
	keys, err := mesh.ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.source(), err)
	}
	return keys, nil
}

// following is what a keyring follows and whom it tells.
type following struct {
	cluster string
	secret  func() watcher.SecretText
	changed <-chan struct{} // of the Secret
	set     func([][]byte) error
}

// follow puts changes in force until ctx ends.
func (k *keyring) follow(ctx context.Context, f following) error {
	tick := time.NewTicker(reread)
	defer tick.Stop()
	changed := f.changed
	if k.file != "" {
		changed = nil
	}
	for {
		k.refresh(f)
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-tick.C: // a file has no other sign, and what went wrong is tried again
		}
	}
}

// refresh looks at the source once.
func (k *keyring) refresh(f following) {
	text, known, err := k.read(f)
	if !known {
		return
	}
	var keys [][]byte
	if err == nil {
		keys, err = k.parse(text)
	}
	changed := err == nil && !slices.EqualFunc(keys, k.inForce(), bytes.Equal)
	if changed {
		err = f.set(keys)
	}
	if k.note(keys, changed, err) {
		k.wake()
	}
	if changed && err == nil {
		k.copied.write(f.cluster, keys)
	}
}

// read gives the text of the keys; known is false as long as nobody knows.
func (k *keyring) read(f following) (text []byte, known bool, err error) {
	if k.file != "" {
		text, err = os.ReadFile(k.file)
		return text, true, err
	}
	s := f.secret()
	if s.Known && !s.Found {
		err = fmt.Errorf("%s is missing; the next speaker that starts makes it", k.secret)
	}
	return []byte(s.Text), s.Known, err
}

// note takes the outcome and reports whether the problems changed.
func (k *keyring) note(keys [][]byte, changed bool, err error) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.problem
	switch {
	case err != nil:
		k.problem = "the gossip keys are not followed: " + oneLine(err)
		if k.problem != was {
			k.failures.Inc()
			k.log.Warn().Str("reason", oneLine(err)).Msg("invalid gossip keys ignored; keeping the last good ones")
		}
	case changed:
		k.keys, k.problem = keys, ""
		k.log.Info().Str("keys", strings.Join(mesh.Fingerprints(keys), " ")).Msg("gossip keys changed")
	case was != "":
		k.problem = ""
		k.log.Info().Msg("gossip keys valid again")
	}
	return k.problem != was
}

func (k *keyring) inForce() [][]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys
}

// Conditions says what is wrong with the keys, if anything.
func (k *keyring) Conditions() []health.Condition {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.problem == "" {
		return nil
	}
	return []health.Condition{health.New(health.KeysRejected, health.Node(""), k.problem)}
}

// sources are all that an operator may change while a speaker runs.
type sources struct {
	*settings
	keys *keyring
}

// Conditions joins those of the configuration file and those of the keys.
func (s sources) Conditions() []health.Condition {
	return slices.Concat(s.settings.Conditions(), s.keys.Conditions())
}
