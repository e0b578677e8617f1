package lease

import (
	"fmt"
	"hash/maphash"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// explorer walks over everything that can happen to a few Services, whatever the number of
// speakers, their lag, their crashes and the fate of their writes. It drives Table and Steps
// themselves.
//
// Speakers need no state of their own here: all that a speaker can ever do to a Service is to carry
// out a write that some snapshot of the stream justified. A write lands only while the Service has
// the version of that snapshot. So a state is the Services as they are, and for each of them the
// writes that a snapshot since its last change justifies, by any speaker, at any lag. Speakers
// differ by what they know besides, see outlook. To crash is never to carry out a write; to lose
// the response, to restart and to list again are to decide from a snapshot without memory. Picks
// are explored for every free address, as if others were in flight.
type explorer struct {
	scenario
	services *interned[Service]
	entries  []*entry // of the Services, as a table reads them
	bits     []int    // of the Services: which addresses each is bound to
	steps    *interned[Step]
	landed   map[[2]int]int     // Service and step -> Service
	decided  map[string][][]int // snapshot -> for each Service the steps that it justifies
	seen     map[[2]uint64]int
	seeds    [2]maphash.Seed
	queue    []*moment
	depth    int // the longest schedule of speakers' steps
	bad      string
	limit    int
}

// scenario is what is explored.
type scenario struct {
	templates []Service
	pools     *Pools
	ips       []netip.Addr
	events    string // of "note delete flip strip request label tenant share+ forge+ copy+ ingress+", by users and others
	flood     bool   // the tenant, who has the first Service, writes it so often that no other write ever lands there
	station   bool   // some speakers hear a station that answers for the first address
	budget    int    // how many of these events
	off       guards
	careless  bool                      // writes land on any version, once
	torn      string                    // how the snapshots are wrong: "order", "relist"
	keeps     bool                      // the API server leaves the ingress of what is no load balancer
	begin     bool                      // all Services exist from the beginning
	memory    bool                      // Services carry in Writer what they were bound to, for those who recall it
	stays     bool                      // and must not be bound to anything else
	nowhere   netip.Addr                // is in no pool
	phases    []phase                   // of what the speakers know, one after the other; none: one who knows all
	rule      func(all []*entry) string // what is wrong about these Services at rest, or ""
}

// phase is a time in which these speakers act.
type phase struct {
	speakers []outlook
	// passes: they know so little that they may undo each other's work, until the next phase.
	// Nothing is asked but that nothing is bound twice.
	passes bool
}

// outlook is what a speaker knows besides the Services.
type outlook struct {
	recalls bool // what each Service was bound to before a hand made it less
	self    string
	pools   *Pools
	freeze  bool                  // it knows that members have different pools
	fresh   bool                  // all that is leased is news to it
	late    bool                  // all other speakers are dead, and nothing is left to them any more
	hears   map[netip.Addr]string // stations
}

// at returns a phase.
func (w scenario) at(i int) phase {
	if len(w.phases) > 0 {
		return w.phases[i]
	}
	all := []outlook{{self: "n1", pools: w.pools}}
	if w.station {
		all = append(all, outlook{self: "n1", pools: w.pools, hears: map[netip.Addr]string{w.ips[0]: "02:00:00:00:00:99"}})
	}
	return phase{speakers: all}
}

// strict reports whether users never bind anything themselves, so that nothing is ever bound twice.
func (w scenario) strict() bool { return !strings.ContainsAny(w.events, "+") }

// moment is a node of the exploration.
type moment struct {
	now     []int   // ids of the Services, 0 for none
	pending [][]int // ids of the steps that may land
	past    [][]int // ids that each Service had, kept only to break the stream's order
	forced  []int   // bits of the addresses that a Service is bound to by the hand of users, not by a check
	created int
	budget  int
	phase   int // which outlooks there are
}

const absent = 0

func explore(w scenario, limit int) *explorer {
	x := &explorer{scenario: w, services: newInterned[Service](), steps: newInterned[Step](), landed: map[[2]int]int{}, entries: make([]*entry, 1), bits: make([]int, 1), decided: map[string][][]int{}, seen: map[[2]uint64]int{}, limit: limit}
	x.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}
	n := len(w.templates)
	x.queue = []*moment{{now: make([]int, n), pending: make([][]int, n), past: make([][]int, n), forced: make([]int, n), budget: w.budget}}
	for i := 0; w.begin && i < n; i++ {
		s := x.queue[0]
		x.queue = nil
		x.create(s, i, w.templates[i])
	}
	for len(x.queue) > 0 && x.bad == "" {
		s := x.queue[len(x.queue)-1]
		x.queue = x.queue[:len(x.queue)-1]
		x.visit(s, nil)
	}
	return x
}

