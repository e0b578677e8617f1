package arpd

import (
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
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
		return log.Sample(Few(noiseBurst, noisePeriod))
	}
	return noise{send: few(), look: few(), read: few()}
}

// Few lets so many log lines pass at once, and as many again in each period. zerolog's BurstSampler
// reads the wall clock: set back, it would be silent for as long.
func Few(lines int, period time.Duration) zerolog.Sampler {
	return sampler{rate.NewLimiter(rate.Every(period/time.Duration(lines)), lines)}
}

type sampler struct{ *rate.Limiter }

// Sample is part of zerolog.Sampler.
func (s sampler) Sample(zerolog.Level) bool { return s.Allow() }
