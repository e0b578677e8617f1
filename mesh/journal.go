package mesh

import (
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// journalDepth is how many lines may wait for a slow log.
const journalDepth = 256

// journal writes log lines outside of memberlist's locks: a log that blocks
// must not stop the gossip. Lines beyond journalDepth are lost and counted.
type journal struct {
	log   zerolog.Logger
	lines chan func(*zerolog.Logger)
	lost  atomic.Uint64
}

func newJournal(log zerolog.Logger) *journal {
	return &journal{log: log, lines: make(chan func(*zerolog.Logger), journalDepth)}
}

// say queues one line; it never waits.
func (j *journal) say(line func(*zerolog.Logger)) {
	select {
	case j.lines <- line:
	default:
		j.lost.Add(1)
	}
}

// enabled says whether lines of a level are wanted at all.
func (j *journal) enabled(l zerolog.Level) bool {
	return l >= j.log.GetLevel() && l >= zerolog.GlobalLevel()
}

// run writes until done is closed, and then what is left.
func (j *journal) run(done <-chan struct{}) {
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

func (j *journal) flush() {
	for {
		select {
		case line := <-j.lines:
			j.write(line)
		default:
			return
		}
	}
}

func (j *journal) write(line func(*zerolog.Logger)) {
	line(&j.log)
	if n := j.lost.Swap(0); n > 0 {
		j.log.Warn().Uint64("lines", n).Msg("log lines lost")
	}
}

// limiter is a token bucket: burst lines at once, then one per period.
type limiter struct {
	burst  int
	period time.Duration

	left    int
	last    time.Time
	skipped int
}

// allow returns whether a line may be written now, and how many were skipped
// since the last one.
func (l *limiter) allow(now time.Time) (skipped int, ok bool) {
	if l.last.IsZero() {
		l.left, l.last = l.burst, now
	}
	if gain := int(now.Sub(l.last) / l.period); gain > 0 {
		l.left = min(l.burst, l.left+gain)
		l.last = l.last.Add(time.Duration(gain) * l.period)
	}
	if l.left == 0 {
		l.skipped++
		return 0, false
	}
	l.left--
	skipped, l.skipped = l.skipped, 0
	return skipped, true
}
