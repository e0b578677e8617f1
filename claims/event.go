package claims

import (
	"maps"
	"net/netip"
	"time"

	"github.com/starling-lb/starling/probe"
)

// Event is something that a Machine takes notice of.
type Event interface {
	step(m *Machine, now time.Time)
}

type (
	// duty says what an address is to this node from now on: its own by election (Owner), one that
	// it answered for and that another node is elected for (HandingOver), and so on.
	duty struct {
		IP   netip.Addr
		Role Role
		Heir string // the node that it is handed over to
	}
	// Members says which MACs are those of other nodes of the cluster, and of which.
	Members struct {
		Names    map[MAC]string
		Gone     map[string]time.Time // members that are not there, and since when
		Draining bool                 // this node is leaving
		Speakers map[MAC]struct{}     // at which a speaker of this cluster replied that is no node known
		// Heals counts how often nodes that were dead came back. What they announced meanwhile is
		// in the caches of neighbors, so everything is announced again when it changes.
		Heals int
	}
	// Claim says that a station announces an address, answers somebody for it, or asks in its name.
	Claim struct {
		IP  netip.Addr
		MAC MAC
		By  MAC // who says so of that station, as a deputy does; zero: it does so itself
	}
	// Reply says that a station answered a question of this node's for an address.
	Reply struct {
		Claim
		// Proven: it answered a speaker's question and has the key of the mesh. Unproven: it has
		// not, though the mesh has one. Neither: the mesh has none, and the two cannot be told
		// apart.
		Proven, Unproven bool
		// Caller says that the caller has asked. It hears of the reply itself, which is no news
		// here: it may have been on its way since before an address changed hands.
		Caller bool
	}
	// Probe says that a station tries an address out before its first use.
	Probe struct {
		IP  netip.Addr
		MAC MAC
	}
	// Greeting says that a speaker of this cluster is at a MAC.
	Greeting struct{ MAC MAC }
	// Forget says that it is time to forget conflicts of which nothing was heard for long.
	Forget struct{}
)

func (d duty) step(m *Machine, now time.Time) {
	if d.Role == None || d.Role == Tentative {
		d.Role = m.tentative(d, now)
	} else {
		m.probes.drop(d.IP)
	}
	was := m.addrs[d.IP]
	m.addrs[d.IP] = address{d.Role, was.is}
	switch is := d.Role; {
	case is == Owner:
		m.endHanding(d.IP)
		if m.yields[d.IP] == nil {
			m.become(d.IP, Owner, now)
		}
	case is == Deputy:
		m.endHanding(d.IP)
		if m.yields[d.IP] == nil {
			m.become(d.IP, Deputy, now)
		}
		for r := range m.all(d.IP) { // who announced it a moment ago may answer for it as its own
			if r.fresh(m.Timing.Fresh, now) && m.action(d.IP, r.mac)&Ask != 0 {
				m.ask(d.IP, r, now)
			}
		}
	case is == HandingOver && was.is.Answers(false):
		m.beginHanding(d.IP, d.Heir, now)
		m.become(d.IP, HandingOver, now)
	default:
		m.endHanding(d.IP)
		m.askNobody(d.IP)
		if is == HandingOver {
			is = Watching
		}
		m.become(d.IP, is, now)
	}
	m.evaluate(d.IP, now)
}

func (e Members) step(m *Machine, now time.Time) {
	m.ready.Restart = m.ready.Restart || m.members.Heals != e.Heals
	m.members.Heals, m.members.Speakers = e.Heals, e.Speakers
	if maps.Equal(m.members.Names, e.Names) && maps.Equal(m.members.Gone, e.Gone) && m.members.Draining == e.Draining {
		return
	}
	leaves := e.Draining && !m.members.Draining
	m.members, m.macs = e, make(map[string][]MAC)
	for mac, name := range e.Names {
		m.macs[name] = append(m.macs[name], mac)
	}
	if leaves {
		for _, h := range m.handing { // that were kept because the heir refused
			h.until = now.Add(m.limit())
		}
	}
	for ip := range m.active {
		for r := range m.all(ip) { // who was taken for a stranger may be a member, and the other way round
			if _, member := e.Names[r.mac]; r.fight != nil && r.member != member {
				m.end(r)
			}
			if r.ask != nil && m.action(ip, r.mac)&Ask == 0 {
				m.unask(ip, r)
			}
		}
		m.evaluate(ip, now)
	}
}

func (c Claim) step(m *Machine, now time.Time) {
	if m.Role(c.IP) == Tentative {
		m.found(c.IP, c.MAC, now)
		return
	}
	if action := m.action(c.IP, c.MAC); action != 0 {
		m.claimed(c, action, now)
	}
	m.evaluate(c.IP, now)
}

func (c Reply) step(m *Machine, now time.Time) {
	from := c.From()
	asked := len(m.asks) > 0 && m.asker.Asks(m.question(c.IP, from))
	if c.Caller && !asked {
		return
	}
	switch counts := from == c.MAC || m.action(c.IP, from)&Deputized != 0; {
	case counts && (c.Proven || asked && !c.Unproven && !m.rechecks.fresh(c.IP, now)):
		m.asker.Heard(m.question(c.IP, from), now)
	case c.Proven:
		return // it is a deputy, and has not the address itself
	case m.claimant(c.IP, c.MAC) != Stranger && m.Role(c.IP) == Owner:
		return // its kernel answers the recheck, of which its own speaker tells; a speaker would announce the address
	}
	c.Claim.step(m, now)
}

// From is the station that says so.
func (c Claim) From() MAC {
	if c.By != (MAC{}) {
		return c.By
	}
	return c.MAC
}

// step takes the probe of a stranger for a claim while the address is probed for the first time:
// both may be about to use it. A speaker that probes is heard of when it succeeds.
func (p Probe) step(m *Machine, now time.Time) {
	_, speaker := m.members.Speakers[p.MAC]
	if !speaker && m.claimant(p.IP, p.MAC) == Stranger && m.probes.open(p.IP) {
		m.found(p.IP, p.MAC, now)
	}
}

func (g Greeting) step(m *Machine, now time.Time) {
	if len(m.asks) > 0 && m.asker.Heard(probe.Question{MAC: m.heard.text(g.MAC)}, now) {
		m.lookAt(now)
	}
}

func (Forget) step(m *Machine, now time.Time) {
	for ip := range m.active {
		for r := range m.all(ip) {
			if r.fight != nil && now.Sub(r.fight.last) > r.memory(&m.Timing) {
				m.end(r)
			}
		}
		m.tidy(ip)
	}
}
