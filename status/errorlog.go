package status

import (
	"bytes"
	"log"

	"github.com/rs/zerolog"
)

// errorLog takes the messages of libraries that know only the standard logger. What clients cause
// (half-open connections, broken requests) must not fill the log; a panic is always ours.
type errorLog struct {
	log   zerolog.Logger
	level zerolog.Level
}

func newErrorLog(l zerolog.Logger, level zerolog.Level) *log.Logger {
	return log.New(errorLog{l, level}, "", 0)
}

func (e errorLog) Write(p []byte) (int, error) {
	level := e.level
	if bytes.HasPrefix(p, []byte("http: panic")) {
		level = zerolog.ErrorLevel
	}
	e.log.WithLevel(level).Str("reason", string(bytes.TrimSpace(p))).Msg("http server")
	return len(p), nil
}
