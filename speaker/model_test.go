package speaker

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
	"github.com/starling-lb/starling/proxy"
	"github.com/starling-lb/starling/watcher"
)

// model is a cluster of speakers with everything around them modeled: an API
// server with one total order and optimistic concurrency, gossip, and a wire.
// It runs in virtual time inside a synctest bubble.
type model struct {
	t       testing.TB
	rules   rules
	pools   *lease.Pools
	latency time.Duration // of gossip, the watch and the wire
	rumor   time.Duration // how much later gossip tells what members say of themselves

	mu        sync.Mutex // guards all following fields
	version   int
	services  map[watcher.Key]watcher.Service
	nodes     []watcher.Node
	spaces    map[string]map[string]string // labels of namespaces
	edits     uint64
	placement *watcher.Placement
	endpoints map[watcher.Key]watcher.Endpoints
	speakers  map[string]*node
	events    []toldEvent
	writes    int
	started   uint64                   // speakers
	memories  map[string][]mesh.Member // what each speaker has remembered
	returns   map[string]peers.Return  // what each has said of its last one
	refused   int                      // writes that came too late
	made      []mesh.Member            // up by somebody who has the gossip key
	deaf      map[link]bool            // by gossip
	split     map[link]bool            // on the wire
	lossy     func() bool              // whether a message is lost
	meters    []*meter
	strangers int                   // nodes of the cluster that were taken for strangers
	stations  map[netip.Addr]string // what answers for addresses beside the nodes, by MAC
	ruleless  map[string]bool       // nodes that forward nothing
	deserted  map[netip.Addr]bool   // addresses whose endpoints accept no connections
	shut      bool                  // nobody reaches the kube-proxy of another node
	begun     int                   // connections that testers began
	clients   []*client
	replaced  []*node // by later processes of the same node
}

// toldEvent is an event, and who told it.
type toldEvent struct {
	by string
	watcher.Event
}

// node is one speaker with its view of the model.
type node struct {
	m       *model
	name    string
	mac     string
	hw      claims.MAC // the same
	epoch   uint64     // of the process
	speaker *Speaker
	stop    context.CancelFunc
	done    chan struct{}
	up      bool          // its link works
	network string        // that its interfaces are on, 198.18.0.0/16 if none is said
	lag     time.Duration // of its stream behind that of the others
	ahead   atomic.Int64  // its wall clock, in nanoseconds

	log      *logbook
	registry *prometheus.Registry
	state    mesh.State
	since    time.Time // of state
	meta     mesh.Meta // as others know it
	said     mesh.Meta // by the speaker last
	settled  bool
	lost     map[string]mesh.Member // what is believed of members that are not heard
	ice      chan struct{}          // the process is stopped until it is closed; nil: it runs
	frozen   time.Time              // since when it is or was last stopped
	mute     bool                   // its kernel answers no probe
	paused   bool                   // not the process alone: its kernel answers nothing either
	ended    bool                   // its Run has returned
	killed   bool                   // it will never run again, and its kernel has closed its port
	listens  bool                   // when the others gave it up, its kernel took connections for it
	inbox    []peers.Message        // heard

	endpoints []string                          // of all Services as this node sees them, nil: those of the model
	served    map[watcher.Key]watcher.Endpoints // as of the last Drain
	stale     bool                              // what the table holds is from the snapshot file
	silent    time.Time                         // of the API server since then, zero: in contact
	pools     *lease.Pools                      // nil: those of the model
	peers     []health.Condition                // as the mesh finds them
	api       []health.Condition                // as the watcher finds them
	mistakes  []string                          // of the configuration file
	conflicts []arpd.Conflict
	kernel    []health.Condition

	reset   bool
	changes map[watcher.Key]*watcher.Service // nil: deleted
	card    card
	limits  []netif.Limit
	nics    []string // used interfaces, eth0 if there are none
	meshed  chan struct{}
	wired   chan struct{}
	heard   chan struct{} // replies
	kubed   chan struct{}
	proxied chan struct{}
	proxy   proxy.State
	flows   Flows   // nil: connections are not kept
	routers Routers // nil: nothing is announced by BGP
}