// open marks a moment that is being visited; a closed one has the length of the longest schedule
// from there, plus one.
const open = -1

// visit walks along the speakers' steps, which must not lead in a circle, and queues what users do.
// It returns how many steps may follow.
func (x *explorer) visit(s *moment, trail []hop) int {
	k := x.key(s)
	switch n := x.seen[k]; {
	case x.bad != "" || n == open && (x.careless || x.at(s.phase).passes):
		return 0
	case n == open:
		x.fail("the steps have no end", s, trail)
		return 0
	case n > 0:
		return n - 1
	case len(x.seen) >= x.limit:
		x.fail("too many states", s, trail)
		return 0
	}
	x.seen[k] = open
	x.twice(s, trail)
	longest := 0
	for i, steps := range s.pending {
		for _, id := range steps {
			if next := x.land(s, i, id, trail); next != nil {
				longest = max(longest, 1+x.visit(next, append(trail, hop{s.now[i], id})))
			}
		}
	}
	if x.quiet(s) && !x.at(s.phase).passes {
		x.settled(s, trail)
	}
	x.users(s)
	x.seen[k] = longest + 1
	x.depth = max(x.depth, longest)
	return longest
}

// twice checks that no address is bound twice, if users cannot bring that about.
func (x *explorer) twice(s *moment, trail []hop) {
	for bit, ip := range x.ips {
		if x.strict() && x.countBound(s, bit, false) > 1 {
			x.fail(ip.String()+" is bound twice", s, trail)
		}
		if ip == x.nowhere && x.countBound(s, bit, true) > 0 {
			x.fail(ip.String()+" is bound, which is in no pool", s, trail)
		}
	}
}

// hop is one step of a schedule: a Service and what is done to it.
type hop struct{ service, step int }

// land carries out a write.
func (x *explorer) land(s *moment, i, id int, trail []hop) *moment {
	step, old := x.steps.of(id), s.now[i]
	if old == absent || x.services.of(old).UID != step.UID {
		return nil
	}
	next, ok := x.landed[[2]int{old, id}]
	if !ok {
		next = x.enter(x.remember(x.services.of(old), applyStep(x.services.of(old), step)))
		x.landed[[2]int{old, id}] = next
	}
	if next == old {
		return nil
	}
	after := x.advance(s, i, next)
	if x.careless {
		after.pending[i] = slices.DeleteFunc(slices.Clone(after.pending[i]), func(n int) bool { return n == id })
	}
	if x.stays && x.moved(x.services.of(old), x.services.of(next)) {
		x.fail("it has moved", after, append(trail, hop{old, id}))
	}
	fresh := x.bits[next] &^ x.bits[old]
	after.forced[i] &^= fresh
	for bit, ip := range x.ips {
		if fresh&(1<<bit) != 0 && !x.may("share+") && x.countBound(after, bit, true) > 1 {
			x.fail(ip.String()+" is bound twice by a speaker", after, append(trail, hop{old, id}))
		}
	}
	return after
}

// remember carries on what a Service was bound to.
func (x *explorer) remember(before, after Service) Service {
	if !x.memory {
		return after
	}
	kept := strings.Fields(before.Writer)
	after.Writer = ""
	for _, h := range held(after) {
		if text := h.ip.String(); h.bound || slices.Contains(kept, text) && after.Type == typeLoadBalancer {
			after.Writer += " " + text
		}
	}
	return after
}

