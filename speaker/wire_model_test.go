package speaker

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/mesh"
)

// link is one direction between two nodes.
type link struct{ listener, talker string }

// card is a network card with its responder: what arpd does, modelled.
type card struct {
	company  arpd.Company
	answers  []netip.Addr
	watched  []netip.Addr
	heard    map[netip.Addr]sighting
	gained   map[netip.Addr]time.Time // own ones, announced since then
	defended map[netip.Addr]defence
	asked    map[arpd.Question]*asking
	speakers map[string]arpd.Speaker
	probed   []netip.Addr // to be tried out while nobody has them
	trials   map[netip.Addr]arpd.Trial
	stop     arpd.Stop
	muted    bool // nothing is answered before the next Set
}

type sighting struct {
	mac string
	at  time.Time
}

// defence of an address against a member.
type defence struct {
	due   bool
	rest  time.Time
	times int
}

// asking is a question on its way.
type asking struct {
	arpd.Answer
	misses int
	round  int // a timer of an earlier round does nothing
}

// tries is how many misses in a row are a verdict.
func (a *asking) tries(q arpd.Question) int {
	switch {
	case q.Host && !a.Last.IsZero():
		return 4
	case !q.Host && !q.IP.IsValid() && q.MAC != arpd.Everybody && a.Last.IsZero():
		return 5
	}
	return 3
}

func newCard() card {
	return card{
		heard: map[netip.Addr]sighting{}, gained: map[netip.Addr]time.Time{}, defended: map[netip.Addr]defence{},
		asked: map[arpd.Question]*asking{}, speakers: map[string]arpd.Speaker{}, trials: map[netip.Addr]arpd.Trial{},
	}
}

// ours tells whether an address is announced and defended.
func (c *card) ours(ip netip.Addr) bool {
	return !c.muted && slices.Contains(c.answers, ip) && !slices.Contains(c.watched, ip)
}

// address of a node. The lock is held.
func (m *model) address(name string) netip.Addr {
	for _, n := range m.nodes {
		if n.Name == name {
			return n.Addresses[0]
		}
	}
	return netip.Addr{}
}

// reach tells whether a frame of a is received by b. The lock is held.
func (m *model) reach(a, b *node) bool {
	return a != b && a.up && b.up && a.ice == nil && b.ice == nil && !m.split[link{b.name, a.name}] && m.speakers[a.name] == a && m.speakers[b.name] == b
}

// frame delivers what a node sends to all others that receive it, after the
// latency. The lock is held.
func (m *model) frame(from *node, receive func(to *node)) {
	for _, to := range m.speakers {
		if m.reach(from, to) {
			m.later(func() {
				if to.ice == nil {
					receive(to)
				}
			})
		}
	}
}

func (b *node) mac() string { return "02:00:00:00:00:0" + b.name[1:] }

// awake waits while the process of the node is stopped.
func (b *node) awake() {
	b.m.mu.Lock()
	ice := b.ice
	b.m.mu.Unlock()
	if ice != nil {
		<-ice
	}
}

func (b *modelWire) Assign(own, watched []netip.Addr) {
	(*node)(b).awake()
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	b.card.answers, b.card.watched, b.card.muted = own, watched, false
	(*node)(b).assign()
}

// assign announces what was gained and forgets what is over. The lock is held.
func (b *node) assign() {
	defer b.m.measure()
	defer b.try()
	c := &b.card
	for ip := range c.gained {
		if !c.ours(ip) {
			delete(c.gained, ip)
			delete(c.defended, ip)
		}
	}
	for ip := range c.heard {
		if !slices.Contains(c.answers, ip) && !slices.Contains(c.watched, ip) {
			delete(c.heard, ip)
		}
	}
	for _, ip := range c.answers {
		if _, known := c.gained[ip]; known || !c.ours(ip) {
			continue
		}
		delete(c.heard, ip)
		begin := time.Now()
		c.gained[ip] = begin
		b.announce(ip)
		for _, gap := range []time.Duration{200, 1200, 3200, 7200} {
			time.AfterFunc(gap*time.Millisecond, func() {
				b.m.mu.Lock()
				defer b.m.mu.Unlock()
				if c.gained[ip].Equal(begin) {
					b.announce(ip)
				}
			})
		}
	}
}

// announce is heard by everybody else who is reachable. The lock is held.
func (b *node) announce(ip netip.Addr) {
	b.m.frame(b, func(o *node) { o.hear(ip, b.mac()) })
}

