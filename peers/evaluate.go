package peers

import (
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/probe"
)

// Peer is another node's speaker, as this node sees it.
type Peer struct {
	Name  string
	State State
	// Reason says in words why the state is not what gossip says; "" it is.
	Reason  string
	Since   time.Time // of the state; zero: gossip never met it
	Suspect bool      // somebody suspects it; its state is Alive as yet, or Dead because of that
	Silent  bool      // this node watches its host, and misses replies
	// KernelSilent says that this node watches its host, whose kernel replies to no probe, and that
	// the peer lives all the same.
	KernelSilent bool
	Word         Word     // by gossip, or as it replied on the wire
	MACs         []string // of a peer that gossip never met, sorted; else those of Member count
}

// evaluate joins what gossip says of the peers with what the wire says, without the host watch. It
// is the table of the package comment from the sixth row on.
func (p *Peers) evaluate(now time.Time) []Peer {
	at := byName(p.names)
	out := make([]Peer, 0, len(p.gossip))
	for i := range p.gossip {
		m := &p.gossip[i]
		macs := at[m.Name]
		delete(at, m.Name)
		if m.Name == p.self {
			continue
		}
		q := Peer{Name: m.Name, State: m.State, Since: m.Since, Word: m.Word}
		switch {
		case m.State != Alive && len(macs) > 0:
			p.evaluateLost(&q, m, macs, now)
		case m.Word.Away:
			p.absent(&q, m, now)
		}
		out = append(out, q)
	}
	for name, macs := range at {
		if name == p.self || p.without(NeverMet) {
			continue
		}
		if v, word := p.presence(macs, time.Time{}, now); v == present {
			out = append(out, Peer{Name: name, State: Wire, Word: word, MACs: macs, Reason: "it replies on the wire, and gossip has never reached it"})
		}
	}
	slices.SortFunc(out, func(a, b Peer) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// evaluateLost judges a peer that gossip does not reach and that has MACs to be asked at.
func (p *Peers) evaluateLost(q *Peer, m *Member, macs []string, now time.Time) {
	row, since := DeadReplies, time.Time{}
	if m.State == Left { // what it replied before it said so tells nothing
		row, since = LeftReplies, m.Since
	}
	v, word := p.presence(macs, since, now)
	if v == present && !p.without(row) {
		q.State, q.Word, q.Reason = Wire, word, "it replies on the wire, and gossip to it is blocked"
		return
	}
	if p.absent(q, m, now) || m.State != Dead || p.dead[m.Name] || !m.Word.Ready || m.Word.Draining {
		return
	}
	for _, end := range []time.Time{m.Since.Add(p.cfg.Timing.Doubt), m.Since.Add(p.cfg.Timing.Open)} {
		if now.Before(end) {
			p.wakeAt(end)
		}
	}
	if now.Sub(m.Since) < p.graceOf(v, m.Open) {
		q.State, q.Reason = Wire, "gossip has just lost it, and the wire has no verdict yet"
	}
}

// graceOf is how long a peer that gossip has just declared dead counts as alive.
func (p *Peers) graceOf(v watchResult, listens bool) time.Duration {
	switch {
	case listens:
		return p.cfg.Timing.Open
	case v == open:
		return p.cfg.Timing.Doubt
	}
	return 0
}

// presence sums up the replies of a speaker after some time at all its MACs: one is enough.
func (p *Peers) presence(macs []string, since, now time.Time) (watchResult, Word) {
	mute := 0
	for _, mac := range macs {
		a, asked := p.own.Answer(probe.Question{MAC: mac})
		s := p.stations[mac]
		switch {
		case s.Code == silentWord:
		case asked && !a.Silent && a.Last.After(since):
			return present, WordOf(s.Code)
		case s.Last.After(since) && now.Sub(s.Last) < p.cfg.Timing.Doubt:
			p.wakeAt(s.Last.Add(p.cfg.Timing.Doubt))
			return present, WordOf(s.Code)
		}
		if asked && a.Silent {
			mute++
		}
	}
	if mute == len(macs) {
		return silent, Word{}
	}
	return open, Word{}
}
