package arpd

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
)

// Rhythm is how an address is tried out before its first use: whether a station
// has it already.
type Rhythm struct {
	Wait         time.Duration // the first probe goes out within it, at random
	Gap, GapMost time.Duration // between probes, at random
	Listen       time.Duration // after the last one
}

// Shortened is the rhythm for a host that is waited for: three probes, and an
// answer that takes up to 0.1 s is not missed.
func Shortened() Rhythm {
	return Rhythm{Gap: 40 * time.Millisecond, GapMost: 50 * time.Millisecond, Listen: 100 * time.Millisecond}
}

// RFC5227 is the rhythm of RFC 5227, section 1.1: 4 to 7 s for an address.
func RFC5227() Rhythm {
	return Rhythm{Wait: time.Second, Gap: time.Second, GapMost: 2 * time.Second, Listen: 2 * time.Second}
}

// Longest is how long an address is tried out at most.
func (r Rhythm) Longest() time.Duration {
	return r.Wait + (probeTries-1)*r.GapMost + r.Listen
}

const (
	// probeTries is PROBE_NUM of RFC 5227, section 1.1.
	probeTries = 3
	// probeAgain lies between looks at an address that is known: a station may
	// take it, or leave it.
	probeAgain = time.Minute
	// probeFree is how many looks in a row must find nobody at an address that was
	// seen in use.
	probeFree = 3
	// probeBurst probes at most go out at once, then there is a rest: that is the
	// pace of announcements.
	probeBurst = 64
	probeRest  = probeBurst * frameGap
	// probeMost bounds the memory of addresses that strangers have.
	probeMost = 1024
	// memberGrace is how long a member may go on answering for an address that
	// was released a moment ago: it may not have learned of that yet. Until then
	// it is asked every memberSoon, and later every memberLook; one question
	// without an answer shows that it has let go.
	memberGrace = 2 * time.Second
	memberSoon  = 100 * time.Millisecond
	memberLook  = 5 * time.Second
)

// Trial is what is known of an address that nobody should have.
type Trial struct {
	Begun time.Time
	Known bool   // tried out; false: MAC is "", or of a member that may be about to let go of it
	MAC   string // of the station that has it; "" for none
}

// trial is an address that is tried out, and then looked at now and then.
type trial struct {
	begun  time.Time
	known  bool
	mac    hw        // zero: nobody
	member time.Time // since when a member has it; zero: a stranger or nobody
	wanted bool      // false: remembered because a station has it
	left   int       // probes to send in this round
	heard  bool      // in this round
	missed int       // rounds in a row without an answer
	due    time.Time
}

// probes are plain values of time: no clock, no goroutine.
type probes struct {
	Rhythm
	random func(time.Duration) time.Duration // from 0 to less than that
	trials map[netip.Addr]*trial
}

func newProbes(r Rhythm) probes {
	return probes{Rhythm: r, random: func(d time.Duration) time.Duration { return rand.N(max(d, 1)) }, trials: make(map[netip.Addr]*trial)}
}

// want has an address tried out, and returns whether it was not.
func (p *probes) want(ip netip.Addr, now time.Time) (fresh bool) {
	if t := p.trials[ip]; t != nil {
		t.wanted = true
		return false
	}
	p.trials[ip] = &trial{begun: now, wanted: true, left: probeTries, due: now.Add(p.random(p.Wait))}
	return true
}

// leave has an address tried out no more. One that a station has is looked at for
// as long as that one is there.
func (p *probes) leave(ip netip.Addr) {
	if t := p.trials[ip]; t != nil {
		t.wanted = false
		if t.mac == (hw{}) {
			delete(p.trials, ip)
		}
	}
}

// tidy forgets, and returns, what is neither wanted nor in use.
func (p *probes) tidy() (gone []netip.Addr) {
	for ip, t := range p.trials {
		if !t.wanted && t.mac == (hw{}) {
			delete(p.trials, ip)
			gone = append(gone, ip)
		}
	}
	return gone
}

// drop forgets an address that has an owner now.
func (p *probes) drop(ip netip.Addr) { delete(p.trials, ip) }

// seen remembers an address that was ours and that a stranger has.
func (p *probes) seen(ip netip.Addr, mac hw, now time.Time) {
	if len(p.trials) < probeMost {
		p.trials[ip] = &trial{begun: now, known: true, mac: mac, left: 1, due: now.Add(p.later())}
	}
}

// open reports whether ip is being tried out for the first time. Then the probe of
// another host for it counts as if that one had it (RFC 5227, section 2.1.1).
func (p *probes) open(ip netip.Addr) bool {
	t := p.trials[ip]
	return t != nil && !t.known
}

// heard notes that mac has ip, which is that of a member or not, and returns
// true if that is news.
func (p *probes) heard(ip netip.Addr, mac hw, member bool, now time.Time) (changed bool) {
	t := p.trials[ip]
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
		if t.due.After(now.Add(memberSoon)) {
			t.due = now.Add(memberSoon)
		}
	case now.Sub(t.member) >= memberGrace:
		t.known = true
	}
	return t.known != was.known || t.mac != was.mac
}

