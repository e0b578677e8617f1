package mesh

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// slowWriter blocks until it is let go.
type slowWriter struct {
	lines
	gate chan struct{}
}

func (w *slowWriter) Write(p []byte) (int, error) {
	<-w.gate
	return w.lines.Write(p)
}

func TestLogQueueNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &slowWriter{gate: make(chan struct{})}
		j := newLogQueue(zerolog.New(out))
		done, ended := make(chan struct{}), make(chan struct{})
		go func() { j.run(done); close(ended) }()
		for range logQueueDepth + 100 {
			j.put(func(l *zerolog.Logger) { l.Info().Msg("line") })
			synctest.Wait() // The first one is taken and blocks in the writer.
		}
		close(out.gate)
		close(done)
		<-ended
		if got, want := out.count(`"line"`), logQueueDepth+1; got != want {
			t.Errorf("%d lines written, want %d", got, want)
		}
		if got := out.count(`"lines":99,"message":"log lines lost"`); got != 1 {
			t.Errorf("the loss was told %d times, want once", got)
		}
	})
}

func TestLimiter(t *testing.T) {
	l := newLimiter(2, time.Second)
	now := time.Unix(1000, 0)
	tests := []struct {
		at      int // Milliseconds.
		skipped int
		ok      bool
	}{
		{0, 0, true},
		{1, 0, true},
		{2, 0, false},
		{999, 0, false},
		{1000, 2, true},
		{1001, 0, false},
		{9000, 1, true},
		{9000, 0, true},
		{9000, 0, false},
		{9999, 0, false},
		{10000, 2, true},
	}
	for i, tt := range tests {
		if skipped, ok := l.allow(now.Add(time.Duration(tt.at) * time.Millisecond)); skipped != tt.skipped || ok != tt.ok {
			t.Errorf("step %d at %d ms: %d, %v, want %d, %v", i, tt.at, skipped, ok, tt.skipped, tt.ok)
		}
	}
}
