package speaker

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/starling-lb/starling/forward"
	"github.com/starling-lb/starling/health"
	"github.com/starling-lb/starling/proxy"
	"github.com/starling-lb/starling/report"
	"github.com/starling-lb/starling/watcher"
)

// proxyPort is where kube-proxies of the model say that they are up.
const proxyPort = 10256

// Test begins connections by way of other nodes, each once.
func (b *modelWire) Test(questions []forward.Question) {
	(*node)(b).awake()
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	for _, q := range questions {
		b.m.begun++
		(*node)(b).connect(q)
	}
}

// connect asks the kernel of a host, which forwards whatever its speaker does, and without rules
// routes the packet to who announces the address. The lock is held.
func (b *node) connect(q forward.Question) {
	for _, o := range b.m.speakers {
		there := func() bool {
			return o.mac == q.MAC && o.up && b.up && !o.paused && b.ice == nil
		}
		if !there() || b.m.split[link{o.name, b.name}] || b.m.split[link{b.name, o.name}] {
			continue
		}
		by := o
		if q.To.Port() == proxyPort {
			if o.proxy.Health == proxy.Absent || b.m.shut {
				continue
			}
		} else if b.m.ruleless[o.name] {
			if at := b.m.answering(q.To.Addr()); len(at) == 1 && at[0] != b.name {
				by = b.m.speakers[at[0]]
			}
		}
		if q.To.Port() != proxyPort && !b.m.forwards(by.name, q.To.Addr()) {
			continue
		}
		b.m.later(func() {
			if there() && b.m.speakers[b.name] == b {
				b.card.replies = append(b.card.replies, forward.Reply{ID: q.ID, MAC: by.mac})
				poke(b.heard)
			}
		})
	}
}

// forwards reports whether a connection to an address by way of a node is accepted. The lock is
// held.
func (m *model) forwards(name string, ip netip.Addr) bool {
	if m.ruleless[name] || m.deserted[ip] {
		return false
	}
	for k, s := range m.services {
		if slices.Contains(s.Ingress, ip.String()) {
			nodes := m.endpoints[k].Of(ip).Nodes
			return len(nodes) > 0 && (!s.Local || slices.Contains(nodes, name))
		}
	}
	return false
}

// flush takes the rules of nodes away, or gives them back.
func (m *model) flush(gone bool, names ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range names {
		m.ruleless[n] = gone
	}
}

// desert has nobody accept connections to an address, or has them accepted again.
func (m *model) desert(ip string, gone bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deserted[netip.MustParseAddr(ip)] = gone
}

