package page

import (
	"fmt"
	"time"

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/status/text"
)

// move is a line of the timeline.
type move struct {
	api.Move
	Fresh bool
}

// moves are the last ones, the latest first.
func (x *Index) moves() []move {
	all := x.Snapshot.Moves
	r := make([]move, 0, latest)
	for _, m := range all[:min(len(all), latest)] {
		r = append(r, move{m, x.At.Sub(m.At) < freshFor})
	}
	return r
}

// named is how many addresses of a move are named.
const named = 3

// Named are the first of its addresses, More how many are not among them.
func (m move) Named() []string { return m.IPs[:min(len(m.IPs), named)] }

// More is how many addresses are not named.
func (m move) More() int { return m.Count - len(m.Named()) }

// Why says why, and how long the earlier announcer was there.
func (m move) Why() string {
	why := m.Change
	if m.Silent > 0 {
		why += fmt.Sprintf(", last heard %s before", brief(m.Silent))
	}
	if m.From != "" {
		why += "; it had announced for " + text.Age(seconds(m.Held))
	}
	return why
}

// brief writes a time that may be less than a second.
func brief(s float64) string {
	if s < 10 {
		return fmt.Sprintf("%.1f s", s)
	}
	return text.Age(seconds(s))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
