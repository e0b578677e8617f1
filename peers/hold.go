package peers

import (
	"math"
	"time"

	"github.com/starling-lb/starling/wake"
)

// Never is a Timing.Hold that does not end by time.
const Never = time.Duration(math.MaxInt64)

// uncordoned stands for the time when a node will be.
var uncordoned = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)

// hold reports whether this node has come back a moment ago: its speaker was started, its link or
// its process came to life again, or it was cut off and is not any more. A returning node may own
// what nobody else may, but of all others it goes behind those that are steady. If there is none
// the hold is over at once, so that a cluster that boots does not wait, and where those that are
// steady have come back recently as well it is short. It is over when somebody asks for that after
// it began.
//
// The hold of a cordoned node goes on until it is uncordoned: it is about to go again, and each
// move ends connections.
//
// Each further return within a while doubles the hold, up to a maximum: what took the node away
// may come again, and each return moves addresses.
//
// A process that takes over from one that was held, and whose addresses were kept for it, is held
// on.
type hold struct {
	Return
	times   *Timing
	fit     bool      // as of the last look
	begun   bool      // was fit once
	earlier time.Time // an earlier process was held until then
	asked   bool      // Return.Asked is known
	waits   time.Time // when it would end if the node was not cordoned; zero: it is not
	here    bool      // Return.At is of this process
}

// Return is when a node came back last. It outlives the process, which may be what comes and goes.
type Return struct {
	At    time.Time `json:"at"`
	Count int       `json:"count"`           // returns in quick succession, less one
	Until time.Time `json:"until,omitzero"`  // others go first until then; zero: no more
	Asked string    `json:"asked,omitempty"` // Self.Asked when the hold began
}

// Held reports whether others go first then.
func (r Return) Held(now time.Time) bool { return now.Before(r.Until) }

// newHold is that of a process of which an earlier one of its node left that.
func newHold(t *Timing, last Return) hold {
	h := hold{times: t, Return: last, earlier: last.Until}
	h.Until = time.Time{}
	return h
}

// status is what a hold depends on.
type status struct {
	fit    bool   // the node could own addresses
	steady bool   // another node can that is not returning itself
	long   bool   // and has not come back recently either
	kept   bool   // its addresses were kept for it, so that it never was gone
	synced bool   // asked is known
	asked  string // see Self.Asked
	cordon bool   // see Self.Cordoned
}

// returning judges anew. The second result reports whether this is a new return, the third whether
// a hold ends before its time.
func (h *hold) returning(now time.Time, s status) (returning, fresh, over bool) {
	was, begins := h.Until, s.fit && !h.fit
	if fresh = begins && !s.kept; fresh {
		if ago := now.Sub(h.At); !h.At.IsZero() && ago >= 0 && ago <= h.times.HoldMemory {
			h.Count++
		} else {
			h.Count = 0
		}
		h.At, h.Until, h.asked, h.here = now, now.Add(h.length()), false, true
	}
	if begins && s.kept && now.Before(h.earlier) {
		h.Until, h.asked = wake.Earlier(h.earlier, now.Add(h.length())), true
	}
	if s.fit {
		h.earlier = time.Time{}
	}
	if h.here && !s.long && h.Held(now) && h.waits.IsZero() {
		h.Until = wake.Earlier(h.Until, h.At.Add(h.times.ShortHold))
	}
	h.wait(fresh || h.Held(now), s.cordon)
	if !s.fit || !s.steady || h.ended(s) {
		h.Until, h.waits = time.Time{}, time.Time{}
	}
	h.fit, h.begun = s.fit, h.begun || s.fit
	return h.Held(now), fresh, !fresh && now.Before(was) && h.Until.Before(was)
}

// wait makes a hold go on as long as the node is cordoned.
func (h *hold) wait(held, cordoned bool) {
	switch {
	case cordoned && held && h.waits.IsZero():
		h.Until, h.waits = uncordoned, h.Until
	case !cordoned && !h.waits.IsZero():
		h.Until, h.waits = h.waits, time.Time{}
	}
}

// ended reports whether somebody has asked for the end of the hold since it began: with another
// value than there was then.
func (h *hold) ended(s status) bool {
	if s.synced && !h.asked {
		h.Asked, h.asked = s.asked, true
	}
	return s.synced && s.asked != "" && s.asked != h.Asked
}

// recent reports whether this node has come back a moment ago, held or not, and until when that is
// so.
func (h *hold) recent(now time.Time) (until time.Time, recent bool) {
	until = h.At.Add(h.times.Recent)
	return until, h.here && now.Before(until)
}

// length of the present hold. A clock that was set while no process ran cannot make it longer.
func (h *hold) length() time.Duration {
	most := max(h.times.MaxHold, h.times.Hold)
	if h.times.Hold >= most {
		return most
	}
	return min(h.times.Hold<<min(max(h.Count, 0), 10), most)
}

// cutOff reports whether this node is cut off: all others are dead, at least so many. A link may be
// broken where the kernel does not see it, behind the switch; the end of that is a return as well.
// Until somebody is heard again it stays so, because who is dead for long is forgotten.
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