// forwarding: the rules of a node are gone while its speaker is well or away. Then its addresses
// move within 2 s, and never when nobody accepts connections, whoever forwards.
func forwarding() []scenario {
	const found, foundAway = 2 * time.Second, 1150 * ms
	calm := func(s *scene, what string, f func()) {
		x := s.meter(s.ip, f)
		if x.longest > 0 || x.double > 0 || x.others(s.top) {
			s.t.Errorf("%s: no answer for %s, two for %s, %v answered", what, x.longest, x.double, x.seen)
		}
	}
	return append(pages(), []scenario{
		{"the rules of the owner are gone", 3, func(s *scene) {
			s.web()
			s.limit("rules gone", 0, 5*ms, func() {
				s.flush(true, s.top)
				s.within("it moves", found, s.owns(s.second))
				s.pass(time.Minute)
			})
			if !s.owns(s.second)() {
				s.t.Errorf("%v answer as long as the rules are gone", s.owners(s.ip))
			}
			s.flush(false, s.top)
			s.pass(3 * time.Second)
			if !s.owns(s.second)() {
				s.t.Errorf("%v answer: it went back at once", s.owners(s.ip))
			}
			s.within("it goes back", 6*time.Second, s.owns(s.top))
		}},
		{"the rules of the owner and of the next are gone", 4, func(s *scene) {
			s.web()
			s.flush(true, s.top, s.second)
			s.within("it moves to a node that forwards", 2*found, func() bool { return !s.owns(s.top)() && !s.owns(s.second)() })
		}},
		{"the rules of all nodes are gone", 3, func(s *scene) {
			s.web()
			calm(s, "rules gone everywhere", func() { s.flush(true, s.others("")...); s.pass(time.Minute) })
		}},
		{"nobody accepts connections", 3, func(s *scene) {
			s.web()
			calm(s, "Service dead", func() { s.desert(s.ip, true); s.pass(time.Minute) })
		}},
		{"nobody accepts connections to one of two addresses", 3, func(s *scene) {
			s.web()
			for i, owner := 0, ""; owner != s.top; i++ {
				name := fmt.Sprint("other-", i)
				s.create(name, nil, s.others("")...)
				owner = s.one(s.bound(name))
			}
			calm(s, "Service dead", func() { s.desert(s.ip, true); s.pass(time.Minute) })
			s.flush(true, s.top)
			s.within("it moves", 3*time.Second, s.owns(s.second))
		}},
		{"the rules of a node with local endpoints are gone", 3, func(s *scene) {
			s.web(local)
			s.serve("web", slices.Sorted(slices.Values([]string{s.top, s.second}))...)
			s.pass(5 * time.Second)
			s.flush(true, s.top)
			s.within("it moves", found, s.owns(s.second))
		}},
		{"the rules of the only node with an endpoint are gone", 3, func(s *scene) {
			s.web(local)
			s.serve("web", s.top)
			s.pass(5 * time.Second)
			calm(s, "nobody else has one", func() { s.flush(true, s.top); s.pass(time.Minute) })
		}},
		{"the rules of a node are gone whose speaker is away", 4, func(s *scene) {
			s.keeping()
			s.leaves(s.top)
			s.pass(5 * time.Second)
			s.flush(true, s.top)
			s.within("it moves", foundAway, s.owns(s.second))
			s.pass(time.Minute)
			if !s.owns(s.second)() {
				s.t.Errorf("%v answer in the end", s.owners(s.ip))
			}
		}},
		{"the rules of a node are gone whose speaker has crashed", 4, func(s *scene) {
			s.keeping()
			s.kill(s.top)
			s.pass(5 * time.Second)
			s.flush(true, s.top)
			s.within("it moves", foundAway, s.owns(s.second))
			s.begin(s.top)
			s.pass(20 * time.Second)
			if !s.owns(s.second)() {
				s.t.Errorf("%v answer: its speaker is back, its rules are not", s.owners(s.ip))
			}
		}},
		{"the kube-proxy of a deputy ends", 4, func(s *scene) {
			s.keeping()
			s.leaves(s.top)
			s.pass(5 * time.Second)
			s.still("another deputy", 0, func() {
				s.proxyIs(s.second, proxy.Absent)
				s.pass(20 * time.Second)
			})
			if got := s.speakers[s.third].speaker.Snapshot().VIPs[0].AnsweredBy; got == s.second {
				s.t.Errorf("%s answers in the end", got)
			}
		}},
		{"the rules of an owner are gone while another one's speaker is away that is next", 4, func(s *scene) {
			s.keeping()
			s.leaves(s.second)
			s.pass(5 * time.Second)
			s.limit("move", 0, 60*ms, func() { s.flush(true, s.top); s.pass(20 * time.Second) })
			if !s.owns(s.second)() {
				s.t.Errorf("%v answer in the end", s.owners(s.ip))
			}
		}},
		{"nobody accepts connections while a speaker is away", 3, func(s *scene) {
			s.keeping()
			s.leaves(s.top)
			s.pass(2 * time.Second)
			calm(s, "Service dead", func() { s.desert(s.ip, true); s.pass(40 * time.Second); s.begin(s.top); s.pass(10 * time.Second) })
		}},
	}...)
}

// keeping has the nodes keep their addresses while their speakers are away, and makes a Service.
func (s *scene) keeping(edits ...func(*watcher.Service)) {
	for _, n := range s.others("") {
		s.restart(n, time.Minute)
	}
	s.pass(10 * time.Second)
	s.web(edits...)
}

func udp(v *watcher.Service) { v.Ports = []string{"UDP/53"} }

