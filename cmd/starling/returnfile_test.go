package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/peers"
)

func lastReturn() peers.Return {
	return peers.Return{At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Count: 3}
}

func TestReturnFileIsRead(t *testing.T) {
	for _, tt := range []struct {
		name    string
		content string // "": no file
		want    peers.Return
	}{
		{"none", "", peers.Return{}},
		{"one", `{"at":"2026-03-01T12:00:00Z","count":3}`, lastReturn()},
		{"of a later release", `{"at":"2026-03-01T12:00:00Z","count":3,"why":"link"}`, lastReturn()},
		{"cut off", `{"at":"2026-03-01T12:00:00Z","cou`, peers.Return{}},
		{"half of it is garbage", `{"count":3,"at":"yesterday"}`, peers.Return{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &returnFile{dir: t.TempDir(), log: zerolog.Nop()}
			if tt.content != "" {
				if err := os.WriteFile(f.path(), []byte(tt.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := f.read(); got != tt.want {
				t.Errorf("read %+v, want %+v", got, tt.want)
			}
		})
	}
}

// TestReturnFileOutlivesACrash and no end that was asked for, even if the loop tells of a return
// just then.
func TestReturnFileOutlivesACrash(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	f := &returnFile{dir: dir, log: zerolog.Nop()}
	f.forget() // There is none yet.
	f = &returnFile{dir: dir, log: zerolog.Nop()}
	f.write(lastReturn())
	next := &returnFile{dir: dir, log: zerolog.Nop()}
	if got := next.read(); got != lastReturn() {
		t.Errorf("after a crash %+v, want %+v", got, lastReturn())
	}
	next.forget()
	next.write(lastReturn())
	if _, err := os.Stat(next.path()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file after an end that was asked for: %v", err)
	}
}

// TestReturnFileKeepsAHold through an end that was asked for, as long as it lasts: returns are not
// counted then. What was read counts like what was written.
func TestReturnFileKeepsAHold(t *testing.T) {
	soon, past := time.Now().Add(time.Hour).Round(0).UTC(), time.Now().Add(-time.Hour).Round(0).UTC()
	held := lastReturn()
	held.Until, held.Asked = soon, "monday"
	over := held
	over.Until = past
	for _, tt := range []struct {
		name string
		last peers.Return
		want peers.Return
	}{
		{"it goes on", held, peers.Return{Until: soon, Asked: "monday"}},
		{"it was over", over, peers.Return{}},
		{"there was none", lastReturn(), peers.Return{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &returnFile{dir: t.TempDir(), log: zerolog.Nop()}
			f.write(tt.last)
			next := &returnFile{dir: f.dir, log: zerolog.Nop()}
			next.read()
			next.forget()
			if got := f.read(); got != tt.want {
				t.Errorf("read %+v, want %+v", got, tt.want)
			}
			again := &returnFile{dir: t.TempDir(), log: zerolog.Nop()}
			again.write(tt.last)
			again.forget()
			if got := again.read(); got != tt.want {
				t.Errorf("after one process read %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestReturnFileWithoutFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	f := &returnFile{log: zerolog.Nop()}
	f.write(lastReturn())
	if got := f.read(); got != (peers.Return{}) {
		t.Errorf("read %+v", got)
	}
	f.forget()
	if files, err := os.ReadDir("."); err != nil || len(files) > 0 {
		t.Errorf("left %v, %v", files, err)
	}
}
