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

// returnsName is the file in --state-dir that says when this node came back last, so that a speaker that
// crashes again and again lets others go first for longer each time. An end that was asked for, as by an
// update, removes it: such a speaker does not flap.
const returnsName = "returns.json"

type returnFile struct {
	dir string // "" for none
	log zerolog.Logger

	mu    sync.Mutex // Guards all following fields, and writing.
	ended bool       // Nothing is written any more.
	last  time.Time  // What was written came back then.
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
	return r
}

// write replaces the file. An error is logged: the file is a convenience.
func (f *returnFile) write(r peers.Return) {
	text, err := json.Marshal(r)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dir == "" || f.ended || r.At.Before(f.last) {
		return
	}
	f.last = r.At
	if err == nil {
		err = replaceFile(f.path(), append(text, '\n'))
	}
	if err != nil {
		f.log.Warn().Err(err).Msg("cannot save the node's return time")
	}
}

// forget removes the file for good.
func (f *returnFile) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	if f.dir == "" {
		return
	}
	if err := os.Remove(f.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.log.Warn().Err(err).Msg("cannot save the planned stop; the next start counts as one after a crash")
	}
}