func newModel(t testing.TB, pools ...string) *model {
	var list []lease.Pool
	for _, p := range pools {
		pool, err := lease.ParsePoolFlag(p)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, pool)
	}
	compiled, err := lease.NewPools(list)
	if err != nil {
		t.Fatal(err)
	}
	return &model{
		t: t, rules: standard(), pools: compiled, latency: time.Millisecond,
		services: map[watcher.Key]watcher.Service{}, endpoints: map[watcher.Key]watcher.Endpoints{}, speakers: map[string]*node{},
		memories: map[string][]mesh.Member{}, returns: map[string]peers.Return{},
		deaf: map[link]bool{}, split: map[link]bool{}, ruleless: map[string]bool{}, deserted: map[netip.Addr]bool{}, lossy: func() bool { return false },
	}
}

// later runs f with the lock held after the latency of the model.
func (m *model) later(f func()) { m.after(m.latency, f) }

func (m *model) after(d time.Duration, f func()) {
	time.AfterFunc(d, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		f()
	})
}

// start adds a node with a speaker, or starts a new speaker on a known one, of which edits say how
// it finds its world.
func (m *model) start(name string, edits ...func(*node)) *node {
	b := &node{
		registry: prometheus.NewRegistry(), log: &logbook{},
		m: m, name: name, mac: macOf(name), hw: hardware(macOf(name)), up: true, state: mesh.Alive, settled: true, done: make(chan struct{}), reset: true,
		changes: map[watcher.Key]*watcher.Service{}, card: m.card(name), lost: map[string]mesh.Member{},
		heard: make(chan struct{}, 1), meshed: make(chan struct{}, 1), wired: make(chan struct{}, 1), kubed: make(chan struct{}, 1), proxied: make(chan struct{}, 1),
		proxy: proxy.State{Health: proxy.Healthy}, meta: First(m.rules.grace),
	}
	m.mu.Lock()
	if !slices.ContainsFunc(m.nodes, func(n watcher.Node) bool { return n.Name == name }) {
		n := watcher.Node{Name: name, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{198, 18, 0, byte(len(m.nodes) + 1)})}}
		at, _ := slices.BinarySearchFunc(m.nodes, name, func(n watcher.Node, name string) int { return cmp.Compare(n.Name, name) })
		m.nodes = slices.Insert(slices.Clone(m.nodes), at, n) // sorted, as watcher.State has them
	}
	for k, s := range m.services {
		b.changes[k] = &s
	}
	b.since = time.Now()
	for pair := range m.deaf {
		if pair.listener == name {
			b.lost[pair.talker] = mesh.Member{} // never met
		}
	}
	for _, edit := range edits {
		edit(b)
	}
	if old := m.speakers[name]; old != nil {
		if time.Since(old.since) > m.rules.grace {
			delete(m.memories, name)
		}
		m.replaced = append(m.replaced, old)
		b.meta = b.meta.After(old.meta)
	}
	m.started++
	m.speakers[name], b.epoch = b, m.started
	earlier, held := m.memories[name], peers.Return{}
	if last := m.returns[name]; last.Held(b.now()) {
		held = peers.Return{Until: last.Until.Round(0), Asked: last.Asked}
	}
	b.met()
	b.forget()
	m.measure()
	m.mu.Unlock()
	b.speaker = New(Config{
		Node: name, Version: "test", Installation: "cluster", Grace: m.rules.grace, Pace: m.rules.pace, ProbeTime: 200 * time.Millisecond, Now: b.now,
		Rhythms: m.rules.rhythms, Timing: m.rules.peers, Without: m.rules.without, Unheard: m.rules.unheard, Testing: !m.rules.untested, Tests: m.rules.tests, ProxyPort: proxyPort,
		Mesh: (*modelMesh)(b), Wire: (*modelWire)(b), Cluster: (*modelCluster)(b), API: b, Settings: b, Proxy: (*modelProxy)(b), Flows: b.flows, Routers: b.routers,
		Earlier: earlier, Remember: b.remember, LastReturn: held, Returned: b.returned, Pings: b.pings, Counts: b.counts, Log: zerolog.New(b.log), Registry: b.registry,
	})
	var ctx context.Context
	ctx, b.stop = context.WithCancel(context.Background())
	go func() {
		defer close(b.done)
		if err := b.speaker.Run(ctx); err != nil {
			m.t.Errorf("%s: %v", name, err)
		}
		m.mu.Lock()
		b.state, b.since, b.card, b.ended = mesh.Left, time.Now(), m.card(name), true
		m.measure()
		m.gossip()
		m.mu.Unlock()
	}()
	return b
}