// hear takes a claim. The lock is held.
func (b *node) hear(ip netip.Addr, mac string) {
	c := &b.card
	if a := c.asked[arpd.Question{IP: ip, MAC: mac}]; a != nil {
		b.answered(arpd.Question{IP: ip, MAC: mac})
	}
	if !slices.Contains(c.answers, ip) && !slices.Contains(c.watched, ip) {
		return
	}
	c.heard[ip] = sighting{mac, time.Now()}
	poke(b.wired)
	if !c.ours(ip) || c.defended[ip].due {
		return
	}
	d := c.defended[ip]
	d.due = true
	c.defended[ip] = d
	wait := max(200*time.Millisecond, time.Until(d.rest))
	time.AfterFunc(wait, func() {
		b.m.mu.Lock()
		defer b.m.mu.Unlock()
		b.defend(ip, mac)
	})
}

// defend an address that is still ours. The lock is held.
func (b *node) defend(ip netip.Addr, mac string) {
	c := &b.card
	if !c.ours(ip) || b.ice != nil {
		return
	}
	if !slices.Contains(c.company.Peers, mac) {
		b.m.strangers++
	}
	d := c.defended[ip]
	c.defended[ip] = defence{rest: time.Now().Add(arpd.DefencePause(d.times)), times: d.times + 1}
	delete(c.heard, ip)
	b.announce(ip)
}

func (b *modelWire) Meet(c arpd.Company) {
	(*node)(b).awake()
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	if b.card.company.Heals != c.Heals {
		clear(b.card.gained)
	}
	b.card.company = c
	(*node)(b).assign()
	keep := map[arpd.Question]bool{}
	for _, q := range c.Ask {
		keep[q] = true
		if b.card.asked[q] == nil {
			b.card.asked[q] = &asking{Answer: arpd.Answer{Asked: time.Now()}}
			(*node)(b).ask(q, 0)
		}
	}
	maps.DeleteFunc(b.card.asked, func(q arpd.Question, _ *asking) bool { return !keep[q] })
}

// ask sends a question and plans the next one. The lock is held.
func (b *node) ask(q arpd.Question, round int) {
	a := b.card.asked[q]
	if a == nil || a.round != round {
		return
	}
	if b.ice != nil {
		b.next(q, 10*time.Millisecond)
		return
	}
	if a.misses >= a.tries(q) && !a.Silent {
		a.Silent = true
		poke(b.wired)
	}
	a.misses++
	if q.Host {
		b.knock(q)
	} else {
		b.m.frame(b, func(o *node) {
			if q.MAC == arpd.Everybody || q.MAC == o.mac() {
				o.reply(b, q)
			}
		})
	}
	pause := 100 * time.Millisecond
	switch {
	case a.misses > a.tries(q):
		pause = time.Second
	case q.Host && !a.Last.IsZero():
		pause = b.card.company.Pace
	case a.Last.IsZero() || q.IP.IsValid() && a.misses > 0:
		pause = 15 * time.Millisecond
	}
	b.next(q, pause)
}

// next plans the next question. The lock is held.
func (b *node) next(q arpd.Question, pause time.Duration) {
	a := b.card.asked[q]
	a.round++
	round := a.round
	time.AfterFunc(pause, func() {
		b.m.mu.Lock()
		defer b.m.mu.Unlock()
		b.ask(q, round)
	})
}

// reply answers a question. The lock is held.
func (b *node) reply(to *node, q arpd.Question) {
	word := b.card.company.Say
	switch {
	case !q.IP.IsValid() && word != 0:
		b.m.frame(b, func(o *node) {
			if o == to {
				o.meet(b, word)
			}
		})
	case q.IP.IsValid() && b.card.ours(q.IP):
		b.m.frame(b, func(o *node) {
			if o == to {
				o.hear(q.IP, b.mac())
			}
		})
	}
}

// meet takes the answer of a speaker that is there. The lock is held.
func (b *node) meet(o *node, word uint8) {
	was, known := b.card.speakers[o.mac()]
	b.card.speakers[o.mac()] = arpd.Speaker{Addrs: []netip.Addr{b.m.address(o.name)}, Say: word, Last: time.Now()}
	if !known || was.Say != word {
		poke(b.wired)
	}
	b.answered(arpd.Question{MAC: o.mac()})
}

