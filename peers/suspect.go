package peers

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/probe"
)

// Message goes directly to a peer, once, and may be lost. Of kind Suspect it is Refute where About
// and By are the same, by a peer that was suspected.
type Message struct {
	About, By string
	To        string // "" is every peer. It is not part of what is sent.
	Kind      Kind
	// At, of Drops, is what About did not forward, and By had answered through Other. Without
	// Other, which is said of absent peers alone, it is where the kube-proxy of About is not any
	// more; not valid: nothing of About can be tested.
	At    netip.AddrPort
	Other string
}

// Kind is what a message says.
type Kind byte

// The kinds. Others are of a later release.
const (
	Suspect  Kind = iota
	Drops         // by a tester: About does not forward what comes for addresses, see package forward
	Forwards      // the end of that
)

// ownSuspicion is the time in which others suspect this node.
type ownSuspicion struct {
	first, last time.Time
	healed      bool // everything was announced again because of it
}

// suspicion is that of this node.
type suspicion struct {
	since, next time.Time
	sent        int
	silent      bool // not only doubtful
	refuted     bool // the suspect is alive, and this node does not hear it
}

// hear takes a message. It reports whether something follows from it.
func (p *Peers) hear(m Message, now time.Time) bool {
	if m.Kind != Suspect {
		return p.hearTester(m, now)
	}
	if m.By == p.self || p.member(m.By) == nil || p.member(m.About) == nil {
		return false
	}
	if m.About == m.By {
		delete(p.suspected, m.About)
		p.refuted[m.About] = now
		return true
	}
	if m.About == p.self {
		p.out.Messages = append(p.out.Messages, Message{About: p.self, By: p.self})
		p.suspectedBy(m.By, now)
		return true
	}
	by := p.suspected[m.About]
	if by == nil {
		by = map[string]time.Time{}
		p.suspected[m.About] = by
	}
	last, known := by[m.By]
	by[m.By] = now
	fresh := !known || now.Sub(last) >= p.cfg.Timing.SuspectMemory
	if fresh && p.gone(m.About) {
		p.out.Messages = append(p.out.Messages, Message{About: m.About, By: p.self, To: m.By})
	}
	return fresh
}

// gone reports whether a peer takes no part for this node. Who suspects it may still keep its
// addresses for it, and hears that this node agrees.
func (p *Peers) gone(name string) bool {
	return slices.ContainsFunc(p.last.Peers, func(q Peer) bool { return q.Name == name && !q.State.Owns() })
}

// suspectedBy notes that others suspect this node. When they go on after Refute, some of them may
// have believed in its death, and told neighbors of another owner: everything is announced again,
// once for each such time.
func (p *Peers) suspectedBy(by string, now time.Time) {
	a := &p.ownSuspicion
	if now.Sub(a.last) >= p.cfg.Timing.SuspectMemory {
		*a = ownSuspicion{first: now}
	}
	a.last = now
	if !a.healed && now.Sub(a.first) >= p.cfg.Timing.FirstSuspect {
		a.healed = true
		p.heals++
		p.note(by, SuspectsUs)
	}
}

// witnesses are the others that suspect a member.
func (p *Peers) witnesses(name string, now time.Time) (n int) {
	for by, at := range p.suspected[name] {
		if now.Sub(at) >= p.cfg.Timing.SuspectMemory {
			delete(p.suspected[name], by)
			continue
		}
		p.wakeAt(at.Add(p.cfg.Timing.SuspectMemory))
		n++
	}
	return n
}

// hostWatch probes the watched hosts, suspects those that fall silent, and judges members that
// anybody suspects. It returns what to probe for that, the hosts of absent peers apart.
func (p *Peers) hostWatch(list []Peer, now time.Time) (probes, closely []probe.Question) {
	if p.cfg.Pace <= 0 {
		return nil, nil
	}
	p.chooseWatched(list, now)
	for i := range list {
		q := &list[i]
		m := p.member(q.Name)
		if m == nil || q.State != Alive && q.State != Absent {
			delete(p.suspicions, q.Name)
			delete(p.lost, q.Name)
			continue
		}
		away := q.State == Absent
		watched := p.watchHost(q, m, now)
		q.Silent = p.suspicions[m.Name] != nil
		confirmed := p.confirm(q, m, list, now)
		q.KernelSilent = q.State == Alive && !q.Suspect && len(watched) > 0 && watched[0].Host && p.watchResultOf(watched) == silent
		for _, x := range append(watched, confirmed...) {
			if away && x.Host {
				closely = append(closely, x)
			} else {
				probes = append(probes, x)
			}
		}
	}
	return probes, closely
}

