package arpd

import (
	"context"
	"time"
)

// Bounds of the pause before something that failed is tried again.
const (
	retryFirst = 100 * time.Millisecond
	retryLast  = 30 * time.Second
)

// backoff doubles the pause with every failure in a row.
type backoff struct {
	fails int
	until time.Time // when to try again, zero: nothing failed
}

// note takes the result of an attempt made at now.
func (b *backoff) note(err error, now time.Time) {
	if err == nil {
		*b = backoff{}
		return
	}
	pause := retryLast
	if b.fails < 10 {
		pause = min(pause, retryFirst<<b.fails)
	}
	b.fails++
	b.until = now.Add(pause)
}

// after is a channel that fires when it is time to try again; nil, which never
// fires, when nothing failed.
func (b *backoff) after() <-chan time.Time {
	if b.until.IsZero() {
		return nil
	}
	return time.After(time.Until(b.until))
}

// poke wakes the reader of a channel of capacity 1.
func poke(ch chan<- struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// pause sleeps for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