// pages: nothing but UDP can be asked for at an owner whose speaker is away. Then its kube-proxy
// decides, as other nodes see it, and without that a time.
func pages() []scenario {
	const gone, unproved = 1800 * ms, 10 * time.Second
	return []scenario{
		{"the kube-proxy of a node is gone that has UDP alone, and whose speaker is away", 4, func(s *scene) {
			s.keeping(udp)
			s.leaves(s.top)
			s.pass(20 * time.Second)
			if !s.owns(s.top)() {
				s.t.Errorf("%v answer while kube-proxy is there", s.owners(s.ip))
			}
			s.proxyIs(s.top, proxy.Absent)
			s.within("it moves", gone, s.owns(s.second))
			s.pass(time.Minute)
		}},
		{"its speaker and its kube-proxy end together", 4, func(s *scene) {
			s.keeping(udp)
			s.proxyIs(s.top, proxy.Absent)
			s.kill(s.top)
			s.within("it moves", gone+700*ms, s.owns(s.second))
			s.proxyIs(s.top, proxy.Healthy)
			s.begin(s.top)
			s.within("it goes back", time.Minute, s.owns(s.top))
		}},
		{"its kube-proxy is restarted", 4, func(s *scene) {
			s.keeping(udp)
			s.leaves(s.top)
			s.still("restart of kube-proxy", 0, func() {
				s.pass(5 * time.Second)
				s.proxyIs(s.top, proxy.Absent)
				s.pass(time.Second)
				s.proxyIs(s.top, proxy.Healthy)
				s.pass(30 * time.Second)
			})
		}},
		{"the kube-proxies of all end", 4, func(s *scene) {
			s.keeping(udp)
			s.leaves(s.top)
			s.still("no kube-proxy anywhere", 0, func() {
				for _, n := range s.others("") {
					s.proxyIs(n, proxy.Absent)
				}
				s.pass(40 * time.Second)
			})
		}},
		{"nobody reaches the kube-proxy of another node", 4, func(s *scene) {
			s.shut = true
			s.keeping(udp)
			s.still("too short", 0, func() { s.leaves(s.top); s.pass(unproved - time.Second) })
			s.within("it moves", 2*time.Second, s.owns(s.second))
			s.begin(s.top)
			s.within("it goes back", 20*time.Second, s.owns(s.top))
		}},
		{"the node forwards another address", 4, func(s *scene) {
			s.shut = true
			s.keeping(udp)
			for i, owner := 0, s.top; owner == s.top; i++ {
				name := fmt.Sprint("other-", i)
				s.create(name, nil, s.others("")...)
				owner = s.one(s.bound(name))
			}
			s.pass(5 * time.Second)
			s.still("proved by another address", 0, func() { s.leaves(s.top); s.pass(50 * time.Second) })
		}},
		{"only nodes without kube-proxy are left, one without API server, and gossip is blocked", 4, func(s *scene) {
			s.web()
			s.block(s.top, s.second)
			s.block(s.second, s.top)
			s.set(s.top, func(b *node) { b.silent = time.Now() })
			s.proxyIs(s.top, proxy.Absent)
			s.proxyIs(s.second, proxy.Absent)
			s.pass(2 * time.Minute)
			for _, n := range s.others("") {
				if n != s.top && n != s.second {
					s.leaves(n)
				}
			}
			s.pass(2 * time.Second)
			if x := s.meter(s.ip, func() { s.pass(20 * time.Second) }); x.longest > 0 || x.double > 0 {
				s.t.Errorf("no answer for %s, two for %s, %v answer in the end", x.longest, x.double, s.owners(s.ip))
			}
		}},
		{"no other node may have the address", 4, func(s *scene) {
			s.shut = true
			s.keeping(udp, local)
			s.serve("web", s.top)
			s.pass(5 * time.Second)
			s.still("the only one", 0, func() { s.leaves(s.top); s.pass(50 * time.Second) })
		}},
	}
}

