package main

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/mesh"
)

const (
	keyCopyName   = "gossip-keys"
	keyCopyHeader = "# Keys of the gossip in cluster "
)

// keyCopy is the file in --state-dir that holds the last known gossip keys, so
// that a speaker can start while the API server is away. Only its owner, root
// on a node, may read it. It has the form of a key file; its first line names
// the cluster, because a node may join another one.
type keyCopy struct {
	dir string // "" for none
	log zerolog.Logger
}

func (c keyCopy) path() string { return filepath.Join(c.dir, keyCopyName) }

// read returns the keys, nil if there are none of this cluster.
func (c keyCopy) read(cluster string) [][]byte {
	if c.dir == "" {
		return nil
	}
	text, err := os.ReadFile(c.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var keys [][]byte
	if err == nil && !bytes.HasPrefix(text, []byte(keyCopyHeader+cluster+"\n")) {
		err = errors.New("it is of another cluster")
	}
	if err == nil {
		keys, err = mesh.ParseKeys(text)
	}
	if err != nil {
		c.log.Warn().Err(err).Str("file", c.path()).Msg("copy of the gossip keys ignored")
		return nil
	}
	return keys
}

// write replaces the file if it holds something else. An error is logged: the
// file is a convenience.
func (c keyCopy) write(cluster string, keys [][]byte) {
	if c.dir == "" {
		return
	}
	text := append([]byte(keyCopyHeader+cluster+"\n"), mesh.FormatKeys(keys)...)
	if err := replaceFile(c.path(), text); err != nil {
		c.log.Warn().Err(err).Str("file", c.path()).Msg("cannot save the copy of the gossip keys")
	}
}
