package speaker

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/report"
)

// line is what the log says of addresses that moved.
type line struct{ what, side, node, reason string }

// linesMost is how many addresses have a line each when as many move alike in one turn; more share
// one.
const linesMost = 20

// reportMoves logs the changes of owners that concern this node: a line for each address, but when
// many move alike, as when a node dies that had thousands, one for all of them.
func (s *Speaker) reportMoves(w *world) {
	said := map[line][]netip.Addr{}
	for _, m := range w.moves {
		if l, ok := s.moved(w, m); ok {
			said[l] = append(said[l], w.VIPs[m.at].IP)
		}
	}
	s.record(w)
	order := slices.SortedFunc(maps.Keys(said), func(a, b line) int {
		return cmp.Or(cmp.Compare(a.what, b.what), cmp.Compare(a.node, b.node), cmp.Compare(a.reason, b.reason))
	})
	for _, l := range order {
		ips := said[l]
		if len(ips) > linesMost {
			s.log.Info().Int("vips", len(ips)).Stringer("vip", ips[0]).Str(l.side, l.node).Str("reason", l.reason).Msg(l.what)
			continue
		}
		for _, ip := range ips {
			s.log.Info().Stringer("vip", ip).Str(l.side, l.node).Str("reason", l.reason).Msg(l.what)
		}
	}
}

// record remembers the moves of the turn for people. What is new to this speaker has not moved.
func (s *Speaker) record(w *world) {
	var turn []report.Moved
	for _, m := range w.moves {
		if t := w.elections[m.at]; m.known {
			turn = append(turn, report.Moved{IP: w.VIPs[m.at].IP, From: m.was, To: t.Result().Owner, Cause: t.Cause, Since: m.since})
		}
	}
	if len(turn) > 0 {
		s.moves = w.Record(s.moves, turn, s.lastSeen)
	}
	w.Moves = s.moves
}

// lastSeen is when a node last answered this one, by gossip or on the wire.
func (s *Speaker) lastSeen(node string) time.Time {
	at := s.live.LastReply(node)
	if s.cfg.Pings != nil {
		if seen := s.cfg.Pings()[node].Seen; seen.After(at) {
			at = seen
		}
	}
	return at
}

// Anybody on the network can claim any number of addresses, each of which would be a line.
const (
	claimsBurst  = 20
	claimsPeriod = time.Minute
)

// claimsOf is a log for claims of others, of which it takes some lines a minute. All of them are
// counted by the metrics, and shown by the status.
func claimsOf(log zerolog.Logger) zerolog.Logger {
	return log.Sample(arpd.Few(claimsBurst, claimsPeriod))
}