// watchHost probes a host that this node watches; its speaker, where it is not known by which
// address. A host that replied before and misses some probes makes this node suspect the peer, and
// if the speaker is away one that never replied, or that cannot be asked, does so as well.
func (p *Peers) watchHost(q *Peer, m *Member, now time.Time) (probes []probe.Question) {
	if !slices.Contains(p.watches, m.Name) {
		delete(p.suspicions, m.Name)
		return nil
	}
	probes = p.hostProbes(m)
	replied := p.replied(probes)
	if len(probes) == 0 {
		probes = speakerProbes(m.MACs)
	}
	if len(replied) == 0 && q.State == Absent {
		replied = probes
	}
	if len(replied) == 0 || slices.ContainsFunc(replied, func(q probe.Question) bool { return !p.doubts(q) }) {
		delete(p.suspicions, m.Name)
		return probes
	}
	s := p.suspicions[m.Name]
	if s == nil {
		s = &suspicion{since: now, next: now}
		p.suspicions[m.Name] = s
	}
	if p.watchResultOf(replied) == silent && !s.silent {
		s.silent = true
		p.note(m.Name, Silent)
	}
	s.refuted = s.refuted || !p.refuted[m.Name].Before(s.since)
	if !now.Before(s.next) && !s.refuted && s.sent < p.cfg.Timing.Suspects {
		p.out.Messages = append(p.out.Messages, Message{About: m.Name, By: p.self})
		s.next = now.Add(p.cfg.Timing.FirstSuspect << s.sent)
		s.sent++
	}
	if now.Before(s.next) {
		p.wakeAt(s.next)
	}
	return probes
}

// confirm judges a member that is suspected by anybody, and makes it dead or alive again.
func (p *Peers) confirm(q *Peer, m *Member, list []Peer, now time.Time) (probes []probe.Question) {
	s, since, witnesses := p.suspicions[m.Name], p.lost[m.Name], p.witnesses(m.Name, now)
	if (s == nil || s.refuted) && witnesses == 0 && since.IsZero() {
		return nil
	}
	q.Suspect = true
	near := Share(m.Networks, p.me.Networks) && len(m.MACs) > 0
	if near {
		if probes = p.hostProbes(m); !p.without(SpeakerAlive) {
			probes = append(probes, speakerProbes(m.MACs)...)
		}
	}
	heard := p.watchResultOf(probes)
	if q.State == Absent && heard == present && since.IsZero() {
		p.vouch(m, probes, now)
	}
	if s != nil && s.silent && heard == present {
		s.refuted = true // its kernel answers nobody any more, its speaker does
	}
	switch {
	case since.IsZero() && !p.believed(heard, near, witnesses, p.fellows(q, m, list)) && !p.alone(q, s, now):
		return probes
	case since.IsZero():
		p.lost[m.Name] = now
		p.note(m.Name, Died)
		if near {
			p.agree(m.Name)
		}
		q.Word, p.known[m.Name] = m.Word, true
	case p.revives(q, heard, since, now):
		delete(p.lost, m.Name)
		if s != nil {
			s.refuted = true
		}
		p.note(m.Name, Revived)
		return probes
	}
	since = p.lost[m.Name]
	if again := since.Add(p.cfg.Timing.Against); now.Before(again) {
		p.wakeAt(again)
	}
	q.State, q.Since = Dead, since
	if m.State == Left {
		q.State = Left
	}
	q.Reason = "its host does not reply to ARP or neighbor discovery"
	return probes
}

// agree tells those that suspect a peer that this node believes in its death. Of the three that
// watch a host two may be dead as well, and the third would wait for somebody who agrees.
func (p *Peers) agree(name string) {
	if s := p.suspicions[name]; s != nil && s.sent > 0 {
		return // every peer knows it
	}
	for _, by := range slices.Sorted(maps.Keys(p.suspected[name])) {
		p.out.Messages = append(p.out.Messages, Message{About: name, By: p.self, To: by})
	}
}

// revives reports whether a peer that this node took for dead by the host watch is not. The host of
// one that is absent may have booted anew when it is heard after a while.
func (p *Peers) revives(q *Peer, heard watchResult, since, now time.Time) bool {
	refuted := p.refuted[q.Name]
	switch {
	case !refuted.IsZero() && !refuted.Before(since):
		return true
	case q.State == Absent:
		return heard == present && now.Sub(since) < p.cfg.Timing.SuspectMemory
	}
	return heard == present || now.Sub(since) >= p.cfg.Timing.Against
}

// alone reports whether the host of an absent peer was silent for so long that no other node need
// agree: a message may be lost, and gossip, which finds out about others in the end, knows nothing
// of it.
func (p *Peers) alone(q *Peer, s *suspicion, now time.Time) bool {
	if q.State != Absent || s == nil || !s.silent || s.refuted {
		return false
	}
	end := s.since.Add(p.cfg.Timing.Alone)
	if now.Before(end) {
		p.wakeAt(end)
	}
	return !now.Before(end)
}

// vouch says in the name of an absent peer that its host is there, which it cannot do itself:
// others suspect it, and this node, which watches it, has had a reply since then.
func (p *Peers) vouch(m *Member, probes []probe.Question, now time.Time) {
	var last time.Time
	for _, at := range p.suspected[m.Name] {
		if at.After(last) {
			last = at
		}
	}
	if last.IsZero() || !slices.Contains(p.watches, m.Name) {
		return
	}
	if !slices.ContainsFunc(probes, func(x probe.Question) bool { return x.Host && p.answer(x).Last.After(last) }) {
		p.wakeAt(now.Add(2 * p.cfg.Rhythms.Close.Steady))
		return
	}
	delete(p.suspected, m.Name)
	p.out.Messages = append(p.out.Messages, Message{About: m.Name, By: m.Name})
}

// believed reports whether own probes and the suspicion of others make a death: near says whether
// the suspect has a network in common with this node, and fellows how many others have one with it,
// this node included.
func (p *Peers) believed(own watchResult, near bool, witnesses, fellows int) bool {
	if !near {
		return witnesses >= 2 && !p.without(TwoAgree)
	}
	return own == silent && (witnesses+1 >= min(2, fellows) || p.without(OneAgrees))
}
