package main

import (
	"io"
	"time"

	"github.com/rs/zerolog"
)

// newLogger writes to w, as JSON or for people. Times have milliseconds, since
// what matters here happens within a second. The journal remembers lines for status.
func newLogger(w io.Writer, level zerolog.Level, console bool, j *journal) zerolog.Logger {
	if console {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000"}
	}
	hook := zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) {
		e.Str("time", time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	})
	return zerolog.New(j.tee(w)).Level(level).Hook(hook)
}
