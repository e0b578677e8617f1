package arpd

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// pulseEvery is how often the process shows itself that it runs.
	pulseEvery = 50 * time.Millisecond
	// stopped is the time without a sign of life after which the process counts
	// as having been stopped: longer than a busy node delays a timer, and than a
	// stop that the mesh forgives.
	stopped = 400 * time.Millisecond
	// mutedAfter is the length of a stop after which other nodes have surely
	// taken the addresses over: they are not answered until the caller says anew
	// what is this node's.
	mutedAfter = time.Second
)

// Stop is a time in which the process did not run: it was stopped by a signal,
// or its machine was paused.
type Stop struct {
	End    time.Time
	Length time.Duration
}

// pulse notices that the process was stopped. The kernel goes on queueing frames
// for it, and when it runs again its readers would answer questions of a time
// when another node may have had the addresses. Readers therefore look at the
// pulse before they act on a frame: one load and one reading of the clock.
type pulse struct {
	base  time.Time
	beat  atomic.Int64  // when the process last showed that it runs, since base
	stops atomic.Uint32 // how often it was stopped; readers empty their queues for each
}

func newPulse(now time.Time) *pulse { return &pulse{base: now} }

// tick is a sign of life. It returns how long the process was stopped before it;
// zero: it was not.
func (p *pulse) tick(now time.Time) time.Duration {
	at := now.Sub(p.base)
	gap := at - time.Duration(p.beat.Load())
	if gap <= stopped {
		gap = 0
	} else {
		p.stops.Add(1) // before the beat: no reader may take an old frame for a new one
	}
	p.beat.Store(int64(at))
	return gap
}

// late reports whether the process runs again after a stop, and tick has not said
// so yet.
func (p *pulse) late() bool { return time.Since(p.base)-time.Duration(p.beat.Load()) > stopped }

// live keeps the pulse.
func (r *Responder) live(ctx context.Context) {
	r.pulse.beat.Store(int64(time.Since(r.pulse.base)))
	tick := time.NewTicker(pulseEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if gap := r.pulse.tick(time.Now()); gap > 0 {
				r.resume(gap, time.Now())
			}
		}
	}
}

// resume goes on after the process was stopped. After a short stop everything is
// announced again: if another node has taken addresses over meanwhile, the two
// hear each other. After a long one nothing is answered before the caller has
// thought again.
func (r *Responder) resume(gap time.Duration, now time.Time) {
	r.log.Warn().Dur("length", gap).Msg("process was stopped")
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop = Stop{End: now, Length: gap}
	if gap >= mutedAfter {
		r.muted = true
		r.update(slices.Clone(r.own), now)
	} else {
		r.schedule.restart(now)
		poke(r.due)
	}
	poke(r.changed)
}

// overslept reports whether the frame just read is of a time when the process was
// stopped; then all that wait behind it are dropped too.
func (r *reader) overslept() bool {
	if r.pulse == nil {
		return false
	}
	if n := r.pulse.stops.Load(); n != r.stops {
		r.stops = n
		r.metrics.dropped[stale].Add(float64(1 + r.sock.Drain()))
		return true
	}
	if r.pulse.late() {
		r.metrics.dropped[stale].Inc()
		return true
	}
	return false
}
