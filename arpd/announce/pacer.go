package announce

import "time"

const (
	// Rate is the pace that speakers use unless they are asked for another: frames a second for all
	// interfaces together, so that 10,000 IPv4 addresses (two frames each) are out within two
	// seconds.
	Rate = 12_000
	// burst is some 60 frames, and a sleep that timers can keep.
	burst = 5 * time.Millisecond
	// credit is for busy nodes, where timers are late: the pace would suffer from each.
	credit = 10 * time.Millisecond
)

// NewPacer makes a pacer for so many frames a second.
func NewPacer(rate int) *Pacer {
	return &Pacer{Gap: time.Second / time.Duration(rate), Burst: burst, Credit: credit}
}

// Pacer keeps a stream of frames at one frame per gap in the long run. It is a plain value of time.
// The limiter of golang.org/x/time/rate would have the sender sleep for each frame once its burst
// is spent; this one lets it sleep once for some 60.
type Pacer struct {
	Gap    time.Duration // between two frames
	Burst  time.Duration // how far ahead of the pace frames may run before the sender sleeps
	Credit time.Duration // how much of the time that a sleep took too long is made up for
	paid   time.Time     // until when the frames sent so far are worth
}

// Spend accounts for frames sent at now and returns how long to wait before the
// next ones.
func (p *Pacer) Spend(frames int, now time.Time) time.Duration {
	if least := now.Add(-p.Credit); p.paid.Before(least) {
		p.paid = least
	}
	p.paid = p.paid.Add(time.Duration(frames) * p.Gap)
	if ahead := p.paid.Sub(now); ahead > p.Burst {
		return ahead
	}
	return 0
}
