package speaker

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/starling-lb/starling/proxy"
	"github.com/starling-lb/starling/watcher"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "run this seed of the simulation only, and print what happens")
	seedsFlag = flag.Uint64("seeds", 25, "run so many seeds of the simulation")
)

// window is for how long after a change an address may have no answer, or two.
const window = time.Second

// joining is how long a speaker that starts takes to meet the others; its window begins then.
const joining = 400 * time.Millisecond

// crossing is for how long two may answer while nothing happens: contact with
// the API server and the hold of a returning node end by themselves, and some
// members know it sooner than others.
const crossing = 300 * time.Millisecond

// notYet is for how long nobody may answer while nothing happens, if a node sees
// other endpoints than there are: it may have won the address from the one that
// the others elect, which goes on asking it and learns so late that it fell silent.
const notYet = 150 * time.Millisecond

// simulation lets anything happen to a cluster, one thing after the other, and
// looks whether exactly one node answers for each address once the window after
// a change is over. The faults of a seed are always the same; the order in which
// goroutines meet at one instant is not.
type simulation struct {
	*model
	seed  uint64
	rand  *rand.Rand
	names []string
	ips   []string
	gone  []*node // killed or replaced
	trace []string

	local  []string        // nodes with an endpoint of the last Service
	made   int             // Services while it runs
	missed map[link]bool   // nodes that do not know the Service of an address
	gossip map[link]bool   // blocked
	cut    map[string]bool // nodes without a link
	frozen map[string]bool
	down   map[string]bool // nodes without a speaker

	started bool // by the last fault: a speaker
}

// fault is a thing that may happen to a node; it says what it did, or "" if it
// cannot happen now.
type fault struct {
	name string
	do   func(s *simulation, node string) bool
}

func faults() []fault {
	return []fault{
		{"gossip blocked between all", func(s *simulation, _ string) bool { return s.block(s.names, s.names, true) }},
		{"gossip blocked around", func(s *simulation, n string) bool { return s.block([]string{n}, s.names, true) }},
		{"gossip blocked to", func(s *simulation, n string) bool { return s.block([]string{n}, s.names, false) }},
		{"gossip blocked from", func(s *simulation, n string) bool { return s.block(s.names, []string{n}, false) }},
		{"gossip blocked between halves", func(s *simulation, _ string) bool { return s.block(s.names[:2], s.names[2:], true) }},
		{"gossip healed", func(s *simulation, _ string) bool { healed := len(s.gossip) > 0; clear(s.gossip); return healed }},
		{"link cut of", func(s *simulation, n string) bool { return flip(s.cut, n, true) }},
		{"link back of", func(s *simulation, n string) bool { return flip(s.cut, n, false) }},
		{"frames lost for a moment around", func(s *simulation, n string) bool { return s.noise([]string{n}, s.names, true) }},
		{"frames lost for a moment to", func(s *simulation, n string) bool { return s.noise([]string{n}, s.names, false) }},
		{"frames lost for a moment from", func(s *simulation, n string) bool { return s.noise(s.names, []string{n}, false) }},
		{"messages lost from now on", func(s *simulation, _ string) bool { return s.lose(0.5) }},
		{"messages heard from now on", func(s *simulation, _ string) bool { return s.lose(0) }},
		{"machine paused on", (*simulation).pauseMachine},
		{"machine paused for a moment on", (*simulation).hiccup},
		{"process stopped on", (*simulation).stopProcess},
		{"process continued on", (*simulation).continueProcess},
		{"speaker leaves", (*simulation).leave},
		{"speaker killed on", (*simulation).kill},
		{"speaker started on", (*simulation).begin},
		{"API away for", func(s *simulation, n string) bool { return s.lost(n) }},
		{"API back for", func(s *simulation, n string) bool { return s.found(n) }},
		{"API away for all", func(s *simulation, _ string) bool { return s.lost(s.names...) }},
		{"API back for all", func(s *simulation, _ string) bool { return s.found(s.names...) }},
		{"a Service is made", func(s *simulation, _ string) bool { return s.make() }},
		{"a Service is made and not heard of by", func(s *simulation, n string) bool { s.lost(n); return s.make() }},
		{"goes", func(s *simulation, n string) bool {
			s.setNode(n, func(n *watcher.Node) { n.Going = "DrainInProgress" })
			return true
		}},
		{"goes not", func(s *simulation, n string) bool {
			s.setNode(n, func(n *watcher.Node) { n.Going = "" })
			return true
		}},
		{"endpoints only on", func(s *simulation, n string) bool { return s.only(n) }},
		{"endpoints nowhere else, as believes", func(s *simulation, n string) bool { return s.believe(n, n) }},
		{"endpoints as they are, as believes", func(s *simulation, n string) bool { return s.believe(n) }},
		{"clock set forward on", func(s *simulation, n string) bool { return s.setClock(n, 1) }},
		{"clock set back on", func(s *simulation, n string) bool { return s.setClock(n, -1) }},
		{"rules gone of", func(s *simulation, n string) bool { return s.rule(n, false) }},
		{"rules back of", func(s *simulation, n string) bool { return s.rule(n, true) }},
		{"kube-proxy gone of", func(s *simulation, n string) bool { return s.proxy(n, proxy.Absent) }},
		{"kube-proxy back of", func(s *simulation, n string) bool { return s.proxy(n, proxy.Healthy) }},
		{"endpoints everywhere", func(s *simulation, _ string) bool { return s.only(s.names...) }},
	}
}