// next returns the addresses to probe now, in a fixed order, when to call again
// (zero: not before want brings something new) and whether more is known.
func (p *probes) next(now time.Time) (ask []netip.Addr, wake time.Time, changed bool) {
	due := p.due(now)
	for _, ip := range due {
		if len(ask) == probeBurst {
			wake = now.Add(probeRest)
			break
		}
		t := p.trials[ip]
		if t.left > 0 {
			ask = append(ask, ip)
			t.left--
			t.due = now.Add(p.pause(t))
			continue
		}
		changed = t.conclude() || changed
		t.left, t.due = 1, now.Add(p.until(t))
	}
	for _, t := range p.trials {
		if t.due.After(now) {
			wake = sooner(wake, t.due)
		}
	}
	return ask, wake, changed
}

// due are the addresses that something is to be done about, the one that waits
// longest first.
func (p *probes) due(now time.Time) []netip.Addr {
	var out []netip.Addr
	for ip, t := range p.trials {
		if !t.due.After(now) {
			out = append(out, ip)
		}
	}
	slices.SortFunc(out, func(a, b netip.Addr) int {
		return cmp.Or(p.trials[a].due.Compare(p.trials[b].due), a.Compare(b))
	})
	return out
}

func (p *probes) pause(t *trial) time.Duration {
	if t.left > 0 {
		return p.Gap + p.random(p.GapMost-p.Gap)
	}
	return p.Listen
}

// until is the pause between rounds.
func (p *probes) until(t *trial) time.Duration {
	switch {
	case t.member.IsZero():
		return p.later()
	case t.known:
		return memberLook
	}
	return memberSoon
}

func (p *probes) later() time.Duration { return probeAgain - probeAgain/10 + p.random(probeAgain/5) }

// conclude ends a round, and returns true if more is known than before.
func (t *trial) conclude() (changed bool) {
	was := *t
	t.missed++
	if t.heard {
		t.missed = 0
	}
	enough := probeFree
	if !t.member.IsZero() {
		enough = 1
	}
	if t.mac != (hw{}) && t.missed >= enough {
		t.mac, t.member = hw{}, time.Time{}
	}
	t.known = t.known || t.member.IsZero()
	t.heard = false
	return t.known != was.known || t.mac != was.mac
}

// list is what is known.
func (p *probes) list() map[netip.Addr]Trial {
	out := make(map[netip.Addr]Trial, len(p.trials))
	for ip, t := range p.trials {
		mac := ""
		if t.mac != (hw{}) {
			mac = t.mac.String()
		}
		out[ip] = Trial{Begun: t.begun, Known: t.known, MAC: mac}
	}
	return out
}

// Probe makes ips the addresses that are to be tried out: whether a station has
// one that nobody should. State.Trials tells. Those of Assign are not. The list must
// not change afterwards.
func (r *Responder) Probe(ips []netip.Addr) {
	ips = normalise(ips, nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	touched := differing(r.tried, ips)
	r.tried = ips
	r.update(touched, time.Now())
}

// try begins or ends the trial of an address that has no owner, and returns its
// role, by which answers pass the filter. The caller holds mu.
func (r *Responder) try(ip netip.Addr, now time.Time) role {
	if d := r.disputes[ip]; d != nil && d.told {
		r.probes.seen(ip, d.mac, now)
	}
	switch {
	case !contains(r.tried, ip):
		r.probes.leave(ip)
	case r.probes.want(ip, now):
		poke(r.asked)
	}
	if r.probes.trials[ip] == nil {
		return 0
	}
	return tried
}

// trials is what is known of the addresses that are tried out. Those that this
// node's own kernel has are not asked for. The caller holds mu.
func (r *Responder) trials() map[netip.Addr]Trial {
	out := r.probes.list()
	for ip, t := range out {
		if l := r.locals[ip]; l != nil {
			t.Known, t.MAC = true, l.mac.String()
			out[ip] = t
		}
	}
	return out
}

// probe asks once for ip, which is tried out or this node's own, if it concerns
// the port.
func (p *port) probe(ip netip.Addr, m *metrics) error {
	v := p.view.Load()
	role := v.table.role(ip)
	if role != tried && !(role.ours() && v.on(ip)) {
		return nil
	}
	r, build := p.readers[0], probe4
	switch {
	case ip.Is6() && role.ours():
		r, build = p.readers[1], patrol6
	case ip.Is6():
		r, build = p.readers[1], probe6
	}
	frame, err := build(v.mac, ip)
	if err != nil {
		return err
	}
	p.write(r, frame, m.probes, m)
	return nil
}

// probe4 is the ARP probe of RFC 5227, section 2.1.1: a request from 0.0.0.0, by
// which no cache learns anything.
func probe4(mac hw, ip netip.Addr) ([]byte, error) {
	p, err := arp.NewPacket(arp.OperationRequest, mac[:], netip.IPv4Unspecified(), make([]byte, len(mac)), ip)
	if err != nil {
		return nil, fmt.Errorf("build probe for %s: %w", ip, err)
	}
	body, err := p.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encode probe for %s: %w", ip, err)
	}
	return append(ethernet(broadcastHW, mac, etherARP), body...), nil
}

// probe6 is the solicitation of duplicate address detection (RFC 4862, section
// 5.4.2).
func probe6(mac hw, ip netip.Addr) ([]byte, error) {
	from, to := netip.IPv6Unspecified(), solicitedNode(ip)
	body, err := ndp.MarshalMessageChecksum(&ndp.NeighborSolicitation{TargetAddress: ip}, from, to)
	if err != nil {
		return nil, fmt.Errorf("encode probe for %s: %w", ip, err)
	}
	return ndFrame(multicastHW(to.As16()), mac, from, to, body), nil
}
