package mesh

import (
	"net/netip"
	"time"
)

const (
	// silence is how long every seed must stay without an answer before this
	// node takes itself for alone: some four rounds of joining. A cluster
	// that boots at once shall speak within 3 s of its first speaker.
	silence = 2 * time.Second
	// quiet and quietAtMost let the islands of a booting cluster merge before
	// the first of them is taken for the whole.
	quiet       = 300 * time.Millisecond
	quietAtMost = time.Second
	// twinTime is for how long another node of the same name was just seen:
	// a few rounds of joining.
	twinTime = 10 * time.Second
)

// settling decides when the membership may be trusted for the first time:
//
//	another node has my name (seen in the last 10 s)        no
//	others are alive, nothing moved for 0.3 s, or 1 s over  yes, forever
//	seeds are known and all of them are me                  yes, forever
//	every seed was tried, none answered for 2 s             yes, forever
//	no seed at all is known for 2 s, not even me            yes, while it lasts
//
// A seed that answers with another gossip key is an answer: somebody of this
// cluster is there, and this node has the wrong key or the other has. One
// that is refused for any other reason (another cluster, another program on
// the port) is not: it has no say in who speaks here. The last row is not for
// ever because an empty list usually is a list that was not loaded yet.
//
// It has no clock and no lock; times are arguments and never zero.
type settling struct {
	done   bool
	since  time.Time // Beginning of the silence.
	listed bool      // The seeds were asked for at all.
	known  bool      // The last list had an entry, be it self.
	seeds  []netip.AddrPort
	silent map[netip.AddrPort]bool // Tried since then, without an answer.
	twin   time.Time
}

// list records an answer of Seeds: total entries, of which others are not
// this node.
func (s *settling) list(total int, others []netip.AddrPort, now time.Time) {
	known := total > 0
	if !s.listed || known != s.known {
		s.restart(now)
	}
	s.listed, s.known, s.seeds = true, known, others
}

// tried records the end of an attempt to join through a seed.
func (s *settling) tried(seed netip.AddrPort, answered bool, now time.Time) {
	if answered {
		s.restart(now)
		return
	}
	if s.silent == nil {
		s.silent = map[netip.AddrPort]bool{}
	}
	s.silent[seed] = true
}

func (s *settling) restart(now time.Time) {
	s.since = now
	clear(s.silent)
}

func (s *settling) update(c summary, now time.Time) bool {
	switch {
	case s.done:
		return true
	case !s.twin.IsZero() && now.Sub(s.twin) < twinTime:
		return false
	case len(c.others) > 0:
		s.done = now.Sub(c.shift) >= quiet || now.Sub(c.met) >= quietAtMost
		return s.done
	case !s.listed:
		return false
	case !s.known:
		return now.Sub(s.since) >= silence
	case len(s.seeds) == 0:
		s.done = true
	case now.Sub(s.since) >= silence && s.allSilent():
		s.done = true
	}
	return s.done
}

func (s *settling) allSilent() bool {
	for _, seed := range s.seeds {
		if !s.silent[seed] {
			return false
		}
	}
	return true
}
