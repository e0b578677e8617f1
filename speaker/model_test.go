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
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/proxy"
	"github.com/starling-lb/starling/watcher"
)

// model is a cluster of speakers with everything around them modelled: an API
// server with one total order and optimistic concurrency, gossip, and a wire.
// It runs in virtual time inside a synctest bubble.
type model struct {
	t       *testing.T
	pools   *lease.Pools
	latency time.Duration // of gossip, the watch and the wire

	mu        sync.Mutex // guards all following fields
	version   int
	services  map[watcher.Key]watcher.Service
	nodes     []watcher.Node
	spaces    map[string]map[string]string // labels of namespaces
	edits     uint64
	endpoints map[watcher.Key]watcher.Endpoints
	speakers  map[string]*node
	events    []toldEvent
	writes    int
	deaf      map[link]bool // by gossip
	split     map[link]bool // on the wire
	lossy     func() bool   // whether an alarm is lost
	meters    []*meter
	strangers int                   // nodes of the cluster that were taken for strangers
	stations  map[netip.Addr]string // what answers for addresses beside the nodes, by MAC
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
	speaker *Speaker
	stop    context.CancelFunc
	done    chan struct{}
	up      bool          // its link works
	lag     time.Duration // of its stream behind that of the others

	log      *logbook
	registry *prometheus.Registry
	state    mesh.State
	since    time.Time // of state
	meta     mesh.Meta
	settled  bool
	lost     map[string]mesh.Member // what is believed of members that are not heard
	ice      chan struct{}          // the process is stopped until it is closed; nil: it runs
	frozen   time.Time              // since when it is or was last stopped
	paused   bool                   // not the process alone: its kernel answers nothing either
	killed   bool                   // it will never run again, and its kernel has closed its port
	listens  bool                   // when the others gave it up, its kernel took connections for it
	alarms   map[mesh.Alarm]bool    // heard

	endpoints []string                          // of all Services as this node sees them, nil: those of the model
	served    map[watcher.Key]watcher.Endpoints // as of the last Drain
	stale     bool                              // what the table holds is from the snapshot file
	silent    time.Time                         // of the API server since then, zero: in contact
	pools     *lease.Pools                      // nil: those of the model
	troubles  []string                          // of the mesh
	peers     []mesh.Complaint                  // of the mesh
	mistakes  []string                          // of the configuration file
	conflicts []arpd.Conflict
	findings  []arpd.Finding

	reset   bool
	changes map[watcher.Key]*watcher.Service // nil: deleted
	card    card
	limits  []arpd.Limit
	nics    []string // used interfaces, eth0 if there are none
	meshed  chan struct{}
	wired   chan struct{}
	kubed   chan struct{}
	proxied chan struct{}
	proxy   proxy.State
}

func newModel(t *testing.T, pools ...string) *model {
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
		t: t, pools: compiled, latency: time.Millisecond,
		services: map[watcher.Key]watcher.Service{}, endpoints: map[watcher.Key]watcher.Endpoints{}, speakers: map[string]*node{},
		deaf: map[link]bool{}, split: map[link]bool{}, lossy: func() bool { return false },
	}
}

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
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

// start adds a node with a speaker, or starts a new speaker on a known one, of which edits say how it finds
// its world.
func (m *model) start(name string, edits ...func(*node)) *node {
	b := &node{
		registry: prometheus.NewRegistry(), log: &logbook{},
		m: m, name: name, up: true, state: mesh.Alive, settled: true, done: make(chan struct{}), reset: true,
		changes: map[watcher.Key]*watcher.Service{}, alarms: map[mesh.Alarm]bool{}, card: newCard(), lost: map[string]mesh.Member{},
		meshed: make(chan struct{}, 1), wired: make(chan struct{}, 1), kubed: make(chan struct{}, 1), proxied: make(chan struct{}, 1),
		proxy: proxy.State{Health: proxy.Healthy},
	}
	m.mu.Lock()
	if !slices.ContainsFunc(m.nodes, func(n watcher.Node) bool { return n.Name == name }) {
		m.nodes = append(m.nodes, watcher.Node{Name: name, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{198, 18, 0, byte(len(m.nodes) + 1)})}})
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
	m.speakers[name] = b
	m.measure()
	m.mu.Unlock()
	b.speaker = New(Config{
		Node: name, Version: "test", Installation: "cluster", Pace: 40 * time.Millisecond, Trial: arpd.Shortened().Longest(),
		Mesh: (*modelMesh)(b), Alarms: (*modelMesh)(b), Wire: (*modelWire)(b), Cluster: (*modelCluster)(b), API: b, Settings: b, Proxy: (*modelProxy)(b),
		Peers: b.complaints, Pings: b.pings, Counts: b.counts, Log: zerolog.New(b.log), Registry: b.registry,
	})
	var ctx context.Context
	ctx, b.stop = context.WithCancel(context.Background())
	go func() {
		defer close(b.done)
		if err := b.speaker.Run(ctx); err != nil {
			m.t.Errorf("%s: %v", name, err)
		}
		m.mu.Lock()
		b.state, b.since, b.card = mesh.Left, time.Now(), newCard()
		m.measure()
		m.gossip()
		m.mu.Unlock()
	}()
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
	m.endpoints[s.Key()] = watcher.Endpoints{Nodes: nodes}
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

