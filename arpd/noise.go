package arpd

import (
	"time"

	"github.com/rs/zerolog"
)

// noise are loggers for what can happen any number of times for one cause: a card that refuses frames fails once for
// each address, and what stations send is theirs to say. A few lines a minute of each tell the story; the metrics
// count them all.
type noise struct{ send, look, read zerolog.Logger }

const (
	noiseBurst  = 5
	noisePeriod = time.Minute
)

func newNoise(log zerolog.Logger) noise {
	few := func() zerolog.Logger {
		return log.Sample(&zerolog.BurstSampler{Burst: noiseBurst, Period: noisePeriod})
	}
	return noise{send: few(), look: few(), read: few()}
}
