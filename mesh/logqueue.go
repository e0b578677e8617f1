package mesh

import (
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

// logQueueDepth is how many lines may wait for a slow log.
const logQueueDepth = 256

// logQueue writes log lines outside of memberlist's locks: a log that blocks
// must not stop the gossip. Lines beyond logQueueDepth are lost and counted.
type logQueue struct {
	log   zerolog.Logger
	lines chan func(*zerolog.Logger)
	lost  atomic.Uint64
}

func newLogQueue(log zerolog.Logger) *logQueue {
	return &logQueue{log: log, lines: make(chan func(*zerolog.Logger), logQueueDepth)}
}

// put queues one line; it never waits.
func (j *logQueue) put(line func(*zerolog.Logger)) {
	select {
	case j.lines <- line:
	default:
		j.lost.Add(1)
	}
}

// enabled reports whether lines of a level are wanted at all.
func (j *logQueue) enabled(l zerolog.Level) bool {
	return l >= j.log.GetLevel() && l >= zerolog.GlobalLevel()
}

// run writes until done is closed, and then what is left.
func (j *logQueue) run(done <-chan struct{}) {
	for {
		select {
		case line := <-j.lines:
			j.write(line)
		case <-done:
			j.flush()
			return
		}
	}
}

func (j *logQueue) flush() {
	for {
		select {
		case line := <-j.lines:
			j.write(line)
		default:
			return
		}
	}
}

func (j *logQueue) write(line func(*zerolog.Logger)) {
	line(&j.log)
	if n := j.lost.Swap(0); n > 0 {
		j.log.Warn().Uint64("lines", n).Msg("log lines lost")
	}
}

// limiter lets burst lines through at once, then one per period, and counts the others.
type limiter struct {
	*rate.Limiter
	skipped int
}

func newLimiter(burst int, period time.Duration) limiter {
	return limiter{Limiter: rate.NewLimiter(rate.Every(period), burst)}
}

// allow reports whether a line may be written now, and how many were skipped
// since the last one.
func (l *limiter) allow(now time.Time) (skipped int, ok bool) {
	if !l.AllowN(now, 1) {
		l.skipped++
		return 0, false
	}
	skipped, l.skipped = l.skipped, 0
	return skipped, true
}