func flip(set map[string]bool, n string, to bool) bool {
	was := set[n]
	set[n] = to
	return was != to
}

func (s *simulation) block(listeners, talkers []string, both bool) bool {
	for _, a := range listeners {
		for _, b := range talkers {
			if a != b {
				s.gossip[link{a, b}] = true
			}
			if a != b && both {
				s.gossip[link{b, a}] = true
			}
		}
	}
	return true
}

// apply makes gossip and links what they shall be.
func (s *simulation) apply() {
	for _, a := range s.names {
		if b := s.speakers[a]; b.up == s.cut[a] {
			s.set(a, func(b *node) { b.up = !s.cut[a] })
		}
		for _, b := range s.names {
			if a == b {
				continue
			}
			switch want, is := s.gossip[link{a, b}] || s.cut[a] || s.cut[b], s.deaf[link{a, b}]; {
			case want && !is:
				s.model.block(a, b)
			case !want && is:
				s.unblock(a, b)
			}
		}
	}
}

func (s *simulation) stopProcess(n string) bool {
	if s.down[n] || s.frozen[n] {
		return false
	}
	s.frozen[n] = true
	s.freeze(n)
	return true
}

func (s *simulation) pauseMachine(n string) bool {
	if s.down[n] || s.frozen[n] {
		return false
	}
	s.frozen[n] = true
	s.pause(n)
	return true
}

// hiccup is a pause that begins and ends.
func (s *simulation) hiccup(n string) bool {
	if !s.pauseMachine(n) {
		return false
	}
	s.pass(time.Duration(s.rand.IntN(1000)) * time.Millisecond)
	return s.continueProcess(n)
}

// noise loses frames for less than a second, gossip excepted.
func (s *simulation) noise(listeners, talkers []string, both bool) bool {
	lose := func(lost bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, a := range listeners {
			for _, b := range talkers {
				s.split[link{a, b}] = lost
				s.split[link{b, a}] = lost && both
			}
		}
	}
	lose(true)
	s.pass(time.Duration(s.rand.IntN(900)) * time.Millisecond)
	lose(false)
	return true
}

// lose lets a part of the messages be lost.
func (s *simulation) lose(part float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	dice := rand.New(rand.NewPCG(s.seed, 1))
	s.lossy = func() bool { return dice.Float64() < part }
	return true
}

func (s *simulation) continueProcess(n string) bool {
	if !s.frozen[n] {
		return false
	}
	delete(s.frozen, n)
	s.thaw(n)
	return true
}

func (s *simulation) leave(n string) bool {
	if s.down[n] || s.frozen[n] {
		return false
	}
	s.down[n] = true
	s.speakers[n].stop()
	return true
}

// kill is a stop without an end.
func (s *simulation) kill(n string) bool {
	if !s.stopProcess(n) {
		return false
	}
	delete(s.frozen, n)
	s.down[n] = true
	s.set(n, func(b *node) { b.killed = true })
	return true
}

func (s *simulation) begin(n string) bool {
	if !s.down[n] {
		return false
	}
	delete(s.down, n)
	s.knows(n)
	s.started = true
	s.gone = append(s.gone, s.speakers[n])
	b := s.model.begin(n)
	s.set(n, func(*node) { b.settled, b.up = false, !s.cut[n] })
	time.AfterFunc(joining, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		b.settled = true
		poke(b.meshed)
	})
	return true
}

// lost has nodes hear nothing from the API server, and found has them know what there is.
func (s *simulation) lost(nodes ...string) bool { s.misses(nodes...); return true }

func (s *simulation) found(nodes ...string) bool {
	s.learns(nodes...)
	for _, n := range nodes {
		s.knows(n)
	}
	return true
}

// most is how many Services are made at most: the pool has room for them.
const most = 6

