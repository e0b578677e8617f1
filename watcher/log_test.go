package watcher

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/rs/zerolog"
	"k8s.io/klog/v2"
)

func TestLogSink(t *testing.T) {
	tests := []struct {
		name  string
		level zerolog.Level
		do    func(logr.Logger)
		want  string
	}{
		{"information is debug", zerolog.DebugLevel, func(l logr.Logger) { l.Info("hello", "n", 1, "who", "me") }, `{"level":"debug","n":1,"who":"me","message":"hello"}`},
		{"and is not told at info", zerolog.InfoLevel, func(l logr.Logger) { l.Info("hello") }, ``},
		{"more is trace", zerolog.TraceLevel, func(l logr.Logger) { l.V(3).Info("hello") }, `{"level":"trace","message":"hello"}`},
		{"every request is too much", zerolog.TraceLevel, func(l logr.Logger) { l.V(6).Info("hello") }, ``},
		{"an error is a warning", zerolog.InfoLevel, func(l logr.Logger) { l.Error(errors.New("e"), "failed", "err2", errors.New("f")) }, `{"level":"warn","error":"e","err2":"f","message":"failed"}`},
		{"an error without one", zerolog.InfoLevel, func(l logr.Logger) { l.Error(nil, "failed") }, `{"level":"warn","message":"failed"}`},
		{"name and values", zerolog.DebugLevel, func(l logr.Logger) { l.WithName("a").WithName("b").WithValues("k", 7).Info("hello") }, `{"level":"debug","k":"7","logger":"a.b","message":"hello"}`},
		{"odd pairs and structs", zerolog.DebugLevel, func(l logr.Logger) { l.Info("hello", "s", struct{ A int }{1}, "left") }, `{"level":"debug","s":"{A:1}","message":"hello"}`},
		{"a Stringer", zerolog.DebugLevel, func(l logr.Logger) { l.Info("hello", "key", Key{Namespace: "d", Name: "a"}) }, `{"level":"debug","key":"d/a","message":"hello"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			tt.do(logr.New(&logSink{log: zerolog.New(&out).Level(tt.level)}))
			if got := strings.TrimSpace(out.String()); got != tt.want {
				t.Errorf("\n%s, want\n%s", got, tt.want)
			}
		})
	}
}

// TestSetLogger: what client-go logs without a logger of its own arrives, too.
func TestSetLogger(t *testing.T) {
	var out bytes.Buffer
	SetLogger(zerolog.New(&out))
	t.Cleanup(klog.ClearLogger)
	klog.Background().Error(errors.New("e"), "from client-go")
	klog.Warning("an old one")
	if got := out.String(); !strings.Contains(got, `{"level":"warn","error":"e","message":"from client-go"}`) || !strings.Contains(got, "an old one") {
		t.Errorf("logged %s", got)
	}
}
