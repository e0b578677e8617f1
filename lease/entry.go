package lease

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxShown bounds what is read of ingress: each address costs work at each change.
const maxShown = 64

// entry is a Service of the table with everything that is read from its revision, and what the
// table remembers about it.
type entry struct {
	s     *Service
	v     int    // version of the lease, 0 when there is none or it cannot be read
	by    string // installation of the lease
	from  string // node that wrote the lease
	bad   string // what is wrong with the lease as it is written, or ""
	holds []hold // lease first, then ingress

	conflicts []Conflict // as the lease notes them
	req       request
	wrong     error    // why the request cannot be read
	ports     []string // sorted, if they matter
	external  []netip.Addr
	// edited is set if what it shares an address by is not what its lease remembers. Of two that
	// may not share any more it shows which one was edited, to all speakers alike.
	edited bool
	memory
}

// memory is what the table itself knows about a Service. It is lost on restart, and nothing depends
// on it.
type memory struct {
	flight *flight // the write that is under way
	wait   *wait   // what it waits for to be free, or nil
	*agenda
	dirty   bool
	parked  bool // it has something to do that is another speaker's turn
	evading bool // an address with a conflict, for which another one is claimed or about to be free
}

// agenda is what is to come of a Service. Most have nothing to do, and none.
type agenda struct {
	timer    time.Time // when to look again, zero: on change
	place    int       // among the timers, if it is set
	due      time.Time // since when the step dueFor is due
	dueFor   string
	since    time.Time // since when a claim waits for a rival
	reported map[string]notice
	fails    int // writes that failed, one after the other
	over     overwrites
	warned   map[netip.Addr]notice // addresses that are in externalIPs of the one and bound to the other
	lost     map[netip.Addr]loss
	strays   map[netip.Addr]stray // what it has, may not have and has to give up
}

// loss remembers claims on an address that was asked for, and that were withdrawn: another speaker
// may know what this one does not, that a station has the address.
type loss struct {
	times int
	last  time.Time
}

// open makes room for an agenda, tidy takes one away that says nothing.
func (e *entry) open() {
	if e.agenda == nil {
		e.agenda = &agenda{}
	}
}

func (e *entry) tidy() {
	if a := e.agenda; a != nil && a.timer.IsZero() && a.dueFor == "" && a.since.IsZero() && len(a.reported) == 0 && len(a.lost) == 0 && len(a.strays) == 0 && a.over.times == 0 && len(a.warned) == 0 && a.fails == 0 {
		e.agenda = nil
	}
}

// lose counts the claims, seen or just written, that a revision does not have. A new request makes
// a new start, and so does an address that is had.
func (e *entry) lose(held []hold, asked []slot, now time.Time) {
	if valid := func(s slot) bool { return s.ip.IsValid() }; !slices.ContainsFunc(asked, valid) {
		return
	}
	e.open()
	defer e.tidy()
	if !slices.Equal(asked, e.req.slots) {
		e.lost = nil
	}
	var claims []netip.Addr
	for _, h := range held {
		if h.leased && !h.bound && !h.shown {
			claims = append(claims, h.ip)
		}
	}
	if e.flight != nil && e.flight.written {
		claims = append(claims, e.flight.picks...)
	}
	for _, ip := range claims {
		if h := e.at(ip); h != nil || !e.asks(ip) {
			continue
		}
		if e.lost == nil {
			e.lost = make(map[netip.Addr]loss)
		}
		e.lost[ip] = loss{e.lost[ip].times + 1, now}
	}
	maps.DeleteFunc(e.lost, func(ip netip.Addr, _ loss) bool { h := e.at(ip); return h != nil && h.bound })
}

func (e *entry) asks(ip netip.Addr) bool {
	return slices.ContainsFunc(e.req.slots, func(s slot) bool { return s.ip == ip })
}

// again is when an address may be claimed again after claims on it were withdrawn.
func (e *entry) again(ip netip.Addr) time.Time {
	if e.agenda == nil || e.lost[ip].times == 0 {
		return time.Time{}
	}
	l := e.lost[ip]
	return l.last.Add(growing(l.times))
}

// hold is one address that a Service holds, and how.
type hold struct {
	ip     netip.Addr
	pool   string        // as the lease says
	leased bool          // the lease has it
	said   bool          // the lease says bound
	shown  bool          // status.loadBalancer.ingress has it
	bound  bool          // of type LoadBalancer, said and shown
	was    bool          // seen bound before, until a hand made it less
	void   bool          // the lease has it, and that counts for nothing; see sift
	revoke time.Duration // as the lease says; see draft.revokeAfter
	// news is since when the lease has had it like this, or it is left to others; zero if it was so
	// before the present pools were in force, and for what is bound once these were found to allow
	// it.
	news time.Time
}

