package speaker

import (
	"time"

	"github.com/starling-lb/starling/arpd"
)

const (
	// holdFirst is how long a node that came back lets others go first: it was
	// away for a reason that may come back too, and each return moves addresses.
	holdFirst = 3 * time.Second
	// holdMost bounds the time, which doubles with every return within holdMemory
	// of the one before.
	holdMost   = time.Minute
	holdMemory = 5 * time.Minute
)

// hold tells whether this node has come back a moment ago: its speaker was
// started, its link or its process came to life again. A returning node may own
// what nobody else may, but of all others it goes behind those that are steady.
// If there is none the time is over at once, so a cluster that boots does not
// wait.
type hold struct {
	Return
	fit   bool // as of the last look
	until time.Time
	told  func(Return) // of each return; nil: nobody
}

// Return is when a node came back last. It outlives the process, which may be
// what comes and goes.
type Return struct {
	At    time.Time `json:"at"`
	Count int       `json:"count"` // returns in quick succession, less one
}

// returning judges anew: fit says whether the node could own addresses, steady
// whether another node can that is not returning itself.
func (h *hold) returning(now time.Time, fit, steady bool) bool {
	if fit && !h.fit {
		if ago := now.Sub(h.At); !h.At.IsZero() && ago >= 0 && ago <= holdMemory {
			h.Count++
		} else {
			h.Count = 0
		}
		h.At, h.until = now, now.Add(h.length())
		if h.told != nil {
			h.told(h.Return)
		}
	}
	if !fit || !steady {
		h.until = time.Time{}
	}
	h.fit = fit
	return now.Before(h.until)
}

// awayAfter is the length of a stop of the process after which others have its
// addresses: like a start, it is a return.
const awayAfter = time.Second

// wake looks whether the process was stopped for so long that it must begin
// anew: it answers for nothing then, so there is nothing to hand over either.
func (s *Speaker) wake(stop arpd.Stop) {
	if stop.End.Equal(s.stopped) {
		return
	}
	s.stopped = stop.End
	if stop.Length >= awayAfter {
		s.hold.fit = false
		s.mine = nil
		clear(s.handing)
		clear(s.yields)
	}
}

// length of the present hold.
func (h *hold) length() time.Duration { return min(holdFirst<<min(max(h.Count, 0), 10), holdMost) }