// met is that a process that begins knows nobody who has ended, and others know it. The lock is
// held.
func (b *node) met() {
	for name, o := range b.m.speakers {
		if o.ended || o.killed {
			b.lost[name] = mesh.Member{}
		}
		if known, lost := o.lost[b.name]; lost && known.Name == "" && !b.m.deaf[link{name, b.name}] {
			delete(o.lost, b.name)
		}
	}
}

// remember is the file in which a speaker keeps the members.
func (b *node) remember(list []mesh.Member) {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	b.m.memories[b.name] = list
}

// returned is the file in which a speaker keeps its last return, of which a planned end leaves the
// hold.
func (b *node) returned(r peers.Return) {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	b.m.returns[b.name] = r
}

// begin starts a speaker on a known node that finds its interface a moment later, as real ones do.
func (m *model) begin(name string) *node {
	b := m.start(name, func(b *node) { b.nics = []string{} })
	m.after(50*time.Millisecond, func() {
		b.nics = nil
		poke(b.wired)
	})
	return b
}

// gossip tells everybody that membership has changed. The lock is held.
func (m *model) gossip() {
	m.later(func() {
		for _, b := range m.speakers {
			poke(b.meshed)
		}
	})
}

// leaves stops a speaker as a SIGTERM does, and waits until it has ended.
func (m *model) leaves(name string) {
	m.speakers[name].stop()
	<-m.speakers[name].done
}

// dies makes a member unreachable, and dead to the others after a while.
func (m *model) dies(name string, detection time.Duration) {
	m.mu.Lock()
	b := m.speakers[name]
	b.up = false
	m.measure()
	m.mu.Unlock()
	time.AfterFunc(detection, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		b.state, b.since = mesh.Dead, time.Now()
		m.gossip()
	})
}

// apply is a change of a Service by a user or a speaker. The lock is held.
func (m *model) apply(s watcher.Service, deleted bool) {
	m.version++
	s.Version = strconv.Itoa(m.version)
	change := &s
	if deleted {
		delete(m.services, s.Key())
		change = nil
	} else {
		m.services[s.Key()] = s
	}
	for _, b := range m.speakers {
		m.after(m.latency+b.lag, func() {
			b.changes[s.Key()] = change
			poke(b.kubed)
		})
	}
}

// create makes a Service of type LoadBalancer whose endpoints are on the nodes.
func (m *model) create(name string, edit func(*watcher.Service), nodes ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := watcher.Service{
		Namespace: "default", Name: name, UID: "uid-" + name + "-" + strconv.Itoa(m.version), Created: time.Now(), Type: "LoadBalancer",
		Families: []string{"IPv4"}, FamilyPolicy: "SingleStack", Ports: []string{"TCP/80"},
	}
	if edit != nil {
		edit(&s)
	}
	m.endpoints = maps.Clone(m.endpoints)
	m.endpoints[s.Key()] = everywhere(nodes...)
	m.apply(s, false)
}

// edit changes a Service as a user does.
func (m *model) edit(name string, f func(*watcher.Service)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.services[watcher.Key{Namespace: "default", Name: name}]
	f(&s)
	m.apply(s, false)
}

func (m *model) remove(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.apply(m.services[watcher.Key{Namespace: "default", Name: name}], true)
}