// make makes a Service, and waits until it has an address, which may be in vain.
func (s *simulation) make() bool {
	if s.made == most {
		return false
	}
	s.made++
	name := fmt.Sprint("made-", s.made)
	s.create(name, nil, s.names...)
	var deaf []string
	for _, n := range s.names {
		if s.speakers[n].lag > 0 && !s.down[n] {
			deaf = append(deaf, n)
		}
	}
	for begun := time.Now(); s.ip(name) == ""; s.pass(10 * time.Millisecond) {
		if time.Since(begun) > 40*time.Second {
			s.remove(name)
			return true
		}
	}
	ip := s.ip(name)
	for _, n := range deaf {
		s.missed[link{n, ip}] = true
	}
	s.ips = slices.Insert(s.ips, 0, ip)
	return true
}

func (s *simulation) knows(n string) {
	maps.DeleteFunc(s.missed, func(l link, _ bool) bool { return l.listener == n })
}

// longer is by how much more than a window it may take until an address is answered that some nodes
// do not know: each may have to be asked.
func (s *simulation) longer() (most time.Duration) {
	for _, ip := range s.ips {
		most = max(most, s.asking(ip))
	}
	return most
}

// asking is how long it may take to ask the nodes that do not know an address.
func (s *simulation) asking(ip string) time.Duration {
	n := s.ignorant(ip)
	if n == 0 {
		return 0
	}
	return 200*time.Millisecond + time.Duration(n)*150*time.Millisecond
}

// ignorant is how many nodes do not know an address.
func (s *simulation) ignorant(ip string) (n int) {
	for l := range s.missed {
		if l.talker == ip {
			n++
		}
	}
	return n
}

func (s *simulation) only(nodes ...string) bool {
	s.local = nodes
	s.serve("local", nodes...)
	return true
}

// believe makes a node see other endpoints than there are.
func (s *simulation) believe(n string, nodes ...string) bool {
	s.set(n, func(b *node) {
		b.endpoints = nodes
		poke(b.kubed)
	})
	return true
}

// rule has a node forward, or not. That testers notice it is no fault of its own.
func (s *simulation) rule(n string, there bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return flip(s.ruleless, n, !there)
}

// proxy has a node's kube-proxy end or run. That others notice it is no fault of its own.
func (s *simulation) proxy(n string, h proxy.Health) bool {
	if s.speakers[n].proxy.Health == h {
		return false
	}
	s.proxyIs(n, h)
	return true
}

// setClock lets the wall clock of a node jump by minutes or hours.
func (s *simulation) setClock(n string, sign time.Duration) bool {
	s.jump(n, sign*time.Duration(1+s.rand.IntN(600))*time.Minute)
	return true
}

// lag is for how long nobody may answer. The lock is held.
func (s *simulation) lag() time.Duration {
	if slices.ContainsFunc(s.names, func(n string) bool { return s.speakers[n].endpoints != nil }) {
		return notYet
	}
	return 0
}

// able reports whether some node could answer a client for an address: it lives,
// and if the address needs a local endpoint it has one and is in touch with the
// API server. The lock is held.
func (s *simulation) able(ip string) bool {
	local := ip == s.ips[len(s.ips)-1]
	return slices.ContainsFunc(s.names, func(n string) bool {
		return !s.cut[n] && !s.down[n] && !s.frozen[n] && !s.missed[link{n, ip}] && (!local || slices.Contains(s.local, n) && s.speakers[n].silent.IsZero())
	})
}

// step lets one thing happen, waits for the window to pass, and then looks for a
// while.
func (s *simulation) step() {
	all := faults()
	s.started = false
	for {
		f, n := all[s.rand.IntN(len(all))], s.names[s.rand.IntN(len(s.names))]
		if f.do(s, n) {
			s.trace = append(s.trace, fmt.Sprintf("%7.3fs %s %s", time.Since(dawn()).Seconds(), f.name, n))
			break
		}
	}
	s.apply()
	if s.rand.IntN(4) == 0 { // the next one follows closely
		s.pass(time.Duration(s.rand.IntN(800)) * time.Millisecond)
		return
	}
	s.pass(window + s.longer())
	if s.started {
		s.pass(joining)
	}
	long := time.Duration(s.rand.IntN(5000)) * time.Millisecond
	if s.rand.IntN(8) == 0 {
		long = 70 * time.Second // for what is noticed late
	}
	s.look(long)
}

// look watches all addresses for a while in which nothing happens.
func (s *simulation) look(long time.Duration) {
	unaware := s.unaware()
	meters := map[string]*meter{}
	s.mu.Lock()
	for _, ip := range s.ips {
		x := &meter{ip: netip.MustParseAddr(ip), since: time.Now(), n: 1}
		meters[ip], s.meters = x, append(s.meters, x)
	}
	s.measure()
	s.mu.Unlock()
	s.pass(long)
	maps.Copy(unaware, s.unaware())
	for _, ip := range s.wrong(meters, unaware) {
		x := meters[ip]
		s.t.Errorf("%s: no answer for %s, two for %s, %v answer in the end, after\n%s\n%s\n%s", ip, x.longest, x.double,
			s.owners(ip), strings.Join(s.trace, "\n"), s.views(ip), replay(s.seed))
	}
}

