package speaker

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/arpd"
)

// line is what the log says of addresses that moved.
type line struct{ what, side, node, reason string }

// linesMost is how many addresses have a line each when as many move alike in one turn; more share one.
const linesMost = 20

// tellMoves logs the changes of owners that concern this node: a line for each address, but when many move alike, as
// when a node dies that had thousands, one for all of them.
func (s *Speaker) tellMoves(w *world) {
	said := map[line][]netip.Addr{}
	for _, m := range w.moves {
		if l, ok := s.moved(w, m); ok {
			said[l] = append(said[l], w.VIPs[m.at].IP)
		}
	}
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

// Anybody on the network can claim any number of addresses, each of which would be a line.
const (
	claimsBurst  = 20
	claimsPeriod = time.Minute
)

// claimsOf is a log for claims of others, of which it takes some lines a minute. All of them are counted by the
// metrics, and shown by the status.
func claimsOf(log zerolog.Logger) zerolog.Logger {
	return log.Sample(arpd.Few(claimsBurst, claimsPeriod))
}
