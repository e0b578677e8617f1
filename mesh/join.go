package mesh

import (
	"cmp"
	"context"
	"fmt"
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
	// A node that has met others asks joinFew missing seeds per round: each is a full
	// exchange of state, and one success merges two halves. A lonely node
	// asks them all, joinWidth at a time, until one answers.
	joinFew   = 3
	joinWidth = 16
	// aliasTime is for how long a seed is left alone that answers but is no
	// member's address: a second address of a member, or of this node.
	aliasTime = 10 * time.Second
)

// joiner looks for members that this node does not see, forever: a quiet
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
		case <-j.mesh.rejoin:
		case <-time.After(pause*3/4 + rand.N(pause/2)):
		}
	}
}

// round asks missing seeds once. The list is fetched anew each time, since
// nodes come and go.
func (j *joiner) round(ctx context.Context) {
	all, c, now := j.mesh.cfg.Seeds(), j.mesh.table.summary(), time.Now()
	others := otherSeeds(all, c)
	j.mesh.seeds.Store(&others)
	j.mesh.settle(func(s *settling) { s.list(len(all), addrsOfSeeds(others), now) })
	j.mesh.apart(all, c)

	seeds, lonely := j.missing(others, c, now), len(c.others) == 0
	if !lonely {
		seeds = seeds[:min(joinFew, len(seeds))]
	}
	for _, addr := range j.mesh.welcome() {
		seeds = append(seeds, Seed{Addr: addr})
	}
	var found atomic.Bool
	answered := make([]bool, len(seeds))
	var g errgroup.Group
	g.SetLimit(joinWidth)
	for i, seed := range addrsOfSeeds(seeds) {
		g.Go(func() error {
			if ctx.Err() == nil && !(lonely && found.Load()) {
				answered[i] = j.join(ctx, seed)
				found.CompareAndSwap(false, answered[i])
			}
			return nil
		})
	}
	_ = g.Wait() // No task has an error to return.
	for i, seed := range addrsOfSeeds(seeds) {
		if answered[i] {
			j.alias[seed] = time.Now() // Until it is seen among the members.
		}
	}
}

// missing are the seeds that are no alive member, shuffled.
func (j *joiner) missing(others []Seed, c summary, now time.Time) (out []Seed) {
	maps.DeleteFunc(j.alias, func(seed netip.AddrPort, at time.Time) bool {
		return c.others[seed] != "" || now.Sub(at) >= aliasTime
	})
	met := map[string]bool{}
	for _, name := range c.others {
		met[name] = true
	}
	for _, seed := range others {
		if _, alias := j.alias[seed.Addr]; !alias && c.others[seed.Addr] == "" && !met[seed.Node] {
			out = append(out, seed)
		}
	}
	rand.Shuffle(len(out), func(a, b int) { out[a], out[b] = out[b], out[a] })
	return out
}

// join asks one seed, and reports whether states were exchanged.
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
		m.see(condition{kind: kindKey, who: seed.Addr().String()})
	case kindRefused:
		m.see(condition{kind: kindRefused, who: seed.Addr().String()})
	}
	// A good answer from nobody else is our own: a seed was an address of
	// this node that it does not know as such.
	answered := refusal == kindKey || err == nil && len(m.table.summary().others) > 0
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

// otherSeeds leaves out this node, what is no address, and a family on which this node does not
// listen.
func otherSeeds(all []Seed, c summary) (out []Seed) {
	for _, seed := range all {
		seed.Addr = netip.AddrPortFrom(seed.Addr.Addr().Unmap(), seed.Addr.Port())
		if usable := seed.Addr.IsValid() && seed.Addr.Port() != 0 && reaches(c.listens(), seed.Addr); usable && !c.is(seed) {
			out = append(out, seed)
		}
	}
	slices.SortFunc(out, func(a, b Seed) int { return cmp.Or(a.Addr.Compare(b.Addr), cmp.Compare(a.Node, b.Node)) })
	return slices.CompactFunc(out, func(a, b Seed) bool { return a.Addr == b.Addr })
}

// listens is where this node listens, as far as it is known.
func (c summary) listens() []netip.AddrPort {
	if len(c.local) > 0 {
		return c.local
	}
	return []netip.AddrPort{c.self}
}

// is reports whether a seed is this node.
func (c summary) is(s Seed) bool {
	return s.Node == c.name || s.Addr == c.self || slices.Contains(c.local, s.Addr)
}

func addrsOfSeeds(seeds []Seed) (out []netip.AddrPort) {
	for _, s := range seeds {
		out = append(out, s.Addr)
	}
	return out
}

// apart complains of the nodes that have no address of a family on which this node listens.
func (m *Mesh) apart(all []Seed, c summary) {
	near, far := map[string]bool{}, map[string][]netip.Addr{}
	for _, s := range all {
		switch {
		case s.Node == "" || c.is(s) || !s.Addr.IsValid():
		case reaches(c.listens(), s.Addr):
			near[s.Node] = true
		default:
			far[s.Node] = append(far[s.Node], s.Addr.Addr())
		}
	}
	for name, addrs := range far {
		if !near[name] {
			m.see(condition{kind: kindFamily, who: name, other: differ(addrs, c.listens()[0].Addr())})
		}
	}
	m.ended(m.conditions.forget(func(what condition, _ sighting) bool {
		return what.kind == kindFamily && (near[what.who] || far[what.who] == nil)
	}))
}

// differ says which addresses a node has, and which this one.
func differ(addrs []netip.Addr, own netip.Addr) string {
	family := map[bool]string{true: "IPv4", false: "IPv6"}
	var all []string
	for _, a := range addrs {
		all = append(all, a.String())
	}
	return fmt.Sprintf("%s addresses (%s), and this node only %s ones (%s)", family[addrs[0].Is4()], strings.Join(all, ", "), family[own.Is4()], own)
}