// serve moves the endpoints of a Service.
func (m *model) serve(name string, nodes ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endpoints = maps.Clone(m.endpoints)
	m.endpoints[watcher.Key{Namespace: "default", Name: name}] = watcher.Endpoints{Nodes: nodes}
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

// allows tells whether one of the node's interfaces is left to an address.
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

// answering names the reachable speakers that answer for an address, sorted.
func (m *model) answering(ip netip.Addr) []string {
	var r []string
	for name, b := range m.speakers {
		if b.up && b.ice == nil && !b.card.muted && slices.Contains(b.card.answers, ip) && b.allows(ip) {
			r = append(r, name)
		}
	}
	slices.Sort(r)
	return r
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
		x.n, x.since = len(m.answering(x.ip)), time.Now()
	}
}

// during runs f and gives the longest time in which a reachable speaker did not
// answer for an address, and all the time in which more than one did.
func (m *model) during(ip string, f func()) (gap, double time.Duration) {
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
	return x.longest, x.double
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
	m.until(name+" has an address", 20*time.Second, func() bool { return m.ip(name) != "" })
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
	all := slices.Collect(maps.Values(m.speakers))
	m.mu.Unlock()
	for _, b := range all {
		b.stop()
	}
	for _, b := range all {
		<-b.done
	}
	m.pass(time.Second)
}

// told gives the events of one reason as "service: message", in order.
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
			v = mesh.Member{Name: name, Addr: netip.AddrPortFrom(b.m.address(name), 7927), State: o.state, Since: o.since, Meta: o.meta, Listens: o.state == mesh.Dead && o.listens}
		}
		if v.Name != "" {
			r = append(r, v)
		}
	}
	slices.SortFunc(r, func(x, y mesh.Member) int { return cmp.Compare(x.Name, y.Name) })
	return r
}

func (b *modelMesh) SetMeta(meta mesh.Meta) {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	if fmt.Sprint(b.meta) == fmt.Sprint(meta) {
		return
	}
	b.m.later(func() {
		b.meta = meta
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

func (b *modelMesh) Problems() []string {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	return b.troubles
}
func (b *modelMesh) Changed() <-chan struct{} { return b.meshed }

func (b *modelWire) Confine(limits []arpd.Limit) {
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
		if !slices.Equal(now[k].Nodes, b.served[k].Nodes) {
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
		all[k] = watcher.Endpoints{Nodes: b.endpoints}
	}
	return all
}

func (b *modelCluster) State() watcher.State {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	contact := b.silent
	if contact.IsZero() {
		contact = time.Now()
	}
	return watcher.State{Synced: true, Stale: b.stale, Nodes: b.m.nodes, Endpoints: b.serving(), LastContact: contact, Namespaces: b.m.spaces, NamespaceEdits: b.m.edits}
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
		s.Ingress = w.Ingress
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

// Pools are the pools of the model, unless this node has its own.
func (b *node) Pools() *lease.Pools {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	if b.pools != nil {
		return b.pools
	}
	return b.m.pools
}

func (b *node) Problems() []string {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	return b.mistakes
}
func (b *node) Changed() <-chan struct{} { return nil }

func (b *node) complaints() []mesh.Complaint {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	return b.peers
}

// pings are such that every other member answered a probe just now.
func (b *node) pings() map[string]mesh.Ping {
	r := map[string]mesh.Ping{}
	for _, m := range (*modelMesh)(b).Members() {
		if m.Name != b.name && m.State == mesh.Alive {
			r[m.Name] = mesh.Ping{RoundTrip: 2 * b.m.latency, Seen: time.Now()}
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
