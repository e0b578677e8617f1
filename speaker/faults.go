package speaker

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/starling-lb/starling/report"
	"github.com/starling-lb/starling/wake"
	"github.com/starling-lb/starling/watcher"
)

const (
	// rankAgain is when a node that is not to tell a fault looks again: those before it may have gone.
	rankAgain = 30 * time.Second
	// tellBurst events about faults go out at once, and then one in each [report.TellEvery].
	tellBurst = 10
)

func newTells() *rate.Limiter { return rate.NewLimiter(rate.Every(report.TellEvery), tellBurst) }

// telling is how far a fault has been told.
type telling struct {
	since        time.Time
	next         time.Time // when to look whether it is to be told
	logged, told bool
}

// tellFaults sends an event for each fault that lasts, once for as long as it does.
func (s *Speaker) tellFaults(w *world) {
	current := map[report.FaultKey]*telling{}
	for _, f := range w.Faults() {
		t := s.faulty[f.FaultKey]
		if t == nil {
			t = &telling{since: w.Now, next: w.Now.Add(f.Code.Rule().After)}
		}
		current[f.FaultKey] = t
		if !t.told && !w.Now.Before(t.next) {
			s.tellFault(w, f, t)
		}
		if !t.told {
			w.wake = wake.Earlier(w.wake, t.next)
		}
	}
	for f, t := range s.faulty {
		if what := f.Unlogged(); current[f] == nil && t.logged && what != "" {
			s.log.Info().Str("node", f.Node).Str("was", what).Msg("condition is over")
		}
	}
	s.faulty = current
}

// tellFault logs a fault that lasts, and sends its event when it is this node's turn.
func (s *Speaker) tellFault(w *world, f report.Fault, t *telling) {
	if what := f.Unlogged(); what != "" && !t.logged {
		s.log.Warn().Str("node", f.Node).Str("reason", f.Words).Msg(what)
	}
	t.logged = true
	after, ours := w.TurnOf(f)
	due, again := t.since.Add(after), w.Now.Add(rankAgain)
	switch {
	case !ours:
		t.next = again
	case w.Now.Before(due):
		t.next = wake.Earlier(due, again)
	case !s.tells.AllowN(w.Now, 1):
		t.next = w.Now.Add(report.TellEvery)
	default:
		t.told = true
		e := warning(f.Condition)
		e.Key, e.Once = watcher.Key{Name: f.Node}, f.Once()
		s.cfg.API.Event(e)
	}
}