// moved reports whether a write binds a Service to another address than it was bound to, and still
// holds in part.
func (x *explorer) moved(before, after Service) bool {
	kept := strings.Fields(before.Writer)
	return len(kept) > 0 && slices.ContainsFunc(held(after), func(h hold) bool {
		return h.bound && !slices.Contains(kept, h.ip.String())
	})
}

// enter returns the number of a Service.
func (x *explorer) enter(s Service) int {
	if len(s.Annotations) == 0 {
		s.Annotations = nil
	}
	id := x.services.id(show(s), s)
	if id == len(x.entries) {
		x.entries = append(x.entries, read(s))
		bits := 0
		for bit, ip := range x.ips {
			bits |= btoi(boundTo(s, ip)) << bit
		}
		x.bits = append(x.bits, bits)
	}
	return id
}

// advance returns the state after a change of one Service.
func (x *explorer) advance(s *moment, i, id int) *moment {
	n := &moment{now: slices.Clone(s.now), pending: slices.Clone(s.pending), past: slices.Clone(s.past), forced: slices.Clone(s.forced), created: s.created, budget: s.budget, phase: s.phase}
	n.now[i] = id
	n.forced[i] = x.force(s, i, id)
	if x.torn == "order" {
		n.past[i] = insert(s.past[i], s.now[i])
	}
	if !x.careless || id == absent || s.now[i] == absent || x.services.of(id).UID != x.services.of(s.now[i]).UID {
		n.pending[i] = nil
	}
	x.justify(n)
	return n
}

// justify adds the writes that the speakers decide upon now.
func (x *explorer) justify(n *moment) {
	for j := range n.now {
		if x.flood && j == 0 {
			continue
		}
		for _, view := range x.views(n, j) {
			for _, step := range x.decide(view, n.phase)[j] {
				n.pending[j] = insert(n.pending[j], step)
			}
		}
	}
}

// force returns the addresses that a Service is bound to without a check, unless the change was a
// speaker's, who takes them off again.
func (x *explorer) force(s *moment, i, id int) int {
	return x.bits[id] & (s.forced[i] | ^x.bits[s.now[i]])
}

// views are the snapshots that a speaker which knows the present version of Service j may have now:
// one, as long as the stream is in order and a list is atomic.
func (x *explorer) views(s *moment, j int) [][]int {
	views := [][]int{slices.Clone(s.now)}
	for i := range s.now {
		var others []int
		switch {
		case i == j:
		case x.torn == "order":
			others = s.past[i]
		case x.torn == "relist":
			others = []int{absent}
		}
		for _, v := range slices.Clone(views) {
			for _, id := range others {
				w := slices.Clone(v)
				w[i] = id
				views = append(views, w)
			}
		}
	}
	return views
}

// decide returns the steps that a snapshot justifies for each Service.
func (x *explorer) decide(view []int, phase int) [][]int {
	k := fmt.Sprint(view, phase)
	if d, ok := x.decided[k]; ok {
		return d
	}
	d := make([][]int, len(view))
	for j, id := range view {
		if id == absent {
			continue
		}
		for _, o := range x.at(phase).speakers {
			for _, step := range x.choices(o, view, j) {
				d[j] = insert(d[j], x.steps.id(fmt.Sprint(step), step))
			}
		}
	}
	x.decided[k] = d
	return d
}

// choices are the steps that a speaker may decide upon for one Service, whatever others have in
// flight.
func (x *explorer) choices(o outlook, view []int, j int) []Step {
	first, ok := x.ask(o, view, j, 0, 0)
	if !ok {
		return nil
	}
	all := []Step{first}
	if !picks(first, x.entries[view[j]]) {
		return all // what others have in flight makes no difference
	}
	for four := range len(x.ips) + 1 {
		for six := range len(x.ips) + 1 {
			if step, ok := x.ask(o, view, j, four, six); ok {
				all = append(all, step)
			}
		}
	}
	return all
}

// picks reports whether a step takes an address that the Service does not hold.
func picks(s Step, e *entry) bool {
	l, _ := DecodeLease(s.Annotations[LeaseAnnotation])
	return slices.ContainsFunc(l.IPs, func(n Item) bool { return e.at(n.IP) == nil })
}

