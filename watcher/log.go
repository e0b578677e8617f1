package watcher

import (
	"fmt"

	"github.com/go-logr/logr"
	"github.com/rs/zerolog"
	"k8s.io/klog/v2"
)

// SetLogger sends what client-go logs through a logger of ours. It is for a program's start:
// client-go keeps one logger for the whole process.
func SetLogger(log zerolog.Logger) {
	klog.SetLoggerWithOptions(logr.New(&logSink{log: log}), klog.ContextualLogger(true))
}

// A logSink maps client-go's levels: errors become warnings, since all of them are retried; what
// client-go takes for information is debug here, and the rest is trace.
type logSink struct {
	log  zerolog.Logger
	name string
}

var _ logr.LogSink = (*logSink)(nil)

// Init implements logr.LogSink.
func (s *logSink) Init(logr.RuntimeInfo) {}

func level(v int) zerolog.Level {
	if v == 0 {
		return zerolog.DebugLevel
	}
	return zerolog.TraceLevel
}

// maxVerbosity is where client-go begins to log every request.
const maxVerbosity = 4

// Enabled implements logr.LogSink.
func (s *logSink) Enabled(v int) bool {
	return v <= maxVerbosity && level(v) >= s.log.GetLevel() && level(v) >= zerolog.GlobalLevel()
}

// Info implements logr.LogSink.
func (s *logSink) Info(v int, msg string, pairs ...any) {
	s.send(s.log.WithLevel(level(v)), msg, pairs)
}

// Error implements logr.LogSink.
func (s *logSink) Error(err error, msg string, pairs ...any) {
	s.send(s.log.Warn().Err(err), msg, pairs)
}

func (s *logSink) send(e *zerolog.Event, msg string, pairs []any) {
	if s.name != "" {
		e = e.Str("logger", s.name)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		e = attach(e, fmt.Sprint(pairs[i]), pairs[i+1])
	}
	e.Msg(msg)
}

func attach(e *zerolog.Event, key string, value any) *zerolog.Event {
	switch v := value.(type) {
	case error:
		return e.AnErr(key, v)
	case fmt.Stringer:
		return e.Stringer(key, v)
	case string, bool, int, int32, int64, float64:
		return e.Any(key, v)
	}
	return e.Str(key, fmt.Sprintf("%+v", value))
}

// WithValues implements logr.LogSink.
func (s *logSink) WithValues(pairs ...any) logr.LogSink {
	c := s.log.With()
	for i := 0; i+1 < len(pairs); i += 2 {
		c = c.Str(fmt.Sprint(pairs[i]), fmt.Sprint(pairs[i+1]))
	}
	return &logSink{log: c.Logger(), name: s.name}
}

// WithName implements logr.LogSink.
func (s *logSink) WithName(name string) logr.LogSink {
	if s.name != "" {
		name = s.name + "." + name
	}
	return &logSink{log: s.log, name: name}
}
