package speaker

import (
	"time"

	"github.com/starling-lb/starling/wake"
)

// turn reads the world, decides and applies. The lease steps that are due are
// returned in the world, because they are written beside the loop.
func (s *Speaker) turn(now time.Time) *world {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.look(now)
	w.wake = now.Add(idleTurn)
	if w.leaving {
		w.wake = s.drain.Add(awayLimit)
	}
	if w.Meta.Returning {
		w.wake = wake.Earlier(w.wake, w.believed.Until)
	}
	w.wake = wake.Earlier(w.wake, s.forward.Next)
	s.elect(w)
	s.speak(w) // first of all: somebody may be waiting for an answer
	s.route(w)
	s.lease(w)
	s.reportAll(w)
	s.publish(w)
	s.ended = s.cfg.Now()
	s.took = s.ended.Sub(now)
	s.metrics.turn.Observe(s.took.Seconds())
	s.beat.Store(int64(s.ended.Sub(s.born)))
	return w
}