// everywhere are endpoints of both families on these nodes.
func everywhere(nodes ...string) watcher.Endpoints {
	return watcher.Endpoints{V4: on(nodes...), V6: on(nodes...)}
}

// on are endpoints of one family on these nodes, all of which serve.
func on(nodes ...string) watcher.Places {
	if len(nodes) == 0 {
		return watcher.Places{Found: watcher.NoEndpoint}
	}
	return watcher.Places{Nodes: nodes, Found: watcher.Serving}
}

// serve moves the endpoints of a Service.
func (m *model) serve(name string, nodes ...string) { m.serveBy(name, everywhere(nodes...)) }

// serveBy gives a Service other endpoints.
func (m *model) serveBy(name string, e watcher.Endpoints) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endpoints = maps.Clone(m.endpoints)
	m.endpoints[watcher.Key{Namespace: "default", Name: name}] = e
	for _, b := range m.speakers {
		poke(b.kubed)
	}
}

// setNode changes a node as Kubernetes shows it.
func (m *model) setNode(name string, f func(*watcher.Node)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.nodes = slices.Clone(m.nodes)
	for i := range m.nodes {
		if m.nodes[i].Name == name {
			f(&m.nodes[i])
		}
	}
	for _, b := range m.speakers {
		poke(b.kubed)
	}
}

// ip is the address that a Service shows, "" if none.
func (m *model) ip(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if in := m.services[watcher.Key{Namespace: "default", Name: name}].Ingress; len(in) > 0 {
		return in[0]
	}
	return ""
}

// allows reports whether one of the node's interfaces is left to an address.
func (b *node) allows(ip netip.Addr) bool {
	for _, l := range b.limits {
		if slices.Contains(l.VIPs, ip) {
			return slices.ContainsFunc(b.used(), func(n string) bool { return slices.Contains(l.Interfaces, n) })
		}
	}
	return true
}

func (b *node) used() []string {
	if b.nics == nil {
		return []string{"eth0"}
	}
	return b.nics
}

// label gives the namespace default its labels.
func (m *model) label(labels map[string]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spaces, m.edits = map[string]map[string]string{"default": labels}, m.edits+1
	for _, b := range m.speakers {
		poke(b.kubed)
	}
}

// answering names the nodes whose MAC is what reachable speakers answer with for an address,
// sorted. One whose host is not there is none: nobody gets through to it.
func (m *model) answering(ip netip.Addr) []string {
	var r []string
	for name, b := range m.speakers {
		if !b.up || b.ice != nil || !b.card.machine.Role(ip).Answers(false) || !b.allows(ip) {
			continue
		}
		if b.card.machine.Role(ip) == claims.Deputy {
			name = b.card.machine.DeputyOf(ip)
		}
		if o := m.speakers[name]; o != nil && o.up && !o.paused {
			r = append(r, name)
		}
	}
	slices.Sort(r)
	return slices.Compact(r)
}

func (m *model) owners(ip string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.answering(netip.MustParseAddr(ip))
}

// meter adds up how long how many speakers answer for an address.
type meter struct {
	ip                   netip.Addr
	n                    int
	since                time.Time
	gap, longest, double time.Duration // current gap, longest gap, all time with two or more
	names                string        // who answers
	seen                 []string      // whose MACs were answered with, sorted
	moves                int           // how often that changed
}

// measure books the time since the last change. The lock is held.
func (m *model) measure() {
	for _, x := range m.meters {
		span := time.Since(x.since)
		switch {
		case x.n == 0:
			x.gap += span
			x.longest = max(x.longest, x.gap)
		case x.n > 1:
			x.double += span
		}
		if x.n > 0 {
			x.gap = 0
		}
		now := m.answering(x.ip)
		if names := fmt.Sprint(now); names != x.names {
			x.names = names
			x.moves++
		}
		for _, n := range now {
			if i, known := slices.BinarySearch(x.seen, n); !known {
				x.seen = slices.Insert(x.seen, i, n)
			}
		}
		x.n, x.since = len(now), time.Now()
	}
}