// TestUntested: without the tests nobody begins a connection, and nothing follows.
func TestUntested(t *testing.T) {
	lab(t, func(m *model) {
		m.rules.untested = true
		for _, n := range []string{"n1", "n2", "n3"} {
			m.leaves(n)
			m.start(n)
		}
		before := m.begun
		m.create("web", nil, "n1", "n2", "n3")
		top := m.one(m.bound("web"))
		m.flush(true, top)
		m.pass(time.Minute)
		if got := m.one(m.ip("web")); got != top || m.begun != before {
			t.Errorf("%s answers, want %s; %d connections were begun", got, top, m.begun-before)
		}
	}, tenAddresses)
}

// TestDroppingIsSaid: the node itself says what was seen, the others that it is so, in all places.
func TestDroppingIsSaid(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		m.pass(placeRest)
		top := m.one(ip)
		m.flush(true, top)
		m.until("it moves", 2*time.Second, func() bool { return len(m.owners(ip)) == 1 && m.owners(ip)[0] != top })
		m.pass(faultFor + time.Second)
		snap := m.speakers[top].speaker.Snapshot()
		words := top + " does not forward what comes for addresses of Services: other nodes announce before it"
		a, b := m.others(top)[0], m.others(top)[1]
		want := words + " (" + a + " asked for " + ip + ":80 through it and had no answer, and had one through " + b + "; " + b + " asked for " + ip + ":80 through it and had no answer, and had one through " + a + ")"
		if !snap.Ready || !slices.Equal(snap.Problems, []string{want}) {
			t.Errorf("ready %v, problems %q, want %q", snap.Ready, snap.Problems, want)
		}
		if !slices.ContainsFunc(snap.Conditions, func(c health.Condition) bool {
			return c.Code == health.NotForwarding && c.Subject == health.Node(top)
		}) {
			t.Errorf("conditions %+v", snap.Conditions)
		}
		if got := m.told(report.NotForwarding); len(got) == 0 || len(got) > reporters || !strings.HasPrefix(got[0], top+": "+words) {
			t.Errorf("events %q", got)
		}
		for _, name := range []string{"n1", "n2", "n3"} {
			seen := m.member(name, top)
			if seen.Health != "not forwarding" || !seen.Drops || seen.NoProxy || seen.Announces != 0 || (seen.Verdict == "") != (name == top) {
				t.Errorf("%s sees %+v", name, seen)
			}
			want := 1.0
			if name == top {
				want = 0
			}
			if got := values(t, m.speakers[name].registry)["starling_member_forwarding_failures_total"]; got != want {
				t.Errorf("%s has found %v, want %v", name, got, want)
			}
		}
		m.flush(false, top)
		m.until("the address returns", 10*time.Second, func() bool { return slices.Equal(m.owners(ip), []string{top}) })
		if snap := m.speakers[top].speaker.Snapshot(); len(snap.Problems) > 0 {
			t.Errorf("still said: %q", snap.Problems)
		}
	}, tenAddresses)
}

// TestDroppingWithoutKubeProxy: a node whose rules are gone because its kube-proxy is gone has the
// one condition that says why, in all places.
func TestDroppingWithoutKubeProxy(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		m.pass(placeRest)
		top := m.one(ip)
		m.flush(true, top)
		m.until("it moves", 2*time.Second, func() bool { return len(m.owners(ip)) == 1 && m.owners(ip)[0] != top })
		m.proxyIs(top, proxy.Absent)
		m.pass(faultFor + time.Second)
		if got := m.speakers[top].speaker.Snapshot().Problems; len(got) != 1 || !strings.HasPrefix(got[0], "kube-proxy of "+top+" does not run") {
			t.Errorf("problems %q, want that kube-proxy does not run", got)
		}
		for _, name := range []string{"n1", "n2", "n3"} {
			if seen := m.member(name, top); seen.Health != "no kube-proxy" || seen.Drops {
				t.Errorf("%s sees %+v", name, seen)
			}
		}
		m.pass(10 * time.Minute)
		if got := m.one(ip); got == top {
			t.Errorf("%s took the address back", top)
		}
		m.flush(false, top)
		m.proxyIs(top, proxy.Healthy)
		m.until("the address returns", 15*time.Second, func() bool { return slices.Equal(m.owners(ip), []string{top}) })
		if got := m.speakers[top].speaker.Snapshot().Problems; len(got) > 0 {
			t.Errorf("still said: %q", got)
		}
	}, tenAddresses)
}

