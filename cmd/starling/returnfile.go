package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/peers"
)

// returnsName is the file in --state-dir that says when this node came back last, so that a speaker
// that crashes again and again lets others go first for longer each time. An end that was asked
// for, as by an update, removes it: such a speaker does not flap. Only a hold that has not ended
// stays, for the next process.
const returnsName = "returns.json"

type returnFile struct {
	dir string // "" for none
	log zerolog.Logger

	mu    sync.Mutex   // Guards all following fields, and writing.
	ended bool         // Nothing is written any more.
	last  peers.Return // What was read or written.
}

func (f *returnFile) path() string { return filepath.Join(f.dir, returnsName) }

// read returns what the file says; what cannot be read is no return.
func (f *returnFile) read() (r peers.Return) {
	if f.dir == "" {
		return r
	}
	text, err := os.ReadFile(f.path())
	if errors.Is(err, fs.ErrNotExist) {
		return r
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		f.log.Warn().Err(fmt.Errorf("read %s: %w", f.path(), err)).Msg("cannot read the node's return times")
		return peers.Return{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = r
	return r
}

// write replaces the file. An error is logged: the file is a convenience.
func (f *returnFile) write(r peers.Return) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dir == "" || f.ended || r.At.Before(f.last.At) {
		return
	}
	f.last = r
	if err := f.replace(r); err != nil {
		f.log.Warn().Err(err).Msg("cannot save the node's return time")
	}
}

func (f *returnFile) replace(r peers.Return) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return replaceFile(f.path(), append(text, '\n'))
}

// forget removes the file for good, or leaves a hold that has not ended in it.
func (f *returnFile) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	if f.dir == "" {
		return
	}
	var err error
	if f.last.Held(time.Now()) {
		err = f.replace(peers.Return{Until: f.last.Until, Asked: f.last.Asked})
	} else if err = os.Remove(f.path()); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		f.log.Warn().Err(err).Msg("cannot save the planned stop; the next start counts as one after a crash")
	}
}