// during runs f and gives the longest time in which a reachable speaker did not
// answer for an address, and all the time in which more than one did.
func (m *model) during(ip string, f func()) (gap, double time.Duration) {
	x := m.meter(ip, f)
	return x.longest, x.double
}

// others reports whether any node but one answered.
func (x *meter) others(than string) bool {
	return slices.ContainsFunc(x.seen, func(n string) bool { return n != than })
}

// meter runs f and measures meanwhile who answers for an address.
func (m *model) meter(ip string, f func()) *meter {
	x := &meter{ip: netip.MustParseAddr(ip), since: time.Now(), n: 1}
	m.mu.Lock()
	m.meters = append(m.meters, x)
	m.measure()
	m.mu.Unlock()
	f()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.measure()
	m.meters = slices.DeleteFunc(m.meters, func(o *meter) bool { return o == x })
	return x
}

// until waits in virtual time for a condition.
func (m *model) until(what string, limit time.Duration, ok func() bool) {
	m.t.Helper()
	for start := time.Now(); !ok(); <-time.After(time.Millisecond) {
		if time.Since(start) > limit {
			m.t.Fatalf("not within %s: %s", limit, what)
		}
		synctest.Wait()
	}
}

// bound waits until a Service shows an address, and gives it.
func (m *model) bound(name string) string {
	m.t.Helper()
	m.until(name+" has an address", 40*time.Second, func() bool { return m.ip(name) != "" })
	return m.ip(name)
}

// set changes a speaker's surroundings and wakes it.
func (m *model) set(name string, f func(*node)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.speakers[name]
	f(b)
	m.measure()
	poke(b.meshed)
}

// pass lets virtual time go by.
func (m *model) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// end stops all speakers.
func (m *model) end() {
	m.mu.Lock()
	all := append(slices.Collect(maps.Values(m.speakers)), m.replaced...)
	m.mu.Unlock()
	for _, b := range all {
		b.stop()
	}
	for _, b := range all {
		<-b.done
	}
	m.pass(time.Second)
}

// reportedConflicts gives the events of one reason as "service: message", in order.
func (m *model) told(reason string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var r []string
	for _, e := range m.events {
		if e.Reason == reason {
			r = append(r, e.Key.Name+": "+e.Message)
		}
	}
	return r
}

// The rooms, as one member sees them.
type (
	modelMesh    node
	modelProxy   node
	modelWire    node
	modelCluster node
)

func (b *modelMesh) Members() []mesh.Member {
	(*node)(b).awake()
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	var r []mesh.Member
	for name, o := range b.m.speakers {
		v, ok := b.lost[name]
		if !ok {
			v = mesh.Member{Name: name, Addr: netip.AddrPortFrom(b.m.address(name), 7927), State: o.state, Since: o.since, Meta: o.meta, Epoch: o.epoch, Listens: o.state == mesh.Dead && o.listens}
		}
		if v.Name != "" {
			v.Since = (*node)(b).stamp(v.Since)
			r = append(r, v)
		}
	}
	r = append(r, b.m.made...)
	slices.SortFunc(r, func(x, y mesh.Member) int { return cmp.Compare(x.Name, y.Name) })
	return r
}

func (b *modelMesh) SetMeta(meta mesh.Meta) {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	if fmt.Sprint(b.said) == fmt.Sprint(meta) {
		return
	}
	b.said = meta
	b.m.after(b.m.latency+b.m.rumor, func() {
		b.meta = meta.After(b.meta)
		for _, o := range b.m.speakers {
			poke(o.meshed)
		}
	})
}

func (b *modelProxy) State() proxy.State {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	return b.proxy
}
func (b *modelProxy) Changed() <-chan struct{} { return b.proxied }

func (b *modelMesh) Settled() bool {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	return b.settled
}

func (b *modelMesh) Conditions() []health.Condition {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	return b.peers
}
func (b *modelMesh) Changed() <-chan struct{} { return b.meshed }

