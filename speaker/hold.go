package speaker

import (
	"time"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/mesh"
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
// started, its link or its process came to life again, or it was cut off (see
// alone) and is not any more. A returning node may own
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

// aloneFrom is how many members must be gone, and nobody left, for a node to take itself for the one that is cut off.
// Where only two were, nobody can tell which of them it is.
const aloneFrom = 2

// alone tells whether this node is cut off: all others are gone without a word,
// by gossip and on the wire. A link may be broken where the kernel does not see
// it, behind the switch; the end of that is a return as well. Until somebody is
// heard again it stays so, because who is dead for long is forgotten.
func alone(members []mesh.Member, self string, was bool) bool {
	dead := 0
	for _, m := range members {
		switch {
		case m.Name == self:
		case reachable(m):
			return false
		case m.State == mesh.Dead:
			dead++
		}
	}
	return was || dead >= aloneFrom
}

// length of the present hold.
func (h *hold) length() time.Duration { return min(holdFirst<<min(max(h.Count, 0), 10), holdMost) }