// ask lets a speaker decide about one Service while all others are in flight, and so are the lowest
// addresses of each family.
func (x *explorer) ask(o outlook, view []int, j, four, six int) (Step, bool) {
	skip := [2]int{four, six}
	var busy []netip.Addr
	for _, ip := range x.ips {
		if f := family(ip); skip[f] > 0 {
			busy = append(busy, ip)
			skip[f]--
		}
	}
	if skip != [2]int{} {
		return Step{}, false // more than there are
	}
	t := NewTable()
	t.off = x.off
	v := View{Now: epoch, Installation: "here", Self: o.self, Pools: o.pools, Freeze: o.freeze, Alive: func(string) bool { return !o.late }, Conflicts: o.hears}
	t.adopt(&v)
	for i, id := range view {
		if id != absent {
			e := *x.entries[id]
			e.holds = slices.Clone(e.holds)
			kept := strings.Fields(e.s.Writer)
			for i := range e.holds {
				h := &e.holds[i]
				h.was = o.recalls && !h.bound && slices.Contains(kept, h.ip.String())
				switch {
				case o.late:
					h.news = epoch.Add(-time.Hour)
				case o.fresh && h.leased:
					h.news = epoch
				}
			}
			t.enterEntry(&e)
			if i != j {
				e.flight = &flight{until: epoch.Add(time.Hour)}
			}
		}
	}
	for _, ip := range busy {
		t.flying[ip] = []*entry{{}}
	}
	steps, _ := t.Steps(v)
	for _, s := range steps {
		if s.Kind != Tell {
			s.Events = nil
			return s, true
		}
	}
	return Step{}, false
}

// enterEntry enters a Service that was read before, as put does.
func (t *Table) enterEntry(e *entry) {
	e.evaluate(t.off.perAddress)
	e.sift(t.seen.installation, &t.off)
	t.entries[e.s.Key()] = e
	t.link(e)
	t.mark(e)
}

// quiet reports whether a speaker that is up to date has nothing to do.
func (x *explorer) quiet(s *moment) bool {
	return !slices.ContainsFunc(x.decide(s.now, s.phase)[btoi(x.flood):], func(steps []int) bool { return len(steps) > 0 })
}

// settled checks what must be true when nothing is left to do.
func (x *explorer) settled(s *moment, trail []hop) {
	claimants, holding := 0, 0
	for _, id := range s.now {
		if id == absent {
			continue
		}
		svc := x.services.of(id)
		if svc.Type != typeLoadBalancer {
			if slices.ContainsFunc(held(svc), func(h hold) bool { return !h.void || !x.may("tenant") }) {
				x.fail("what is no load balancer still holds an address", s, trail)
			}
			continue
		}
		claimants++
		if satisfied(svc) {
			holding++
		}
	}
	for bit, ip := range x.ips {
		if x.countBound(s, bit, false) > 1 {
			x.fail(ip.String()+" stays bound twice", s, trail)
		}
	}
	if x.rule != nil {
		if why := x.rule(x.all(s)); why != "" {
			x.fail(why, s, trail)
		}
	}
	if want := min(claimants, x.enough(s.phase)); x.rule == nil && holding < want {
		x.fail(fmt.Sprintf("%d of %d Services have what they ask for, of %d that could", holding, claimants, want), s, trail)
	}
}

// all are the Services that there are, as a table reads them.
func (x *explorer) all(s *moment) []*entry {
	var all []*entry
	for _, id := range s.now {
		if id != absent {
			all = append(all, x.entries[id])
		}
	}
	return all
}

// enough is how many Services can have what they ask for at once, whichever they are.
func (x *explorer) enough(phase int) int {
	pool := x.templates[0].note(askPool[0])
	known := func(ip netip.Addr) bool {
		return slices.ContainsFunc(x.at(phase).speakers, func(o outlook) bool {
			name, in := o.pools.Of(ip)
			return in && (pool == "" || pool == name)
		})
	}
	switch {
	case x.may("request"):
		return 0 // two may ask for the same
	case x.may("label"):
		return 1 // all may be for the same pool
	}
	if slices.ContainsFunc(x.templates, func(s Service) bool { return s.note(askShare[0]) != "" }) {
		return len(x.templates)
	}
	var n [2]int
	for _, ip := range x.ips {
		n[family(ip)] += btoi(known(ip))
	}
	if len(x.templates[0].Families) == 2 {
		return min(n[0], n[1])
	}
	return n[0]
}