func (b *modelWire) SetLimits(limits []netif.Limit) {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	b.limits = limits
	b.m.measure()
}

func (b *modelCluster) Drain() watcher.Changes {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	c := watcher.Changes{Reset: b.reset}
	for k, s := range b.changes {
		if s == nil {
			c.Deleted = append(c.Deleted, k)
		} else {
			c.Put = append(c.Put, s)
		}
	}
	b.reset = false
	clear(b.changes)
	now := b.serving()
	for k := range now {
		if fmt.Sprint(now[k]) != fmt.Sprint(b.served[k]) {
			c.Endpoints = append(c.Endpoints, k)
		}
	}
	b.served = now
	return c
}

// serving are the endpoints as this node sees them.
func (b *modelCluster) serving() map[watcher.Key]watcher.Endpoints {
	if b.endpoints == nil {
		return b.m.endpoints
	}
	all := maps.Clone(b.m.endpoints)
	for k := range all {
		all[k] = everywhere(b.endpoints...)
	}
	return all
}

func (b *modelCluster) State() watcher.State {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	contact := (*node)(b).now()
	if !b.silent.IsZero() {
		contact = (*node)(b).stamp(b.silent)
	}
	return watcher.State{Synced: true, Stale: b.stale, Conditions: b.api, Nodes: b.m.nodes, Endpoints: b.serving(), Placement: b.m.placement, LastContact: contact, Namespaces: b.m.spaces, NamespaceEdits: b.m.edits}
}
func (b *modelCluster) Changed() <-chan struct{} { return b.kubed }

// Write has the semantics of a patch with uid and resourceVersion.
func (b *node) Write(_ context.Context, w watcher.Write) error {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	s, ok := b.m.services[w.Key]
	if !ok || !b.up {
		return watcher.ErrGone
	}
	if s.UID != w.UID || s.Version != w.Version {
		b.m.refused++
		return watcher.ErrConflict
	}
	b.m.writes++
	s.Annotations = slices.DeleteFunc(slices.Clone(s.Annotations), func(a [2]string) bool {
		_, written := w.Annotations[a[0]]
		return written
	})
	for _, name := range slices.Sorted(maps.Keys(w.Annotations)) {
		if value := w.Annotations[name]; value != "" {
			s.Annotations = append(s.Annotations, [2]string{name, value})
		}
	}
	if w.SetIngress {
		s.Ingress, s.Writer = w.Ingress, ""
	}
	b.m.apply(s, false)
	return nil
}

// Event is recorded, unless the node does not reach the API server.
func (b *node) Event(e watcher.Event) {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	if b.up {
		b.m.events = append(b.m.events, toldEvent{b.name, e})
	}
}

// Known reports that the pools are known: those of the model, unless this node has its own.
func (b *node) Known() bool { return true }

func (b *node) Pools() *lease.Pools {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	if b.pools != nil {
		return b.pools
	}
	return b.m.pools
}

func (b *node) Conditions() (all []health.Condition) {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	for _, words := range b.mistakes {
		all = append(all, health.New(health.ConfigRejected, health.Node(""), words))
	}
	return all
}
func (b *node) Changed() <-chan struct{} { return nil }

// pings are such that every other member answered a probe just now.
func (b *node) pings() map[string]mesh.Ping {
	r := map[string]mesh.Ping{}
	members := (*modelMesh)(b).Members()
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	for _, m := range members {
		if o := b.m.speakers[m.Name]; m.Name != b.name && m.State == mesh.Alive && o != nil && o.up {
			r[m.Name] = mesh.Ping{RoundTrip: 2 * b.m.latency, Seen: b.now()}
		}
	}
	return r
}

// counts are those of the whole model.
func (b *node) counts() watcher.Counts {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	return watcher.Counts{Writes: map[string]uint64{"ok": uint64(b.m.writes)}, Events: map[string]uint64{"sent": uint64(len(b.m.events))}}
}

// poke sends to a channel of capacity 1, if nothing is in it.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
