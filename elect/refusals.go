package elect

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/probe"
	"github.com/starling-lb/starling/wake"
)

// Unheard is for how long a node may not be heard announcing an address before it is asked.
type Unheard struct {
	Elected time.Duration // the elected one: some hear of a Service, or of a death, later than others
	Next    time.Duration // who comes next when others refuse: it asks them at the same time
}

// Times are those that speakers use.
func Times() Unheard { return Unheard{Elected: 300 * time.Millisecond, Next: 100 * time.Millisecond} }

// asksAtOnce is for how many addresses replies are waited for at a time, so that a node which
// starts among thousands of addresses asks for some after the other.
const asksAtOnce = 256

// Refusals finds the addresses that their elected nodes refuse. A node that lost the API server a
// moment ago does not know a Service that is made then. It is elected all the same, and would leave
// the address to nobody.
//
// A node refuses an address if its speaker replies on the wire, but not for the address. Each node
// that sees another one elected asks it, unless it hears somebody announce the address first. If it
// refuses, the node that would be elected without it has the address. That one may refuse as well,
// and so on. When the elected node says that it has the address, it has it again.
//
// A node that is out of touch with the API server takes nothing from one that is not: it may be the
// one that knows a Service which was deleted.
//
// Make it by [NewRefusals].
type Refusals struct {
	times Unheard
	open  map[netip.Addr]*refusal
}

// NewRefusals knows no address.
func NewRefusals(t Unheard) *Refusals {
	return &Refusals{times: t, open: make(map[netip.Addr]*refusal)}
}

// refusal is an address for which another node was elected, and not heard since.
type refusal struct {
	elected string
	by      []string  // who refuses it: the elected node, then who came next, in order
	next    string    // who is to have it as things stand
	due     time.Time // when that one is asked
	heard   string    // the node that claimed it last
	ours    bool      // until then it was this node's, so that claim may be older
	gave    bool      // that one does not answer for it any more
	deputy  bool      // this node answers for it, in the name of the elected one
	held    bool      // by some other node, though the elected one had time to take it
	taken   bool      // this node comes next, and has it
	result  owner.Result
}

// Look is what is known of the other nodes when refusals are looked for.
type Look struct {
	Now        time.Time
	Self       string
	OutOfTouch bool                  // this node is, with the API server
	Networks   []netip.Prefix        // of this node
	Members    []mesh.Member         // all, sorted by name
	Names      map[string]string     // node by MAC
	Heard      map[netip.Addr]string // who claimed an address last, by MAC
	Answers    map[probe.Question]probe.Answer
	Handing    []netip.Addr // answered by this node until another one has them
	Candidates *owner.Nodes
	Candidate  func(netip.Addr) (c owner.VIP, bound bool)
}

// Elected notes that a node was elected for an address after another one, "" if nobody was. It
// returns when to call Step; zero: not for that.
func (r *Refusals) Elected(ip netip.Addr, node, was, self string, now time.Time) (due time.Time) {
	if node == "" || node == self {
		delete(r.open, ip)
		return time.Time{}
	}
	r.open[ip] = &refusal{elected: node, next: node, ours: was == self || r.Taken(ip), due: now.Add(r.times.Elected)}
	return r.open[ip].due
}

// Released forgets an address that no Service has any more.
func (r *Refusals) Released(ip netip.Addr) { delete(r.open, ip) }

// Deputies are the addresses that this node answers for as the deputy of the elected one: as long
// as it does, nobody is asked. It returns when to call Step; zero: not for that.
func (r *Refusals) Deputies(owners map[netip.Addr]string, now time.Time) (again time.Time) {
	for ip, x := range r.open {
		deputy := owners[ip] != ""
		if x.deputy && !deputy {
			r.open[ip] = x.anew(now.Add(r.times.Elected))
			again = r.open[ip].due
		}
		x.deputy = deputy
	}
	return again
}

// anew is an open address of which no more is known than who is elected.
func (x *refusal) anew(due time.Time) *refusal {
	return &refusal{elected: x.elected, next: x.elected, ours: true, due: due}
}