func satisfied(s Service) bool {
	want := 1
	if s.FamilyPolicy == requireDualStack {
		want = 2
	}
	n := 0
	for _, text := range s.Ingress {
		n += btoi(boundTo(s, netip.MustParseAddr(text)))
	}
	return n >= want
}

// countBound counts the Services that are bound to an address and may not share it, without those
// that users forced to be so if lenient.
func (x *explorer) countBound(s *moment, bit int, lenient bool) int {
	var bound []*entry
	for i, id := range s.now {
		if x.bits[id]&(1<<bit) != 0 && (!lenient || s.forced[i]&(1<<bit) == 0) {
			bound = append(bound, x.entries[id])
		}
	}
	for i, a := range bound {
		for _, b := range bound[:i] {
			if clashHere(a, b) != "" {
				return 2
			}
		}
	}
	return min(len(bound), 1)
}

// boundTo is the definition, word for word: of type LoadBalancer, the lease says bound for this
// address, and ingress shows it.
func boundTo(s Service, ip netip.Addr) bool {
	if s.Type != typeLoadBalancer || !slices.Contains(s.Ingress, ip.String()) {
		return false
	}
	l, _ := DecodeLease(s.note(LeaseAnnotation))
	return slices.ContainsFunc(l.IPs, func(n Item) bool { return n.IP == ip && n.State == stateBound })
}

func held(s Service) []hold { return read(s).holds }

func read(s Service) *entry {
	e := &entry{}
	e.read(&s, false)
	e.sift("here", &guards{})
	return e
}

// users queues everything that users and others may do now.
func (x *explorer) users(s *moment) {
	if s.phase+1 < len(x.phases) {
		n := *s
		n.phase, n.pending = s.phase+1, slices.Clone(s.pending)
		x.justify(&n)
		x.queue = append(x.queue, &n)
	}
	for i, t := range x.templates {
		if s.now[i] == absent {
			x.create(s, i, t)
			continue
		}
		if s.budget == 0 {
			continue
		}
		for _, change := range x.changes(x.services.of(s.now[i]), s) {
			x.push(s, i, change)
		}
		if x.may("tenant") && i == 0 {
			for _, change := range x.tenant(x.services.of(s.now[i])) {
				x.push(s, i, change)
			}
		}
		if x.may("note") { // an edit of something else: writes on their way do not land any more
			n := x.advance(s, i, s.now[i])
			n.budget--
			x.queue = append(x.queue, n)
		}
		if x.may("delete") {
			n := x.advance(s, i, absent)
			n.budget--
			x.queue = append(x.queue, n)
		}
	}
}

func (w scenario) may(event string) bool { return strings.Contains(w.events, event) }

func (x *explorer) create(s *moment, i int, t Service) {
	t.Name = string(rune('a' + i))
	t.UID = strconv.Itoa(s.created + 1)
	t.Created = epoch.Add(time.Duration(s.created+1) * time.Second)
	n := &moment{now: s.now, pending: s.pending, past: s.past, forced: s.forced, created: s.created + 1, budget: s.budget, phase: s.phase}
	x.queue = append(x.queue, x.advance(n, i, x.enter(t)))
}

func (x *explorer) push(s *moment, i int, change Service) {
	if change.Type != typeLoadBalancer && !x.keeps {
		change.Ingress = nil
	}
	id := x.enter(x.remember(x.services.of(s.now[i]), change))
	if id == s.now[i] {
		return
	}
	n := x.advance(s, i, id)
	n.budget--
	x.queue = append(x.queue, n)
}

