package claims

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/wake"
)

// ACD is the rhythm of address conflict detection (RFC 5227): how a tentative address is tried out
// before its first use, whether a station has it already.
type ACD struct {
	Tries        int           // probes in the first round; one in each that follows
	Wait         time.Duration // the first probe goes out within it, at random
	Gap, GapMost time.Duration // between probes, at random
	Listen       time.Duration // after the last one
}

// Shortened is the rhythm for a host that is waited for: three probes, and an answer that takes up
// to 0.1 s is not missed.
func Shortened() ACD {
	return ACD{Tries: 3, Gap: 40 * time.Millisecond, GapMost: 50 * time.Millisecond, Listen: 100 * time.Millisecond}
}

// RFC5227 is the rhythm of RFC 5227, section 1.1: 4 to 7 s for an address.
func RFC5227() ACD {
	return ACD{Tries: 3, Wait: time.Second, Gap: time.Second, GapMost: 2 * time.Second, Listen: 2 * time.Second}
}

// Longest is how long an address is tried out at most.
func (a ACD) Longest() time.Duration {
	return a.Wait + time.Duration(a.Tries-1)*a.GapMost + a.Listen
}

const (
	// probeBurst probes at most go out at once, then probeRest follows: that is the pace of
	// announcements, 12,000 a second.
	probeBurst = 64
	probeRest  = probeBurst * time.Second / 12_000
	// maxTentative bounds the memory of addresses that strangers have.
	maxTentative = 1024
)

// Probed is what is known of an address that nobody should have.
type Probed struct {
	Begun time.Time
	Known bool   // probed; false: MAC is "", or of a member that may be about to let go of it
	MAC   string // of the station that has it; "" for none
}

// tentative is an address that is probed before its use, and then looked at now and then.
type tentative struct {
	begun  time.Time
	known  bool
	mac    MAC       // zero: nobody
	member time.Time // since when a member has it; zero: a stranger or nobody
	wanted bool      // false: remembered because a station has it
	left   int       // probes to send in this round
	heard  bool      // in this round
	missed int       // rounds in a row without an answer
	due    time.Time
}

// probes are the addresses that are tried out.
type probes struct {
	*Config // of the machine
	addrs   map[netip.Addr]*tentative
	at      time.Time // not later than any of them is due; zero: there is none
}

func newProbes(c *Config) probes { return probes{Config: c, addrs: make(map[netip.Addr]*tentative)} }

// want has an address tried out.
func (p *probes) want(ip netip.Addr, now time.Time) {
	if t := p.addrs[ip]; t != nil {
		t.wanted = true
		return
	}
	p.add(ip, &tentative{begun: now, wanted: true, left: p.ACD.Tries, due: now.Add(p.random(p.ACD.Wait))})
}

func (p *probes) add(ip netip.Addr, t *tentative) {
	p.addrs[ip], p.at = t, wake.Earlier(p.at, t.due)
}

// leave has an address tried out no more. One that a station has is looked at for
// as long as that one is there.
func (p *probes) leave(ip netip.Addr) {
	if t := p.addrs[ip]; t != nil {
		t.wanted = false
		if t.mac == (MAC{}) {
			delete(p.addrs, ip)
		}
	}
}

// tidy forgets, and returns, what is neither wanted nor in use.
func (p *probes) tidy() (gone []netip.Addr) {
	for ip, t := range p.addrs {
		if !t.wanted && t.mac == (MAC{}) {
			delete(p.addrs, ip)
			gone = append(gone, ip)
		}
	}
	return gone
}

// drop forgets an address that has an owner now.
func (p *probes) drop(ip netip.Addr) { delete(p.addrs, ip) }

// seen remembers an address that was ours and that a stranger has.
func (p *probes) seen(ip netip.Addr, mac MAC, now time.Time) {
	if len(p.addrs) < maxTentative {
		p.add(ip, &tentative{begun: now, known: true, mac: mac, left: 1, due: now.Add(p.later())})
	}
}

// open reports whether ip is being tried out for the first time. Then the probe of
// another host for it counts as if that one had it (RFC 5227, section 2.1.1).
func (p *probes) open(ip netip.Addr) bool {
	t := p.addrs[ip]
	return t != nil && !t.known
}