// Again begins anew with all addresses: this process was stopped, and may have missed who announced
// them.
func (r *Refusals) Again(now time.Time) {
	for ip, x := range r.open {
		r.open[ip] = x.anew(now.Add(r.times.Elected))
	}
}

// Result is that of an election, or what holds if this node has the address because others refuse
// it.
func (r *Refusals) Result(ip netip.Addr, elected owner.Result) owner.Result {
	if x := r.open[ip]; x != nil && x.taken {
		return x.result
	}
	return elected
}

// Next is who is to have an address as things stand: the elected node, or who comes next if it
// refuses.
func (r *Refusals) Next(ip netip.Addr, elected string) string {
	if x := r.open[ip]; x != nil {
		return x.next
	}
	return elected
}

// Elsewhere reports whether an address is not where it was elected to be, so that nobody is to
// answer for the elected node as its deputy.
func (r *Refusals) Elsewhere(ip netip.Addr) bool {
	x := r.open[ip]
	return x != nil && (x.held || len(x.by) > 0)
}

// Taken reports whether this node has an address because others refuse it.
func (r *Refusals) Taken(ip netip.Addr) bool {
	x := r.open[ip]
	return x != nil && x.taken
}

// Step looks at all addresses that are open. It returns those that this node takes from now on or
// no more, what to ask, and when to look again at the latest; zero: not by time.
func (r *Refusals) Step(l Look) (changed map[netip.Addr]bool, ask []probe.Question, again time.Time) {
	if len(r.open) == 0 {
		return nil, nil, time.Time{}
	}
	s := search{Look: l, pause: r.times.Next, others: make(map[string]*owner.Nodes)}
	changed = make(map[netip.Addr]bool)
	for _, ip := range slices.SortedFunc(maps.Keys(r.open), netip.Addr.Compare) {
		x := r.open[ip]
		was := x.taken
		if !on(l.Networks, ip) || s.look(ip, x) {
			x.taken = false
			delete(r.open, ip)
		}
		if was != x.taken {
			changed[ip] = true
		}
	}
	return changed, s.questions, s.again
}

// search is one look at all addresses.
type search struct {
	Look
	pause     time.Duration           // for who comes next
	others    map[string]*owner.Nodes // without those who refuse, by their names
	waiting   int                     // for replies about so many addresses
	questions []probe.Question
	again     time.Time
}

// look finds out who has an address, and asks who is to have it, until that one is this node or
// does not refuse. It reports whether the elected node has it.
func (s *search) look(ip netip.Addr, x *refusal) (over bool) {
	if heard := s.Names[s.Heard[ip]]; heard != x.heard {
		x.heard, x.gave = heard, false
	}
	first := len(x.by) == 0
	if x.heard == x.elected && !x.ours && first {
		return true
	}
	_, handing := slices.BinarySearchFunc(s.Handing, ip, netip.Addr.Compare)
	switch {
	case x.deputy:
		return false
	case first && s.Now.Before(x.due):
		s.again = wake.Earlier(s.again, x.due)
		return false
	case !x.taken && (handing || s.waiting >= asksAtOnce):
		return false
	}
	r := nothing
	if first && s.there(x.elected) {
		if r = s.ask(ip, x.elected); r == has {
			return true
		}
	}
	if x.heard == x.elected && !first && s.there(x.elected) {
		switch s.ask(ip, x.elected) {
		case has: // it knows the Service now
			return true
		case nothing:
			return false
		} // else a deputy has announced it, which took the elected node for absent
	}
	if x.held = !x.taken && s.hold(ip, x); x.held {
		return false
	}
	for x.next = x.elected; ; {
		if len(x.by) > 0 {
			order := s.order(ip, x.by)
			x.take(s, order)
			if x.taken || len(order) == 0 || order[0] == s.Self { // which may not take it
				return false
			}
			x.next = order[0]
		}
		switch {
		case !s.there(x.next):
			return false
		case s.Now.Before(x.due):
			s.again = wake.Earlier(s.again, x.due)
			return false
		}
		if x.next != x.elected {
			r = s.ask(ip, x.next)
		}
		if r != refuses {
			return false
		}
		x.by, x.due = append(x.by, x.next), s.Now.Add(s.pause)
	}
}

