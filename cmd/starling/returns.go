package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/speaker"
)

// returnsName is the file in --state-dir that says when this node came back last, so that a speaker that
// crashes again and again lets others go first for longer each time.
const returnsName = "returns.json"

type returnFile struct {
	dir string // "" for none
	log zerolog.Logger
}

func (f returnFile) path() string { return filepath.Join(f.dir, returnsName) }

// read returns what the file says; what cannot be read is no return.
func (f returnFile) read() (r speaker.Return) {
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
		f.log.Warn().Err(err).Str("file", f.path()).Msg("times of returns ignored")
		return speaker.Return{}
	}
	return r
}

// write replaces the file. An error is logged: the file is a convenience.
func (f returnFile) write(r speaker.Return) {
	if f.dir == "" {
		return
	}
	text, err := json.Marshal(r)
	if err == nil {
		err = replaceFile(f.path(), append(text, '\n'))
	}
	if err != nil {
		f.log.Warn().Err(err).Str("file", f.path()).Msg("time of the return not written")
	}
}
