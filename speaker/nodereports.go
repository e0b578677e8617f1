package speaker

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/starling-lb/starling/report"
	"github.com/starling-lb/starling/wake"
	"github.com/starling-lb/starling/watcher"
)

const (
	// rankAgain is when a node that is not to report a condition looks again: those before it may
	// have gone.
	rankAgain = 30 * time.Second
	// reportBurst events about conditions go out at once, and then one in each
	// [report.ReportEvery].
	reportBurst = 10
)

func newReportLimit() *rate.Limiter {
	return rate.NewLimiter(rate.Every(report.ReportEvery), reportBurst)
}

// reportState is how far a condition has been reported.
type reportState struct {
	since            time.Time
	next             time.Time // when to look whether it is to be reported
	logged, reported bool
}

// reportConditions sends an event for each condition that lasts, once for as long as it does.
func (s *Speaker) reportConditions(w *world) {
	current := map[report.NodeReportKey]*reportState{}
	for _, f := range w.NodeReports() {
		t := s.reporting[f.NodeReportKey]
		if t == nil {
			t = &reportState{since: w.Now, next: w.Now.Add(f.Code.Rule().After)}
		}
		current[f.NodeReportKey] = t
		if !t.reported && !w.Now.Before(t.next) {
			s.reportCondition(w, f, t)
		}
		if !t.reported {
			w.wake = wake.Earlier(w.wake, t.next)
		}
	}
	for f, t := range s.reporting {
		if what := f.Unlogged(); current[f] == nil && t.logged && what != "" {
			s.log.Info().Str("node", f.Node).Str("was", what).Msg("condition is over")
		}
	}
	s.reporting = current
}

// reportCondition logs a condition that lasts, and sends its event when it is this node's turn.
func (s *Speaker) reportCondition(w *world, f report.NodeReport, t *reportState) {
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
	case !s.nodeReportLimit.AllowN(w.Now, 1):
		t.next = w.Now.Add(report.ReportEvery)
	default:
		t.reported = true
		e := warning(f.Condition)
		e.Key, e.Once = watcher.Key{Name: f.Node}, f.Once()
		s.cfg.API.Event(e)
	}
}