// take decides whether this node has the address: if it comes first of those that may have it, and
// then for as long as it is one of them.
func (x *refusal) take(s *search, order []string) {
	at := slices.Index(order, s.Self)
	if x.taken = at >= 0 && (at == 0 || x.taken) && s.may(x.by); !x.taken {
		return
	}
	x.ours = false
	x.result = owner.Result{Owner: s.Self, Reason: words(x.by)}
	if rest := slices.Delete(slices.Clone(order), at, at+1); len(rest) > 0 {
		x.result.Next = rest[0]
	}
}

// hold reports whether some other node has the address, as far as was heard: one that may have it,
// or that says so when it is asked.
func (s *search) hold(ip netip.Addr, x *refusal) bool {
	switch {
	case x.gave || x.heard == x.elected || !s.there(x.heard):
		return false
	case slices.Contains(s.order(ip, x.by), x.heard):
		return true
	}
	r := s.ask(ip, x.heard)
	x.gave = r == refuses || r == silent
	return !x.gave
}

// may reports whether this node may take what others refuse.
func (s *search) may(by []string) bool {
	return !s.OutOfTouch || !slices.ContainsFunc(by, func(name string) bool {
		m := s.member(name)
		return m != nil && m.Meta.APIAge == 0
	})
}

// order are the nodes that may have an address without those who refuse it or are not there to ask,
// the one that is elected first.
func (s *search) order(ip netip.Addr, by []string) (names []string) {
	c, bound := s.Candidate(ip)
	if !bound {
		return nil
	}
	key := strings.Join(by, " ")
	if s.others[key] == nil {
		nodes := s.Candidates.Nodes()
		for i, n := range nodes {
			if slices.Contains(by, n.Name) || n.Name != s.Self && !s.there(n.Name) {
				nodes[i].Unfit = "refuses it"
			}
		}
		s.others[key] = owner.New(nodes)
	}
	for _, n := range s.others[key].Ranking(c) {
		if n.Reason == "" {
			names = append(names, n.Node)
		}
	}
	return names
}

// reply is what a node says about an address.
type reply uint8

const (
	nothing reply = iota // so far
	silent               // it does not answer for it
	refuses              // and its speaker is there
	has
)

// ask asks a node whether it has an address, and whether its speaker is there, and says what it has
// replied so far.
func (s *search) ask(ip netip.Addr, node string) (r reply) {
	m := s.member(node)
	if len(m.Meta.MACs) == 0 || !on(m.Meta.Segments, ip) {
		return nothing
	}
	there, unheard := false, true
	for _, mac := range m.Meta.MACs {
		speaker, address := probe.Question{MAC: mac}, probe.Question{IP: ip, MAC: mac}
		s.questions = append(s.questions, speaker, address)
		if replied(s.Answers[address]) {
			return has
		}
		there, unheard = there || replied(s.Answers[speaker]), unheard && s.Answers[address].Silent
	}
	switch {
	case !unheard:
		s.waiting++
		return nothing
	case there:
		return refuses
	}
	return silent
}

func replied(a probe.Answer) bool { return !a.Silent && !a.Last.IsZero() }

// there reports whether the speaker of another node is.
func (s *search) there(node string) bool {
	m := s.member(node)
	return m != nil && m.Up()
}

func (s *search) member(name string) *mesh.Member {
	i, known := slices.BinarySearchFunc(s.Members, name, func(m mesh.Member, n string) int { return strings.Compare(m.Name, n) })
	if !known {
		return nil
	}
	return &s.Members[i]
}

// words say why this node has an address for which another one was elected.
func words(by []string) string {
	if len(by) == 1 {
		return by[0] + " is elected and does not answer for it, as a node that does not know the Service"
	}
	last := len(by) - 1
	return fmt.Sprintf("%s and %s come first and do not answer for it, as nodes that do not know the Service", strings.Join(by[:last], ", "), by[last])
}

// on reports whether an address is on one of some networks.
func on(networks []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(ip) })
}
