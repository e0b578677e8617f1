package main

import (
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
)

// newLogger writes to w, as JSON or for people. Times have milliseconds, since
// what matters here happens within a second. The journal remembers lines for status.
func newLogger(w io.Writer, level zerolog.Level, console bool, j *journal) zerolog.Logger {
	if console {
		w = consoleWriter(w)
	}
	hook := zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) {
		e.Str("time", time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	})
	return zerolog.New(j.tee(w)).Level(level).Hook(hook)
}

// consoleWriter is for people: the room first, then what happened, to what, and why. Colors on a
// terminal only.
func consoleWriter(w io.Writer) zerolog.ConsoleWriter {
	f, file := w.(*os.File)
	return zerolog.ConsoleWriter{
		Out: w, NoColor: !file || !interactive(f), TimeFormat: "15:04:05.000", TimeLocation: time.UTC,
		PartsOrder:    []string{zerolog.TimestampFieldName, zerolog.LevelFieldName, "room", zerolog.MessageFieldName},
		FieldsExclude: []string{"room"},
		FieldsOrder:   []string{"vip", "vips", "service", "node", "iface", "from", "to", "reason"},
		FormatPartValueByName: func(value any, _ string) string {
			if room, ok := value.(string); ok {
				return room + ":"
			}
			return "starling:" // of no room
		},
	}
}
