package report

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/mesh"
)

const (
	maxMoves = 50 // that are remembered
	maxNamed = 10 // addresses that one of them names
)

// Moved is an address that another node announces since this turn.
type Moved struct {
	IP       netip.Addr
	From, To string // "" nobody
	Cause    string
	Since    time.Time // since when From announced it
}

// Record returns the last moves and those of this turn, the latest first. The addresses that went
// from one node to another for one cause are one move. Replied says when a node was last heard.
// Nothing is changed in place, since views show it.
func (w *World) Record(last []api.Move, turn []Moved, replied func(node string) time.Time) []api.Move {
	var list []api.Move
	for _, m := range turn {
		i := slices.IndexFunc(list, func(x api.Move) bool { return x.From == m.From && x.To == m.To && x.Cause == m.Cause })
		if i < 0 {
			i = len(list)
			list = append(list, w.move(m, replied))
		}
		x := &list[i]
		if x.Count++; len(x.IPs) < maxNamed {
			x.IPs = append(x.IPs, m.IP.String())
		}
		x.Held = min(x.Held, w.Now.Sub(m.Since).Seconds())
	}
	list = append(list, last...)
	return list[:min(len(list), maxMoves)]
}

// move is what all addresses of one move share.
func (w *World) move(m Moved, replied func(node string) time.Time) api.Move {
	x := api.Move{At: w.Now, From: m.From, To: m.To, Cause: m.Cause, Change: w.whyMoved(m), Held: w.Now.Sub(m.Since).Seconds()}
	if m.Cause == CauseLost {
		if at := replied(m.From); !at.IsZero() && at.Before(w.Now) {
			x.Silent = w.Now.Sub(at).Seconds()
		}
	}
	return x
}

// whyMoved says why the earlier announcer is it no more, as far as this speaker knows.
func (w *World) whyMoved(m Moved) string {
	i := slices.IndexFunc(w.Members, func(x mesh.Member) bool { return x.Name == m.From })
	switch {
	case m.From == "":
		return fmt.Sprintf("%s may announce, after nobody could", m.To)
	case i < 0:
		return m.From + " is no member any more"
	}
	from := w.Members[i]
	switch {
	case from.State == mesh.Left:
		return m.From + " left"
	case m.Cause == CauseLost:
		return m.From + " was lost"
	case from.Meta.Draining:
		return m.From + " is about to leave"
	case !from.Meta.Ready:
		return m.From + " is not ready any more"
	case from.Meta.Drops:
		return m.From + " does not forward"
	case from.Meta.NoProxy:
		return "kube-proxy of " + m.From + " does not run"
	case m.To == "":
		return m.From + " may not announce any more"
	}
	return m.To + " goes first now"
}
