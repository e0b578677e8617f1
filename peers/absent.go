package peers

import (
	"slices"
	"time"
)

// absence is the time in which the speaker of a peer is away: it is about to end, has ended, or has
// begun and was not ready yet. Its host goes on forwarding, so it keeps its addresses, and another
// node answers for them with its MAC.
type absence struct {
	since    time.Time
	grace    time.Duration
	word     Word // its last before that
	reported bool // this process began later: it lasts as long as others, or an earlier one, say so
	noted    bool // of a reported one only as soon as this node could own addresses: until then it meets nobody
}

// absent reports whether a peer whose speaker is not heard, or says that it is away, keeps its
// addresses. Whether its host is there, the host watch finds out.
func (p *Peers) absent(q *Peer, m *Member, now time.Time) bool {
	a := p.absences[m.Name]
	switch {
	case p.without(SpeakerAway), m.State != Dead && !m.Word.Away, m.Word.Draining:
		return false
	case p.fails(q, now):
		p.known[m.Name] = true
		return false
	case a == nil:
		if a = p.begins(m, now); a == nil {
			return false
		}
		p.absences[m.Name] = a
	case now.Sub(a.since) >= a.grace, a.reported && !m.missed() && !m.Recalled:
		p.known[m.Name] = true
		return false
	}
	p.wakeAt(a.since.Add(a.grace))
	q.State, q.Since, q.Word, q.Reason = Absent, a.since, a.word, "its speaker is away, and its host is there"
	return true
}

// fails reports whether a peer does not forward, so that it keeps no addresses while its speaker is
// away.
func (p *Peers) fails(q *Peer, now time.Time) bool {
	said := p.dropped(q.Name, now)
	if len(said) == 0 {
		return false
	}
	q.Reason = "its speaker is away, and " + said[0].reason()
	return true
}

// begins is the absence of a peer that begins now; nil: it does not. Of one that this process has
// never known otherwise, others say so, or an earlier process did. Of all others say so while this
// process was stopped a moment ago: an absence that it learns of only now may be over for them.
func (p *Peers) begins(m *Member, now time.Time) *absence {
	if !p.mayBeAbsent(m) {
		return nil
	}
	stopped := !p.stopped.IsZero() && now.Sub(p.stopped) < p.cfg.Timing.Against
	if word := p.ready[m.Name]; word != nil && !stopped {
		return &absence{since: now, grace: m.Grace, word: *word}
	}
	if p.known[m.Name] && !stopped || !m.missed() && (!m.Recalled || p.without(AwayBefore)) {
		return nil
	}
	word := m.Word
	word.Ready, word.Away = true, false
	return &absence{since: now, grace: m.Grace, word: word, reported: true}
}

// mayBeAbsent reports whether all others are sure to keep the addresses of a peer for it. What they
// go by, they all know alike by gossip.
func (p *Peers) mayBeAbsent(m *Member) bool {
	if p.cfg.Pace <= 0 || m.Grace <= 0 || len(m.MACs) == 0 {
		return false
	}
	watched := Share(p.me.Networks, m.Networks)
	for i := range p.gossip {
		o := &p.gossip[i]
		if o.State != Alive || o.Name == p.self || o.Name == m.Name {
			continue
		}
		if !o.Deputy {
			return false
		}
		watched = watched || Share(o.Networks, m.Networks)
	}
	return watched
}

// noteMoves notes whose absence has ended otherwise than by the return of its speaker.
func (p *Peers) noteMoves(list []Peer, now time.Time) {
	for i := range p.last.Peers {
		was := &p.last.Peers[i]
		if a := p.absences[was.Name]; was.State != Absent || a == nil || !a.noted {
			continue
		}
		switch moved := slices.ContainsFunc(list, func(q Peer) bool { return q.Name == was.Name && !q.State.Owns() }); {
		case !moved:
		case len(p.dropped(was.Name, now)) > 0:
			p.note(was.Name, p.dropped(was.Name, now)[0].what())
		case p.lost[was.Name].IsZero():
			p.note(was.Name, Late)
		default:
			p.note(was.Name, Lost)
		}
	}
}

// remember notes which peers could be absent from now on, and which are no longer absent.
func (p *Peers) remember(list []Peer) {
	was := p.absences
	p.ready, p.absences = make(map[string]*Word, len(list)), make(map[string]*absence)
	for i := range list {
		switch q := &list[i]; {
		case q.State.Up() && q.Word.Ready && !q.Word.Draining && !q.Word.Away:
			p.ready[q.Name], p.known[q.Name] = &q.Word, true
		case q.State == Absent, was[q.Name] != nil && !p.lost[q.Name].IsZero(): // it may be heard again
			p.absences[q.Name] = was[q.Name]
		}
		if a := p.absences[list[i].Name]; a != nil && !a.noted && list[i].State == Absent && (p.me.Fit || !a.reported) {
			a.noted = true
			p.note(list[i].Name, Away)
		}
	}
}

// held reports whether a peer takes this node for absent, and so keeps its addresses for it.
func (p *Peers) held() bool {
	m := p.member(p.self)
	return m != nil && m.missed()
}

// kept reports whether no other node can have taken the addresses of this one while its speaker was
// away. What an earlier process knew tells that for the beginning of this one alone.
func (p *Peers) kept() bool {
	m := p.member(p.self)
	return m != nil && (m.missed() || m.Recalled && !p.hold.begun)
}
