package arpd

import (
	"sync/atomic"
	"time"

	"github.com/starling-lb/starling/claims"
)

const (
	// heartbeatEvery is how often the process shows itself that it runs.
	heartbeatEvery = 50 * time.Millisecond
)

// Stop is a time in which the process did not run: it was stopped by a signal,
// or its machine was paused.
type Stop struct {
	End    time.Time
	Length time.Duration
}

// heartbeat notices that the process was stopped. The kernel goes on queueing frames
// for it, and when it runs again its readers would answer questions of a time
// when another node may have had the addresses. Readers therefore look at the
// heartbeat before they act on a frame: one load and one reading of the clock.
type heartbeat struct {
	base  time.Time
	limit time.Duration // after which the process counts as having been stopped
	beat  atomic.Int64  // when the process last showed that it runs, since base
	stops atomic.Uint32 // how often it was stopped; readers empty their queues for each
}

func newHeartbeat(now time.Time) *heartbeat { return &heartbeat{base: now, limit: claims.Times().Stop} }

// tick is a sign of life. It returns how long the process was stopped before it;
// zero: it was not.
func (p *heartbeat) tick(now time.Time) time.Duration {
	at := now.Sub(p.base)
	gap := at - time.Duration(p.beat.Load())
	if gap <= p.limit {
		gap = 0
	} else {
		p.stops.Add(1) // before the beat: no reader may take an old frame for a new one
	}
	p.beat.Store(int64(at))
	return gap
}

// late reports whether the process runs again after a stop, and tick has not said
// so yet.
func (p *heartbeat) late() bool { return time.Since(p.base)-time.Duration(p.beat.Load()) > p.limit }
