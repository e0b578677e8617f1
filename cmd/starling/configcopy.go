package main

import (
	"bytes"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"
)

// configCopyName is the copy of the last good configuration in --state-dir.
const configCopyName = "configuration.yaml"

// configCopy is the file with that copy.
type configCopy struct {
	dir    string // "" for none
	header string // first line: what it is a copy of, because a node may join another cluster; "" of a file on the node
	log    zerolog.Logger
}

func (c configCopy) path() string { return filepath.Join(c.dir, configCopyName) }

// read returns the configuration, if there is a copy of the same.
func (c configCopy) read() ([]byte, bool) {
	if c.dir == "" {
		return nil, false
	}
	text, err := os.ReadFile(c.path())
	if err != nil {
		return nil, false
	}
	return bytes.CutPrefix(text, []byte(c.header))
}

// write replaces the copy. An error is logged: it is a convenience.
func (c configCopy) write(content []byte) {
	if c.dir == "" {
		return
	}
	if err := replaceFile(c.path(), append([]byte(c.header), content...)); err != nil {
		c.log.Warn().Err(err).Msg("cannot save the copy of the configuration")
	}
}
