package peers

import "time"

// hold tells whether this node has come back a moment ago: its speaker was started, its link or its
// process came to life again, or it was cut off and is not any more. A returning node may own what
// nobody else may, but of all others it goes behind those that are steady. If there is none the
// hold is over at once, so that a cluster that boots does not wait.
//
// Each further return within a while doubles the hold, up to a maximum: what took the node away
// may come again, and each return moves addresses.
type hold struct {
	Return
	times *Timing
	fit   bool // as of the last look
	until time.Time
}

// Return is when a node came back last. It outlives the process, which may be what comes and goes.
type Return struct {
	At    time.Time `json:"at"`
	Count int       `json:"count"` // returns in quick succession, less one
}

// returning judges anew: fit says whether the node could own addresses, steady whether another node
// can that is not returning itself, kept that its addresses were kept for it, so that it never was
// gone. The second result reports whether this is a new return.
func (h *hold) returning(now time.Time, fit, steady, kept bool) (returning, fresh bool) {
	if fresh = fit && !h.fit && !kept; fresh {
		if ago := now.Sub(h.At); !h.At.IsZero() && ago >= 0 && ago <= h.times.HoldMemory {
			h.Count++
		} else {
			h.Count = 0
		}
		h.At, h.until = now, now.Add(h.length())
	}
	if !fit || !steady {
		h.until = time.Time{}
	}
	h.fit = fit
	return now.Before(h.until), fresh
}

// length of the present hold.
func (h *hold) length() time.Duration {
	return min(h.times.Hold<<min(max(h.Count, 0), 10), h.times.MaxHold)
}

// cutOff reports whether this node is cut off: all others are dead, at least so many. A link may be broken where the
// kernel does not see it, behind the switch; the end of that is a return as well. Until somebody is
// heard again it stays so, because who is dead for long is forgotten.
func cutOff(peers []Peer, was bool, least int) bool {
	dead := 0
	for i := range peers {
		switch {
		case peers[i].State.Owns():
			return false
		case peers[i].State == Dead:
			dead++
		}
	}
	return was || dead >= least
}