// wrong ends the watch and gives the addresses that had no answer for too long, or two.
func (s *simulation) wrong(meters map[string]*meter, unaware map[string]bool) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.measure()
	s.meters = nil
	return slices.DeleteFunc(slices.Clone(s.ips), func(ip string) bool {
		x := meters[ip]
		return (!s.able(ip) || unaware[ip] || x.longest <= s.lag()+s.asking(ip)) && x.double <= crossing
	})
}

// unaware are the addresses of absent nodes whose deputies do not know the Services, and maybe the
// next ones do not either.
func (s *simulation) unaware() map[string]bool {
	out := map[string]bool{}
	for l := range s.missed {
		if s.ignorant(l.talker) < 2 {
			continue
		}
		for _, n := range s.names {
			if s.missed[link{n, l.talker}] || s.down[n] || s.frozen[n] {
				continue
			}
			for _, v := range s.speakers[n].speaker.Snapshot().VIPs {
				if v.IP == l.talker && v.AnsweredBy == l.listener && v.Owner != v.AnsweredBy {
					out[v.IP] = true
				}
			}
		}
	}
	return out
}

// views are what the speakers believe.
func (s *simulation) views(ip string) string {
	var b strings.Builder
	for _, n := range s.names {
		s.mu.Lock()
		stopped := s.speakers[n].ice != nil
		s.mu.Unlock()
		if stopped { // perhaps in the middle of a turn: it would never say what it believes
			fmt.Fprintf(&b, "%s is stopped, or was killed\n", n)
			continue
		}
		snap := s.speakers[n].speaker.Snapshot()
		fmt.Fprintf(&b, "%s (down %v, cut %v): %v", n, s.down[n], s.cut[n], snap.Reasons)
		for _, m := range snap.Members {
			fmt.Fprintf(&b, " %s=%s", m.Name, m.State)
			if m.Returning {
				b.WriteString("(returning)")
			}
		}
		for _, v := range snap.VIPs {
			if v.IP == ip {
				fmt.Fprintf(&b, ", owner %s, %s", v.Owner, v.Reason)
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

func (s *simulation) finish() {
	for _, n := range slices.Collect(maps.Keys(s.frozen)) {
		s.continueProcess(n)
	}
	for _, b := range append(s.gone, slices.Collect(maps.Values(s.speakers))...) {
		s.mu.Lock()
		if b.ice != nil {
			close(b.ice)
			b.ice = nil
		}
		s.mu.Unlock()
		b.stop()
	}
	for _, b := range append(s.gone, slices.Collect(maps.Values(s.speakers))...) {
		<-b.done
	}
	s.pass(time.Minute) // for timers
}

// TestSimulate runs random faults against clusters of five.
func TestSimulate(t *testing.T) {
	first, last := uint64(1), *seedsFlag
	if raceDetector {
		last /= 10
	}
	if *seedFlag != 0 {
		first, last = *seedFlag, *seedFlag
	}
	for seed := first; seed <= last; seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { simulate(t, seed) })
		})
	}
}

// replay says how to run a seed again.
func replay(seed uint64) string {
	return fmt.Sprintf("again: go test ./speaker -count=1 -run '^TestSimulate$' -seed %d", seed)
}

func simulate(t *testing.T, seed uint64) {
	s := &simulation{
		model: newModel(t, tenAddresses), seed: seed, rand: rand.New(rand.NewPCG(seed, 0)),
		names:  []string{"n1", "n2", "n3", "n4", "n5"},
		missed: map[link]bool{}, gossip: map[link]bool{}, cut: map[string]bool{}, frozen: map[string]bool{}, down: map[string]bool{},
	}
	if seed%2 == 0 { // in the other half, who ends hands over
		s.rules.grace = 20 * time.Second
	}
	for _, n := range s.names {
		s.start(n)
	}
	s.pass(time.Second)
	for i, name := range []string{"a", "b", "c", "local"} {
		s.create(name, func(v *watcher.Service) {
			v.Local = i == 3
			if seed%4 < 2 && i%2 == 0 { // nobody can ask for it
				udp(v)
			}
		}, s.names...)
		s.ips = append(s.ips, s.bound(name))
	}
	s.local = s.names
	s.pass(10 * time.Second)
	for range 40 {
		s.step()
		if t.Failed() {
			break
		}
	}
	if s.strangers > 0 {
		t.Errorf("%d members taken for strangers; %s", s.strangers, replay(seed))
	}
	if *seedFlag != 0 {
		t.Log("\n" + strings.Join(s.trace, "\n"))
	}
	s.finish()
}
