package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"
)

const passwordCopyName = "router-passwords.json"

// passwordCopy is the file in --state-dir that holds the last known passwords of BGP routers from
// Secrets, so that a speaker has its sessions while the API server is away. Only its owner, root on
// a node, may read it.
type passwordCopy struct {
	dir     string // "" for none
	cluster string // a node may join another one
	log     zerolog.Logger

	last map[string]string // what was read or written, by router
}

// passwordFile is what is in the file.
type passwordFile struct {
	Cluster   string            `json:"cluster"`
	Passwords map[string]string `json:"passwords"`
}

func (c *passwordCopy) path() string { return filepath.Join(c.dir, passwordCopyName) }

// read returns the passwords by router, nil if there are none of this cluster.
func (c *passwordCopy) read() map[string]string {
	if c.dir == "" {
		return nil
	}
	text, err := os.ReadFile(c.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var f passwordFile
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err == nil && f.Cluster != c.cluster {
		err = errors.New("it is of another cluster")
	}
	if err != nil {
		c.log.Warn().Err(err).Str("file", c.path()).Msg("copy of the passwords of BGP routers ignored")
		return nil
	}
	c.last = f.Passwords
	return f.Passwords
}

// write replaces the file if it holds something else. An error is logged: the file is a
// convenience.
func (c *passwordCopy) write(texts map[string]string) {
	if c.dir == "" || maps.Equal(texts, c.last) {
		return
	}
	text, err := json.Marshal(passwordFile{c.cluster, texts})
	if err == nil {
		err = replaceFile(c.path(), text)
	}
	if err != nil {
		c.log.Warn().Err(err).Str("file", c.path()).Msg("cannot save the copy of the passwords of BGP routers")
		return
	}
	c.last = texts
}
