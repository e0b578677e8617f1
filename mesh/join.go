package mesh

import (
	"context"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// joinPause lies between two rounds of joining, and joinPauseFirst while
	// the mesh has not settled; both by a quarter more or less at random, so
	// that nodes that boot together do not stay in step.
	joinPause      = 2 * time.Second
	joinPauseFirst = 500 * time.Millisecond
	// A node in company asks joinFew missing seeds per round: each is a full
	// exchange of state, and one success merges two halves. A lonely node
	// asks them all, joinWidth at a time, until one answers.
	joinFew   = 3
	joinWidth = 16
	// aliasTime is for how long a seed is left alone that answers but is no
	// member's address: a second address of a member, or of this node.
	aliasTime = 10 * time.Second
)

// joiner looks for members that this node does not see, for ever: a quiet
// partition never heals by itself, and memberlist forgets the dead.
type joiner struct {
	mesh  *Mesh
	via   interface{ Join([]string) (int, error) }
	alias map[netip.AddrPort]time.Time // When it answered without being a member.
}

func (j *joiner) run(ctx context.Context) {
	for ctx.Err() == nil {
		j.round(ctx)
		pause := joinPause
		if !j.mesh.Settled() {
			pause = joinPauseFirst
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause*3/4 + rand.N(pause/2)):
		}
	}
}

// round asks missing seeds once. The list is fetched anew each time, since
// nodes come and go.
func (j *joiner) round(ctx context.Context) {
	all, c, now := j.mesh.cfg.Seeds(), j.mesh.table.company(), time.Now()
	others := otherSeeds(all, c.self)
	j.mesh.settle(func(s *settling) { s.list(len(all), others, now) })

	seeds, lonely := j.missing(others, c, now), len(c.others) == 0
	if !lonely {
		seeds = seeds[:min(joinFew, len(seeds))]
	}
	var found atomic.Bool
	answered := make([]bool, len(seeds))
	var g errgroup.Group
	g.SetLimit(joinWidth)
	for i, seed := range seeds {
		g.Go(func() error {
			if ctx.Err() == nil && !(lonely && found.Load()) {
				answered[i] = j.join(ctx, seed)
				found.CompareAndSwap(false, answered[i])
			}
			return nil
		})
	}
	_ = g.Wait() // No task has an error to return.
	for i, seed := range seeds {
		if answered[i] {
			j.alias[seed] = time.Now() // Until it is seen among the members.
		}
	}
}

// missing are the seeds that are no alive member, shuffled.
func (j *joiner) missing(others []netip.AddrPort, c company, now time.Time) (out []netip.AddrPort) {
	maps.DeleteFunc(j.alias, func(seed netip.AddrPort, at time.Time) bool {
		return c.others[seed] != "" || now.Sub(at) >= aliasTime
	})
	for _, seed := range others {
		if _, alias := j.alias[seed]; !alias && c.others[seed] == "" {
			out = append(out, seed)
		}
	}
	rand.Shuffle(len(out), func(a, b int) { out[a], out[b] = out[b], out[a] })
	return out
}

// join asks one seed, and returns true when states were exchanged.
func (j *joiner) join(ctx context.Context, seed netip.AddrPort) bool {
	m := j.mesh
	m.metrics.joins.Inc()
	_, err := j.via.Join([]string{seed.String()})
	if ctx.Err() != nil {
		return err == nil
	}
	var refusal kind
	if err != nil {
		m.metrics.failed.Inc()
		refusal = refusalOf(err)
	}
	switch refusal {
	case kindKey:
		m.see(trouble{kind: kindKey, who: seed.Addr().String()})
	case kindRefused:
		m.see(trouble{kind: kindRefused, who: seed.Addr().String()})
	}
	// A good answer without company is our own: a seed was an address of
	// this node that it does not know as such.
	answered := refusal == kindKey || err == nil && len(m.table.company().others) > 0
	now := time.Now()
	m.settle(func(s *settling) { s.tried(seed, answered, now) })
	return err == nil
}

// refusalOf tells why a seed could not be joined, or "" if nobody answered.
// memberlist keeps only the text of errors.
func refusalOf(err error) kind {
	text := err.Error()
	switch {
	case strings.Contains(text, errNoAnswer.Error()), strings.Contains(text, os.ErrDeadlineExceeded.Error()):
		return "" // A kernel may take connections for a process that is stopped.
	case strings.Contains(text, saysNoKey):
		return kindKey
	}
	return kindRefused
}

// otherSeeds leaves out this node, what is no address, and the other address
// family: the gossip of a node has one address.
func otherSeeds(all []netip.AddrPort, self netip.AddrPort) (out []netip.AddrPort) {
	for _, seed := range all {
		seed = netip.AddrPortFrom(seed.Addr().Unmap(), seed.Port())
		usable := seed.IsValid() && seed.Port() != 0 && seed.Addr().BitLen() == self.Addr().BitLen()
		if usable && seed != self {
			out = append(out, seed)
		}
	}
	slices.SortFunc(out, netip.AddrPort.Compare)
	return slices.Compact(out)
}
