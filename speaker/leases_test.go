package speaker

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/watcher"
)

// TestFailedWritesAreLoggedSparely: many Services to which nobody may write do not fill the log,
// and what is expected is no line at all.
func TestFailedWritesAreLoggedSparely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := New(Config{Log: zerolog.New(&log)})
		fail := func(count int, err error) (lines int) {
			log.Reset()
			for i := range count {
				s.finish(result{lease.Step{Kind: lease.Claim, Service: lease.Key{Namespace: "ns", Name: fmt.Sprint(i)}}, err})
			}
			return bytes.Count(log.Bytes(), []byte("cannot write a lease; deciding again"))
		}
		refused := errors.New("refused by a webhook")
		for _, step := range []struct {
			after time.Duration
			err   error
			count int
			want  int
		}{
			{0, watcher.ErrConflict, 1000, 0},
			{0, refused, 1000, refusedBurst},
			{time.Minute, refused, 1000, 6},
			{time.Hour, refused, 1, 1},
		} {
			time.Sleep(step.after)
			if got := fail(step.count, step.err); got != step.want {
				t.Errorf("%d lines about %d writes (%v), want %d", got, step.count, step.err, step.want)
			}
		}
	})
}