func (s *Speaker) testedPlaces() []forward.Place {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tested.Places
}

// TestKubeProxiesAreNotAlikeFast: a node whose kube-proxy is a second later than that of another is
// not blamed.
func TestKubeProxiesAreNotAlikeFast(t *testing.T) {
	lab(t, func(m *model) {
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		m.pass(time.Minute)
		top := m.one(ip)
		for range 3 {
			m.serve("web", "n2")
			m.flush(true, top)
			m.pass(2 * time.Second)
			m.flush(false, top)
			m.pass(10 * time.Second)
			m.serve("web", "n3")
			m.pass(10 * time.Second)
		}
		for _, name := range []string{"n1", "n2", "n3"} {
			if got := values(t, m.speakers[name].registry)["starling_member_forwarding_failures_total"]; got != 0 {
				t.Errorf("%s has blamed %v times", name, got)
			}
		}
	}, tenAddresses)
}

// TestPlaces: which addresses testers ask for.
func TestPlaces(t *testing.T) {
	for name, tc := range map[string]struct {
		edit func(*watcher.Service)
		want []forward.Place
	}{
		"policy Cluster":        {nil, []forward.Place{{At: netip.MustParseAddrPort("198.18.64.1:80")}}},
		"policy Local":          {local, []forward.Place{{At: netip.MustParseAddrPort("198.18.64.1:80"), Local: []string{"n1", "n2"}}}},
		"the first TCP port":    {func(s *watcher.Service) { s.Ports = []string{"SCTP/1", "TCP/443", "TCP/80", "UDP/53"} }, []forward.Place{{At: netip.MustParseAddrPort("198.18.64.1:443")}}},
		"UDP alone":             {func(s *watcher.Service) { s.Ports = []string{"UDP/53"} }, []forward.Place{}},
		"our network is let in": {func(s *watcher.Service) { s.SourceRanges = []string{"203.0.113.0/24", " 198.18.0.0/15 "} }, []forward.Place{{At: netip.MustParseAddrPort("198.18.64.1:80")}}},
		"a part of it is":       {func(s *watcher.Service) { s.SourceRanges = []string{"198.18.0.0/24"} }, []forward.Place{}},
		"no range is one":       {func(s *watcher.Service) { s.SourceRanges = []string{"anybody"} }, []forward.Place{}},
	} {
		t.Run(name, func(t *testing.T) {
			lab(t, func(m *model) {
				m.create("web", tc.edit, "n1", "n2")
				m.bound("web")
				m.pass(placeRest / 2)
				s := m.speakers["n1"].speaker
				if young := s.testedPlaces(); len(young) > 0 {
					t.Errorf("asked for what has just changed: %v", young)
				}
				m.pass(placeRest)
				for i := range tc.want {
					tc.want[i].Owner = s.Snapshot().VIPs[0].Owner
				}
				compare := cmpopts.EquateComparable(netip.AddrPort{})
				if diff := cmp.Diff(tc.want, s.testedPlaces(), compare); diff != "" {
					t.Errorf("places (-want +got):\n%s", diff)
				}
			}, tenAddresses)
		})
	}
}

// TestFewPlaces: of many addresses some of each owner are asked for.
func TestFewPlaces(t *testing.T) {
	lab(t, func(m *model) {
		for i := range 30 {
			m.create("web-"+string(rune('a'+i%26))+string(rune('a'+i/26)), nil, "n1", "n2", "n3")
		}
		m.pass(time.Minute)
		s := m.speakers["n1"].speaker
		s.mu.Lock()
		defer s.mu.Unlock()
		of := map[string]int{}
		for _, p := range s.tested.Places {
			of[p.Owner]++
		}
		if len(of) != 3 || of["n1"] != forward.MaxPlaces || of["n2"] != forward.MaxPlaces || of["n3"] != forward.MaxPlaces {
			t.Errorf("places by owner: %v", of)
		}
	}, "default=198.18.64.0/24")
}