// changes are the edits that may happen to a Service.
func (x *explorer) changes(s Service, in *moment) []Service {
	var all []Service
	edit := func(event string, change func(*Service)) {
		if !x.may(event) {
			return
		}
		c := applyStep(s, Step{})
		change(&c)
		all = append(all, c)
	}
	edit("flip", func(c *Service) {
		c.Type = map[string]string{typeLoadBalancer: "ClusterIP", "ClusterIP": typeLoadBalancer}[c.Type]
	})
	edit("strip", func(c *Service) { c.strip(LeaseAnnotation) })
	edit("ingress", func(c *Service) { c.Ingress = nil })
	for _, ip := range x.ips {
		edit("ingress", func(c *Service) { c.Ingress = []string{ip.String()} })
		edit("request", func(c *Service) { c.LoadBalancerIP = ip.String() })
		for _, st := range []string{stateClaimed, stateBound} {
			edit("forge", func(c *Service) {
				c.annotate(LeaseAnnotation, Lease{V: 1, By: "here", Holder: "n1", IPs: []Item{{IP: ip, Pool: "p", State: st}}}.Encode())
			})
		}
	}
	edit("label", func(c *Service) {
		c.Labels = map[bool]string{true: "", false: "tier=q"}[c.Labels != ""]
	})
	edit("share+", func(c *Service) {
		c.annotate(askShare[0], map[string]string{"k": "other", "other": "k", "": "k"}[c.note(askShare[0])])
	})
	for _, id := range in.now {
		if id != absent {
			other := x.services.of(id)
			edit("copy", func(c *Service) { c.annotate(LeaseAnnotation, other.note(LeaseAnnotation)) })
		}
	}
	return all
}

func (x *explorer) key(s *moment) [2]uint64 {
	text := make([]byte, 0, 64)
	add := func(list []int) {
		for _, n := range list {
			text = append(text, byte(n), byte(n>>8), byte(n>>16))
		}
		text = append(text, 255, 255, 255)
	}
	add(s.now)
	for i := range s.pending {
		add(s.pending[i])
		add(s.past[i])
	}
	add(s.forced)
	add([]int{s.created, s.budget, s.phase})
	return [2]uint64{maphash.Bytes(x.seeds[0], text), maphash.Bytes(x.seeds[1], text)}
}

func (x *explorer) fail(why string, s *moment, trail []hop) {
	if x.bad != "" {
		return
	}
	lines := []string{why}
	for _, h := range trail {
		lines = append(lines, fmt.Sprintf("  %s %s -> %s", x.steps.of(h.step).Kind, brief(x.services.of(h.service)), brief(x.services.of(x.landed[[2]int{h.service, h.step}]))))
	}
	for _, id := range s.now {
		if id != absent {
			lines = append(lines, "  now "+brief(x.services.of(id)))
		}
	}
	x.bad = strings.Join(lines, "\n")
}

// show writes down everything about a Service that a decision depends on.
func show(s Service) string {
	return fmt.Sprintf("%s uid=%s %s lease=%s ingress=%v %v %s %v %v %s", s.Name, s.UID, s.Type, s.note(LeaseAnnotation), s.Ingress, s.Annotations, s.LoadBalancerIP, s.Ports, s.Labels, append([]string{s.Writer}, s.ExternalIPs...))
}

// brief says the same for people.
func brief(s Service) string {
	l, _ := DecodeLease(s.note(LeaseAnnotation))
	text := fmt.Sprintf("%s(uid %s %s", s.Name, s.UID, s.Type)
	for _, n := range l.IPs {
		text += fmt.Sprintf(" %s %s", n.State, n.IP)
	}
	return text + fmt.Sprintf(" ingress %v)", s.Ingress)
}

// interned gives small numbers to values, from 1.
type interned[T any] struct {
	ids    map[string]int
	values []T
}

func newInterned[T any]() *interned[T] {
	return &interned[T]{ids: map[string]int{}, values: make([]T, 1)}
}

func (n *interned[T]) id(key string, value T) int {
	id, ok := n.ids[key]
	if !ok {
		id = len(n.values)
		n.ids[key] = id
		n.values = append(n.values, value)
	}
	return id
}

func (n *interned[T]) of(id int) T { return n.values[id] }

// insert returns a sorted set with one more element; it does not change the old one.
func insert(set []int, n int) []int {
	i, found := slices.BinarySearch(set, n)
	if found {
		return set
	}
	return slices.Insert(slices.Clone(set), i, n)
}
