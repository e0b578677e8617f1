package claims

import (
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/probe"
	"github.com/starling-lb/starling/wake"
)

// Config is what a Machine goes by.
type Config struct {
	Self    string // name of this node
	Rules   Rules
	Timing  Timing
	Rhythms probe.Rhythms // of questions
	ACD     ACD
	Recheck Recheck
	// Random draws from 0 to less than that, so that nodes and addresses do not keep step; nil:
	// always 0.
	Random func(time.Duration) time.Duration
}

func (c *Config) random(below time.Duration) time.Duration {
	if c.Random == nil || below <= 0 {
		return 0
	}
	return c.Random(below)
}

// jitter spreads d by a tenth to either side.
func (c *Config) jitter(d time.Duration) time.Duration { return d - d/10 + c.random(d/5) }

// Standard is what the speaker of a node goes by.
func Standard(self string) Config {
	return Config{Self: self, Rules: Table(), Timing: Times(), Rhythms: probe.Standard(), ACD: Shortened(), Recheck: Rechecking()}
}

// Machine is what is known of our addresses and of those who claim them. It is a plain value of
// time.
type Machine struct {
	Config
	given    Assignment   // the last one, as it is
	assigned Assignment   // the same, plain and sorted
	wanted   []netip.Addr // of Probing, plain and sorted
	muted    bool         // nothing is answered before the next Assignment
	probes   probes
	rechecks *rechecks
	addrs    map[netip.Addr]address
	records  map[netip.Addr]*record  // of an address, the one heard last first
	yields   map[netip.Addr]*record  // to whom addresses are left
	handing  map[netip.Addr]*handing // addresses on their way to another node
	members  Members
	macs     map[string][]MAC    // of the members
	active   map[netip.Addr]bool // addresses that are contested, asked about or handed over
	asker    *probe.Asker
	asks     map[probe.Question]int // for how many addresses each is asked
	look     time.Time              // when to look at the active addresses; zero: not by time
	ready    Ready
	heard    lastClaims
	yielding map[netip.Addr]string // what Yields tells; nil: it must be made anew
}

// address is what an address is to this node: as the caller says, and as it is answered for.
type address struct{ duty, is Role }

// Ready is what is to be done, and what has happened, since it was last asked for.
type Ready struct {
	Roles   []Change         // sorted by address; of one address in order
	Defend  []netip.Addr     // to be announced now, sorted
	Ask     []probe.Question // to be sent now
	Probe   []netip.Addr     // tentative addresses to ask everybody for now
	Restart bool             // everything is to be announced as if it was gained now
	Fresh   []Conflict       // conflicts that are new
	Members int              // claims of members on own addresses
	Frames  int              // and of strangers, once it is certain that they are a conflict
	Changed bool             // something that Heard, Conflicts, Yields, Handing or Probing tell
	Wake    time.Time        // when to ask again; zero: not before the next event
}

// Change is that of the role of an address.
type Change struct {
	IP      netip.Addr
	Was, Is Role
}

// New makes a machine without addresses.
func New(c Config) *Machine {
	m := &Machine{
		Config: c, addrs: make(map[netip.Addr]address), records: make(map[netip.Addr]*record),
		yields: make(map[netip.Addr]*record), handing: make(map[netip.Addr]*handing),
		active: make(map[netip.Addr]bool), asker: probe.NewAsker(c.Rhythms), asks: make(map[probe.Question]int), heard: newLastClaims(),
	}
	m.probes, m.rechecks = newProbes(&m.Config), newRechecks(&m.Config)
	return m
}

// Step takes an event.
func (m *Machine) Step(e Event, now time.Time) { e.step(m, now) }

// Role is what an address is to this node as it answers for it: one that is its own by election and
// left to another node is watched.
func (m *Machine) Role(ip netip.Addr) Role { return m.addrs[ip].is }

// DeputyOf is the node in whose name an address is answered by this one as its deputy.
func (m *Machine) DeputyOf(ip netip.Addr) string { return m.assigned.Absent[ip] }

// LastClaim is the station that claimed an address last, as far as that is remembered; else zero.
func (m *Machine) LastClaim(ip netip.Addr) (mac MAC) {
	if r, known := m.last(ip); known {
		mac = r.mac
	}
	return mac
}

// Roles are those of all addresses.
func (m *Machine) Roles() []Change {
	out := make([]Change, 0, len(m.addrs))
	for ip, a := range m.addrs {
		out = append(out, Change{ip, None, a.is})
	}
	return out
}

// manyActive is how many addresses may be looked at whenever something is heard about one.
const manyActive = 64

