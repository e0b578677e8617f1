package arpd

import (
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/time/rate"
)

// sampledLogs are loggers for what can happen any number of times for one cause: a card that
// refuses frames fails once for each address, and what stations send is theirs to say. A few lines
// a minute of each tell the story; the metrics count them all.
type sampledLogs struct{ send, look, read zerolog.Logger }

const (
	sampleBurst  = 5
	samplePeriod = time.Minute
)

func newSampledLogs(log zerolog.Logger) sampledLogs {
	few := func() zerolog.Logger {
		return log.Sample(Few(sampleBurst, samplePeriod))
	}
	return sampledLogs{send: few(), look: few(), read: few()}
}

// Few lets so many log lines pass at once, and as many again in each period. zerolog's BurstSampler
// reads the wall clock: set back, it would be silent for as long.
func Few(lines int, period time.Duration) zerolog.Sampler {
	return sampler{rate.NewLimiter(rate.Every(period/time.Duration(lines)), lines)}
}

type sampler struct{ *rate.Limiter }

// Sample is part of zerolog.Sampler.
func (s sampler) Sample(zerolog.Level) bool { return s.Allow() }