// answered books the answer to a question. The lock is held.
func (b *node) answered(q arpd.Question) {
	a := b.card.asked[q]
	if a == nil {
		return
	}
	if a.Last.IsZero() || a.Silent {
		poke(b.wired)
	}
	a.Last, a.Silent, a.misses = time.Now(), false, 0
	if q.Host {
		b.next(q, b.card.company.Pace)
		return
	}
	b.next(q, 100*time.Millisecond)
}

// knock asks the kernel of a host, which answers whatever its speaker does. The
// lock is held.
func (b *node) knock(q arpd.Question) {
	for _, o := range b.m.speakers {
		there := func() bool {
			return o.mac() == q.MAC && b.m.address(o.name) == q.IP && o.up && b.up && !o.paused && b.ice == nil
		}
		if there() && !b.m.split[link{o.name, b.name}] && !b.m.split[link{b.name, o.name}] {
			b.m.later(func() {
				if there() && b.m.speakers[b.name] == b {
					b.answered(q)
				}
			})
		}
	}
}

func (b *modelWire) State() arpd.State {
	(*node)(b).awake()
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	s := arpd.State{
		Heard:     map[netip.Addr]string{},
		Conflicts: b.conflicts,
		Findings:  b.findings,
		Stop:      b.card.stop,
		Trials:    maps.Clone(b.card.trials),
		Answers:   map[arpd.Question]arpd.Answer{},
		Speakers:  maps.Clone(b.card.speakers),
	}
	for _, name := range (*node)(b).used() {
		s.Interfaces = append(s.Interfaces, arpd.Interface{Name: name, MAC: (*node)(b).mac(), Used: true, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")}})
	}
	for ip, h := range b.card.heard {
		if !b.card.ours(ip) || time.Since(h.at) <= time.Second {
			s.Heard[ip] = h.mac
		}
	}
	for q, a := range b.card.asked {
		s.Answers[q] = a.Answer
	}
	return s
}

// Probe tries addresses out: a station that has one is known at once, that nobody has it after a while. A speaker that
// answers is asked again until it has let go.
func (b *modelWire) Probe(vips []netip.Addr) {
	(*node)(b).awake()
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	b.card.probed = vips
	(*node)(b).try()
}

// try begins the trials of addresses that have no owner and forgets those of no interest. The lock is held.
func (b *node) try() {
	c := &b.card
	taken := func(ip netip.Addr) bool { return slices.Contains(c.answers, ip) || slices.Contains(c.watched, ip) }
	for ip, t := range c.trials {
		if taken(ip) || t.MAC == "" && !slices.Contains(c.probed, ip) {
			delete(c.trials, ip)
		}
	}
	for _, ip := range c.probed {
		if _, known := c.trials[ip]; known || taken(ip) {
			continue
		}
		begun := time.Now()
		c.trials[ip] = arpd.Trial{Begun: begun}
		b.m.later(func() { b.probed(ip, begun, arpd.Shortened().Longest()) })
	}
}

// probed is what the probes for an address find, which take some time. The lock is held.
func (b *node) probed(ip netip.Addr, begun time.Time, lasts time.Duration) {
	if mac := b.m.stations[ip]; mac != "" {
		b.tried(ip, begun, arpd.Trial{Known: true, MAC: mac})
		return
	}
	found := arpd.Trial{Known: true}
	for _, name := range b.m.answering(ip) {
		if other := b.m.speakers[name]; b.m.reach(other, b) {
			found = arpd.Trial{MAC: other.mac()}
			b.tried(ip, begun, found)
		}
	}
	time.AfterFunc(lasts, func() {
		b.m.mu.Lock()
		defer b.m.mu.Unlock()
		if found.Known {
			b.tried(ip, begun, found)
		} else {
			b.probed(ip, begun, 100*time.Millisecond)
		}
	})
}

// tried notes what is known of a trial. The lock is held.
func (b *node) tried(ip netip.Addr, begun time.Time, found arpd.Trial) {
	if t, wanted := b.card.trials[ip]; wanted && t.Begun.Equal(begun) {
		found.Begun = begun
		b.card.trials[ip] = found
		poke(b.wired)
	}
}

func (b *modelWire) Changed() <-chan struct{} { return b.wired }

// freeze stops the process of a node; the others give it up after a while.
func (m *model) freeze(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.speakers[name]
	b.ice, b.frozen = make(chan struct{}), time.Now()
	m.measure()
	ice := b.ice
	time.AfterFunc(500*time.Millisecond, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if b.ice == ice && m.speakers[name] == b {
			b.state, b.since, b.listens = mesh.Dead, time.Now(), false
			m.later(func() { // two ways later the others know whether its port is open
				b.listens = !b.paused && !b.killed && b.up
				m.gossip()
			})
			m.gossip()
		}
	})
}

// kill ends the process of a node without a word.
func (m *model) kill(name string) {
	m.freeze(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.speakers[name].killed = true
}

// pause stops the machine of a node.
func (m *model) pause(name string) {
	m.freeze(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.speakers[name].paused = true
}

// thaw lets a stopped process or machine go on, which knows nothing of what happened.
func (m *model) thaw(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, c := m.speakers[name], &m.speakers[name].card
	close(b.ice)
	b.ice, b.paused, c.stop = nil, false, arpd.Stop{End: time.Now(), Length: time.Since(b.frozen)}
	if c.stop.Length >= time.Second {
		c.muted = true
		b.assign()
	} else if c.stop.Length > 400*time.Millisecond {
		clear(c.gained)
		b.assign()
	}
	m.measure()
	poke(b.wired)
	time.AfterFunc(100*time.Millisecond, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if b.state == mesh.Dead && b.ice == nil && m.speakers[name] == b {
			b.state, b.since = mesh.Alive, time.Now()
			m.gossip()
		}
	})
}

// Accuse tells all who can hear it.
func (b *modelMesh) Accuse(names ...string) {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	for _, name := range names {
		(*node)(b).shout(name)
	}
}

// shout tells all who can hear it of an alarm, and the accused objects. The lock
// is held.
func (b *node) shout(about string) {
	for _, o := range b.m.speakers {
		if o == b || !b.m.hears(o, b) || b.m.lossy() {
			continue
		}
		b.m.later(func() {
			if !b.m.hears(o, b) {
				return
			}
			if about == b.name {
				maps.DeleteFunc(o.alarms, func(a mesh.Alarm, _ bool) bool { return a.About == about })
			}
			maps.DeleteFunc(o.alarms, func(a mesh.Alarm, _ bool) bool { return a.About == about && a.By == b.name })
			o.alarms[mesh.Alarm{About: about, By: b.name, At: time.Now()}] = true
			poke(o.meshed)
			if about == o.name {
				o.shout(about)
			}
		})
	}
}

// hears tells whether gossip of a talker reaches a listener now. The lock is held.
func (m *model) hears(listener, talker *node) bool {
	runs := func(b *node) bool { return b.up && b.ice == nil && m.speakers[b.name] == b }
	return runs(listener) && runs(talker) && !m.deaf[link{listener.name, talker.name}]
}

func (b *modelMesh) Alarms() []mesh.Alarm {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	maps.DeleteFunc(b.alarms, func(a mesh.Alarm, _ bool) bool { return time.Since(a.At) >= time.Second })
	return slices.Collect(maps.Keys(b.alarms))
}

// block stops gossip from one node to another; the listener gives it up after a while.
func (m *model) block(listener, talker string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deaf[link{listener, talker}] = true
	b, o := m.speakers[listener], m.speakers[talker]
	if _, lost := b.lost[talker]; lost {
		return
	}
	b.lost[talker] = mesh.Member{Name: talker, Addr: netip.AddrPortFrom(m.address(talker), 7927), State: o.state, Since: o.since, Meta: o.meta}
	time.AfterFunc(500*time.Millisecond, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if v, lost := b.lost[talker]; lost && m.deaf[link{listener, talker}] && v.State == mesh.Alive {
			v.State, v.Since = mesh.Dead, time.Now()
			b.lost[talker] = v
			poke(b.meshed)
		}
	})
}

// unblock lets gossip pass again; the listener notices after a while.
func (m *model) unblock(listener, talker string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.deaf, link{listener, talker})
	time.AfterFunc(100*time.Millisecond, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if b := m.speakers[listener]; !m.deaf[link{listener, talker}] {
			delete(b.lost, talker)
			poke(b.meshed)
		}
	})
}

// between calls f for both directions between any two nodes of two groups.
func between(a, b []string, f func(listener, talker string)) {
	for _, x := range a {
		for _, y := range b {
			if x != y {
				f(x, y)
				f(y, x)
			}
		}
	}
}

// others are all nodes but one, sorted.
func (m *model) others(name string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := slices.Sorted(maps.Keys(m.speakers))
	return slices.DeleteFunc(r, func(n string) bool { return n == name })
}

// claim is a frame of a station that is no node.
func (m *model) claim(ip, mac string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.speakers {
		b.hear(netip.MustParseAddr(ip), mac)
	}
}
