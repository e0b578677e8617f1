package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/speaker"
)

func TestReturnFile(t *testing.T) {
	last := speaker.Return{At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Count: 3}
	for _, tt := range []struct {
		name    string
		content string // "": no file
		want    speaker.Return
	}{
		{"none", "", speaker.Return{}},
		{"one", `{"at":"2026-03-01T12:00:00Z","count":3}`, last},
		{"of a later release", `{"at":"2026-03-01T12:00:00Z","count":3,"why":"link"}`, last},
		{"cut off", `{"at":"2026-03-01T12:00:00Z","cou`, speaker.Return{}},
		{"half of it is garbage", `{"count":3,"at":"yesterday"}`, speaker.Return{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := returnFile{dir: t.TempDir(), log: zerolog.Nop()}
			if tt.content != "" {
				if err := os.WriteFile(f.path(), []byte(tt.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if got := f.read(); !got.At.Equal(tt.want.At) || got.Count != tt.want.Count {
				t.Errorf("read %+v, want %+v", got, tt.want)
			}
		})
	}
	f := returnFile{dir: filepath.Join(t.TempDir(), "new"), log: zerolog.Nop()}
	f.write(last)
	if got := f.read(); got != last {
		t.Errorf("written %+v, read %+v", last, got)
	}
	returnFile{}.write(last) // no folder: nowhere to write, and nothing to read
	if got := (returnFile{}).read(); got != (speaker.Return{}) {
		t.Errorf("without a folder: %+v", got)
	}
}