// read takes over a revision.
func (e *entry) read(s *Service, together bool) {
	e.s, e.bad, e.holds = s, "", nil
	var lease Lease
	if text := s.note(LeaseAnnotation); text != "" {
		l, odd, err := decode(text)
		if lease = l; err != nil {
			e.bad = "it could not be read: " + err.Error()
		} else if l.V == codecVersion {
			e.bad = odd
		}
	}
	e.v, e.by, e.from, e.conflicts = lease.V, lease.By, lease.Holder, lease.Conflicts
	for _, l := range lease.IPs {
		e.holds = append(e.holds, hold{ip: l.IP, pool: l.Pool, leased: true, said: l.State == stateBound, revoke: parseRevoke(l.RevokeAfter)})
	}
	for _, text := range s.Ingress[:min(len(s.Ingress), maxShown)] {
		if ip, err := parseAddr(text); err == nil {
			e.show(ip)
		}
	}
	e.evaluate(together)
	e.req, e.wrong = parseRequest(s)
	e.external = readExternal(s)
	if e.ports = nil; e.req.share != "" {
		e.ports = slices.Sorted(slices.Values(s.Ports))
	}
	e.edited = lease.Sharing != e.sharing()
}

// learn notes which holds are news beside those that the Service had.
func (e *entry) learn(held []hold, now time.Time) {
	for i := range e.holds {
		h := &e.holds[i]
		j := slices.IndexFunc(held, func(o hold) bool { return o.ip == h.ip })
		switch {
		case j >= 0 && held[j].leased == h.leased && (held[j].bound || !h.bound):
			h.news = held[j].news // whoever edits the lease of a claim makes it no younger
		case h.leased:
			h.news = now
		}
	}
}

// evaluate finds out what is bound: each address for itself, unless a test wants it otherwise.
func (e *entry) evaluate(together bool) {
	said, shown := false, false
	for _, h := range e.holds {
		said, shown = said || h.said, shown || h.shown
	}
	for i := range e.holds {
		h := &e.holds[i]
		h.bound = e.s.Type == typeLoadBalancer && (h.said && h.shown || together && said && shown)
	}
}

func (e *entry) show(ip netip.Addr) {
	for i := range e.holds {
		if e.holds[i].ip == ip {
			e.holds[i].shown = true
			return
		}
	}
	e.holds = append(e.holds, hold{ip: ip, shown: true, revoke: never})
}

// leased reports whether the lease has an address.
func (e *entry) leased() bool { return len(e.holds) > 0 && e.holds[0].leased }

// at returns the hold on an address, or nil.
func (e *entry) at(ip netip.Addr) *hold {
	for i := range e.holds {
		if e.holds[i].ip == ip {
			return &e.holds[i]
		}
	}
	return nil
}

// managed reports whether the Service is for this installation to serve.
func (e *entry) managed(v *View) bool {
	return e.s.Type == typeLoadBalancer && v.Classes.Has(e.s.Class)
}

// foreign reports whether the lease is not for this installation to change.
func (e *entry) foreign(installation string) bool {
	return e.v > codecVersion || e.by != "" && e.by != installation
}

// sharing stands for all that clash compares of a Service: "" if it shares with nobody.
func (e *entry) sharing() string {
	if e.req.share == "" {
		return ""
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %q %t %q", e.req.share, e.ports, e.s.Local, e.s.Selector)
	return strconv.FormatUint(h.Sum64(), 16)
}

// older is the order of precedence: creation, then UID. It is total.
func older(a, b *entry) int {
	return cmp.Or(a.s.Created.Compare(b.s.Created), strings.Compare(a.s.UID, b.s.UID),
		strings.Compare(a.s.Namespace, b.s.Namespace), strings.Compare(a.s.Name, b.s.Name))
}

// clash says why two Services may not share an address, or "" when they may.
func (t *Table) clash(a, b *entry, ip netip.Addr) string {
	switch {
	case a.req.share == "" || b.req.share == "":
		return "not both have the annotation " + askShare[0]
	case a.s.Namespace != b.s.Namespace && !t.across(a, b, ip):
		return "they are in different namespaces, and its pool has no shareAcrossNamespaces: true"
	case a.req.share != b.req.share:
		return "their sharing keys differ"
	case a.s.Class != b.s.Class || t.by(a) != t.by(b):
		return "another implementation serves it"
	case (a.s.Local || b.s.Local) && a.s.Selector != b.s.Selector:
		return "their selectors differ and externalTrafficPolicy is Local"
	}
	if port := common(a.ports, b.ports); port != "" {
		return "both use port " + clip(port)
	}
	return ""
}

// across reports whether Services of two namespaces may share an address: if its pool says so, or
// if both have it already, as before that was asked. What ingress shows no user has written, and
// whoever has an address is not to lose it by an update; but nobody comes to share one that has
// only a claim.
func (t *Table) across(a, b *entry, ip netip.Addr) bool {
	if q := t.seen.pools; t.off.across || q != nil && q.of(ip) != nil && q.of(ip).ShareAcrossNamespaces {
		return true
	}
	has := func(h *hold) bool { return h != nil && (h.shown || h.was) }
	return has(a.at(ip)) && has(b.at(ip))
}

// common returns the first text that is in two sorted lists, or "".
func common(a, b []string) string {
	for len(a) > 0 && len(b) > 0 {
		switch c := strings.Compare(a[0], b[0]); {
		case c < 0:
			a = a[1:]
		case c > 0:
			b = b[1:]
		default:
			return a[0]
		}
	}
	return ""
}

// by is the installation that has or will have the lease of a Service. That one without a lease
// counts as ours makes the answer the same before and after the first claim.
func (t *Table) by(e *entry) string {
	if e.by == "" {
		return t.seen.installation
	}
	return e.by
}