// heard notes that mac has ip, which is that of a member or not, and returns
// true if that is news.
func (p *probes) heard(ip netip.Addr, mac MAC, member bool, now time.Time) (changed bool) {
	t := p.addrs[ip]
	if t == nil {
		return false
	}
	was := *t
	t.mac, t.heard = mac, true
	switch {
	case !member:
		t.known, t.member = true, time.Time{}
	case t.member.IsZero():
		t.known, t.member = false, now
		if t.due.After(now.Add(p.Timing.ProbeSoon)) {
			t.due = now.Add(p.Timing.ProbeSoon)
			p.at = wake.Earlier(p.at, t.due)
		}
	case now.Sub(t.member) >= p.Timing.Letting:
		t.known = true
	}
	return t.known != was.known || t.mac != was.mac
}

// next returns the addresses to probe now, in a fixed order, and whether more is known. at says
// when to call again.
func (p *probes) next(now time.Time) (ask []netip.Addr, changed bool) {
	p.at = time.Time{}
	for _, ip := range p.due(now) {
		if len(ask) == probeBurst {
			p.at = now.Add(probeRest)
			break
		}
		t := p.addrs[ip]
		if t.left > 0 {
			ask = append(ask, ip)
			t.left--
			t.due = now.Add(p.pause(t))
			continue
		}
		changed = t.conclude(p.Timing.Free) || changed
		t.left, t.due = 1, now.Add(p.until(t))
	}
	for _, t := range p.addrs {
		if t.due.After(now) {
			p.at = wake.Earlier(p.at, t.due)
		}
	}
	return ask, changed
}

// due are the addresses that something is to be done about, the one that waits
// longest first.
func (p *probes) due(now time.Time) []netip.Addr {
	var out []netip.Addr
	for ip, t := range p.addrs {
		if !t.due.After(now) {
			out = append(out, ip)
		}
	}
	slices.SortFunc(out, func(a, b netip.Addr) int {
		return cmp.Or(p.addrs[a].due.Compare(p.addrs[b].due), a.Compare(b))
	})
	return out
}

func (p *probes) pause(t *tentative) time.Duration {
	if t.left > 0 {
		return p.ACD.Gap + p.random(p.ACD.GapMost-p.ACD.Gap)
	}
	return p.ACD.Listen
}

// until is the pause between rounds.
func (p *probes) until(t *tentative) time.Duration {
	switch {
	case t.member.IsZero():
		return p.later()
	case t.known:
		return p.Timing.ProbeMember
	}
	return p.Timing.ProbeSoon
}

func (p *probes) later() time.Duration { return p.jitter(p.Timing.ProbeAgain) }

// conclude ends a round, and reports whether more is known than before.
func (t *tentative) conclude(enough int) (changed bool) {
	was := *t
	t.missed++
	if t.heard {
		t.missed = 0
	}
	if !t.member.IsZero() {
		enough = 1
	}
	if t.mac != (MAC{}) && t.missed >= enough {
		t.mac, t.member = MAC{}, time.Time{}
	}
	t.known = t.known || t.member.IsZero()
	t.heard = false
	return t.known != was.known || t.mac != was.mac
}

// probeTentative probes the tentative addresses that it is time for, and gives up those of no
// interest.
func (m *Machine) probeTentative(now time.Time) {
	if m.probes.at.IsZero() || now.Before(m.probes.at) {
		return
	}
	ask, known := m.probes.next(now)
	m.ready.Probe, m.ready.Changed = append(m.ready.Probe, ask...), m.ready.Changed || known
	for _, ip := range m.probes.tidy() {
		m.dutyOf(ip).step(m, now)
	}
}

// found notes that a station has a tentative address, or wants it.
func (m *Machine) found(ip netip.Addr, mac MAC, now time.Time) {
	if action := m.Rules[Tentative][m.claimant(ip, mac)]; action != 0 {
		m.ready.Changed = m.probes.heard(ip, mac, action&Again != 0, now) || m.ready.Changed
	}
}

// tentative begins or ends the probing of an address that has no owner, and returns what it is.
func (m *Machine) tentative(d duty, now time.Time) Role {
	if mac, known := m.stranger(d.IP); known {
		m.probes.seen(d.IP, mac, now)
	}
	if d.Role == Tentative {
		m.probes.want(d.IP, now)
	} else {
		m.probes.leave(d.IP)
	}
	if m.probes.addrs[d.IP] == nil {
		return None
	}
	return Tentative
}

// Probed is what is known of the addresses that are probed before their use, and of those at which
// strangers were seen.
func (m *Machine) Probed() map[netip.Addr]Probed {
	out := make(map[netip.Addr]Probed, len(m.probes.addrs))
	for ip, t := range m.probes.addrs {
		mac := ""
		if t.mac != (MAC{}) {
			mac = t.mac.String()
		}
		out[ip] = Probed{Begun: t.begun, Known: t.known, MAC: mac}
	}
	return out
}