// Ready returns what is to be done by now.
func (m *Machine) Ready(now time.Time) Ready {
	m.probeTentative(now)
	ask, _, known := m.asker.Next(now)
	if known && (len(m.active) <= manyActive || m.look.IsZero()) {
		m.look = now
	}
	if !m.look.IsZero() && !now.Before(m.look) {
		m.lookAll(now)
		fresh, _, _ := m.asker.Next(now)
		ask = append(ask, fresh...)
	}
	out := m.ready
	out.Ask, out.Wake = ask, wake.Earlier(m.probes.at, wake.Earlier(m.look, m.asker.Wake()))
	slices.SortStableFunc(out.Roles, func(a, b Change) int { return a.IP.Compare(b.IP) })
	slices.SortStableFunc(out.Fresh, func(a, b Conflict) int { return a.IP.Compare(b.IP) })
	slices.SortFunc(out.Defend, netip.Addr.Compare)
	out.Defend = slices.Compact(out.Defend)
	m.ready = Ready{}
	return out
}

// lookRest is the least time between two looks at all active addresses, so that a flood of claims
// costs a bounded share of the processor.
const lookRest = 20 * time.Millisecond

// lookAll looks at all active addresses.
func (m *Machine) lookAll(now time.Time) {
	m.look = time.Time{}
	for ip := range m.active {
		m.fights(ip, now)
		m.evaluate(ip, now)
	}
	if least := now.Add(lookRest); !m.look.IsZero() && m.look.Before(least) {
		m.look = least
	}
}

// lookAt has the active addresses looked at by a time.
func (m *Machine) lookAt(t time.Time) { m.look = wake.Earlier(m.look, t) }

// evaluate decides who answers for an address.
func (m *Machine) evaluate(ip netip.Addr, now time.Time) {
	switch m.addrs[ip].duty {
	case Owner, Deputy:
		m.arbitrate(ip, now)
	case HandingOver:
		m.handOver(ip, now)
	}
	m.tidy(ip)
}

// claimant says who a station is with regard to an address.
func (m *Machine) claimant(ip netip.Addr, mac MAC) Claimant {
	switch name, member := m.members.Names[mac]; {
	case !member:
		return Stranger
	case owner.Outranks(name, m.Self, ip):
		return Higher
	}
	return Lower
}

// action is what follows from the claim of a station.
func (m *Machine) action(ip netip.Addr, mac MAC) Action {
	a, who := m.addrs[ip], m.claimant(ip, mac)
	switch {
	case a.duty == Deputy && who != Stranger && m.members.Names[mac] == m.DeputyOf(ip):
		return Remember
	case (a.duty == Owner || a.duty == Deputy) && a.is != a.duty:
		return m.Rules[a.duty][who] & (Remember | Ask)
	}
	return m.Rules[a.is][who]
}

// become gives an address another role.
func (m *Machine) become(ip netip.Addr, is Role, now time.Time) {
	a := m.addrs[ip]
	was := a.is
	if was == is {
		if a == (address{}) {
			delete(m.addrs, ip)
		}
		return
	}
	if m.addrs[ip] = (address{a.duty, is}); a.duty == None {
		delete(m.addrs, ip)
	}
	m.ready.Roles = append(m.ready.Roles, Change{ip, was, is})
	m.heard.note(ip)
	switch Owner {
	case is:
		m.rechecks.gain(ip, now)
	case was:
		m.rechecks.lose(ip)
	}
	for r := range m.all(ip) {
		if !is.watches() || !was.watches() && !r.fresh(m.Timing.Fresh, now) {
			r.heard = time.Time{}
		}
		if was == Owner || was == Deputy {
			m.end(r)
		}
	}
}

// claimed does what the table says about a claim.
func (m *Machine) claimed(c Claim, action Action, now time.Time) {
	ip, mac := c.IP, c.MAC
	last, known := m.last(ip)
	news := !known || last.mac != mac || m.Role(ip) == Owner && !last.fresh(m.Timing.Fresh, now)
	r := m.record(ip, mac)
	if action&Remember != 0 {
		r.heard = now
		m.heardOf(ip, news)
	}
	if action&Defend != 0 {
		m.ready.Members++
		m.contested(r, now)
	}
	if action&Report != 0 {
		m.dispute(ip, r, now)
	}
	if action&Deputized != 0 {
		r = m.record(ip, c.From())
	}
	if action&Ask != 0 {
		m.ask(ip, r, now)
	}
}

// question asks a station whether it holds on to an address.
func (m *Machine) question(ip netip.Addr, mac MAC) probe.Question {
	return probe.Question{IP: ip, MAC: m.heard.text(mac)}
}

// add has a question asked for one address more.
func (m *Machine) add(q probe.Question, now time.Time) {
	m.asks[q]++
	m.asker.Add(q, now)
}

// drop has it asked for one address less.
func (m *Machine) drop(q probe.Question) {
	if m.asks[q]--; m.asks[q] == 0 {
		delete(m.asks, q)
		m.asker.Drop(q)
	}
}
