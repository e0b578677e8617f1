package speaker

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/elect"
	"github.com/starling-lb/starling/lease"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/owner"
	"github.com/starling-lb/starling/report"
	"github.com/starling-lb/starling/watcher"
)

func compiled(t testing.TB, list ...lease.Pool) *lease.Pools {
	t.Helper()
	p, err := lease.NewPools(list)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func labeled(key, value string) []lease.Selector {
	return []lease.Selector{{MatchLabels: lease.Labels{key: value}}}
}

var edge = lease.Pool{Name: "edge", Ranges: []string{"198.18.64.1-198.18.64.10"}, NodeSelectors: labeled("edge", "yes")}

// configure puts pools in force on all members, or on some.
func (m *model) configure(p *lease.Pools, names ...string) {
	for name := range m.speakers {
		if len(names) == 0 || slices.Contains(names, name) {
			m.set(name, func(b *node) { b.pools = p })
		}
	}
}

// edges labels these nodes and no others.
func (m *model) edges(names ...string) {
	for name := range m.speakers {
		m.setNode(name, func(n *watcher.Node) {
			n.Labels = nil
			if slices.Contains(names, name) {
				n.Labels = map[string]string{"edge": "yes"}
			}
		})
	}
}

// TestNodeSelectors: only the nodes that a pool chooses announce its addresses.
func TestNodeSelectors(t *testing.T) {
	lab(t, func(m *model) {
		m.configure(compiled(t, edge))
		m.edges("n1", "n3")
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		first := m.one(ip)
		if first == "n2" {
			t.Errorf("%s announces, which is no edge", first)
		}
		rest := map[string]string{"n1": "n3", "n3": "n1"}[first]
		if gap, _ := m.during(ip, func() { m.edges(rest); m.pass(5 * time.Second) }); gap > 0 || m.one(ip) != rest {
			t.Errorf("%s announces after %s lost its label, with a gap of %s; want %s", m.one(ip), first, gap, rest)
		}
		snap := m.speakers["n2"].speaker.Snapshot()
		if want := `the only one eligible by the node selectors of pool "edge"`; snap.VIPs[0].Reason != want {
			t.Errorf("reason %q, want %q", snap.VIPs[0].Reason, want)
		}
		m.edges()
		m.pass(ownerlessFor + time.Second)
		want := []string{`web: no node may announce ` + ip + `: no ready node matches the node selectors of pool "edge": ` + "`starling who " + ip + "` says why not for each node"}
		if diff := cmp.Diff(want, m.told("NoEligibleNode")); diff != "" || len(m.owners(ip)) > 0 {
			t.Errorf("%v announce; events (-want +got):\n%s", m.owners(ip), diff)
		}
		m.edges("n2")
		if got := m.one(ip); got != "n2" {
			t.Errorf("%s announces, want n2", got)
		}
	})
}

// TestNodeSelectorsInEvents: the event of a new address names a node that may announce it.
func TestNodeSelectorsInEvents(t *testing.T) {
	for _, only := range []string{"n1", "n2", "n3"} {
		t.Run(only, func(t *testing.T) {
			lab(t, func(m *model) {
				m.configure(compiled(t, edge))
				m.edges(only)
				m.create("web", nil, "n1", "n2", "n3")
				ip := m.bound("web")
				m.pass(time.Second)
				want := []string{"web: " + ip + ` from pool "edge", announced by node ` + only}
				if diff := cmp.Diff(want, m.told("IPAllocated")); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestNodeSelectorsChangeTogether: while a change of the configuration spreads, all
// elect by the rules that they last agreed on: nobody falls silent before the
// successor speaks, and there are never two.
func TestNodeSelectorsChangeTogether(t *testing.T) {
	next := edge
	next.NodeSelectors = labeled("edge", "no")
	for _, order := range [][]string{{"n1", "n2", "n3"}, {"n3", "n2", "n1"}, {"n2", "n1", "n3"}} {
		t.Run(strings.Join(order, " "), func(t *testing.T) {
			lab(t, func(m *model) {
				m.configure(compiled(t, edge))
				m.edges("n1")
				m.setNode("n2", func(n *watcher.Node) { n.Labels = map[string]string{"edge": "no"} })
				m.create("web", nil, "n1", "n2", "n3")
				ip := m.bound("web")
				if got := m.one(ip); got != "n1" {
					t.Fatalf("%s announces, want n1", got)
				}
				changed := compiled(t, next)
				gap, _ := m.during(ip, func() {
					for i, name := range order {
						m.configure(changed, name)
						m.pass(40 * time.Second)
						if want := []string{"n1", "n1", "n2"}[i]; m.one(ip) != want {
							t.Errorf("%s announces after %s read the file, want %s", m.one(ip), name, want)
						}
					}
				})
				if gap > 0 {
					t.Errorf("no answer for %s", gap)
				}
			})
		})
	}
}

// TestDifferentPoolsAreReported: by name, on both sides, and it keeps no node from its work.
func TestDifferentPoolsAreReported(t *testing.T) {
	lab(t, func(m *model) {
		m.configure(compiled(t, edge), "n2")
		m.pass(time.Second)
		for name, want := range map[string]string{
			"n1": "other pools or another class are in force on n2 than on n1: ", "n2": "other pools or another class are in force on n1, n3 than on n2: ", "n3": "other pools or another class are in force on n2 than on n3: ",
		} {
			snap := m.speakers[name].speaker.Snapshot()
			if len(snap.Problems) != 1 || !strings.HasPrefix(snap.Problems[0], want) || !snap.Ready {
				t.Errorf("%s is ready: %t, problems %q, want %q", name, snap.Ready, snap.Problems, want)
			}
		}
		m.configure(m.pools, "n2")
		m.pass(time.Second)
		if snap := m.speakers["n1"].speaker.Snapshot(); len(snap.Problems) > 0 {
			t.Errorf("problems %q after all agree", snap.Problems)
		}
	}, tenAddresses)
}

// TestInterfaces: an address stays off the interfaces that its pool does not name, and a node that
// has none of them says so.
func TestInterfaces(t *testing.T) {
	lab(t, func(m *model) {
		m.configure(compiled(t, lease.Pool{Name: "lan", Ranges: []string{"198.18.64.1-198.18.64.10"}, Interfaces: []string{"eth*", "!eth0"}}))
		m.create("web", nil, "n1")
		ip := m.bound("web")
		m.pass(time.Second)
		vip := m.speakers["n1"].speaker.Snapshot().VIPs[0]
		if got := m.owners(ip); len(got) > 0 || vip.Owner != "" || vip.Reason != `no ready node matches the interfaces of pool "lan"` {
			t.Errorf("%v announce on eth0; elected is %q: %s", got, vip.Owner, vip.Reason)
		}
		for _, want := range []string{"n2", "n1", "n3"} {
			for name := range m.speakers {
				m.set(name, func(b *node) {
					b.nics = []string{"eth0"}
					if name == want {
						b.nics = []string{"eth0", "eth1"}
					}
					poke(b.wired)
				})
			}
			m.until("the only node with such an interface announces", 5*time.Second, func() bool { return slices.Equal(m.owners(ip), []string{want}) })
			m.mu.Lock()
			limits := m.speakers[want].limits
			m.mu.Unlock()
			if len(limits) != 1 || !slices.Equal(limits[0].Interfaces, []string{"eth1"}) {
				t.Errorf("limits %v, want eth1", limits)
			}
			if snap := m.speakers[want].speaker.Snapshot(); len(snap.Problems) > 0 || !snap.Ready {
				t.Errorf("ready %t, problems %q", snap.Ready, snap.Problems)
			}
		}
	})
}

// TestNamedInterfaces: the wire is told which interfaces a pool names and which only a pattern of
// it fits.
func TestNamedInterfaces(t *testing.T) {
	for _, tt := range []struct {
		interfaces   []string
		wants, named []string
	}{
		{[]string{"eth0", "eth1"}, []string{"eth0", "eth1"}, []string{"eth0", "eth1"}},
		{[]string{"eth*"}, []string{"eth0", "eth1"}, nil},
		{[]string{"eth*", "eth1"}, []string{"eth0", "eth1"}, []string{"eth1"}},
		{[]string{"eth0", "eth1", "!eth1"}, []string{"eth0"}, []string{"eth0"}},
	} {
		t.Run(strings.Join(tt.interfaces, " "), func(t *testing.T) {
			lab(t, func(m *model) {
				for name := range m.speakers {
					m.set(name, func(b *node) { b.nics = []string{"eth0", "eth1"} })
				}
				m.configure(compiled(t, lease.Pool{Name: "lan", Ranges: []string{"198.18.64.1-198.18.64.10"}, Interfaces: tt.interfaces}))
				m.create("web", nil, "n1", "n2", "n3")
				name := m.one(m.bound("web"))
				m.mu.Lock()
				defer m.mu.Unlock()
				limits := m.speakers[name].limits
				if len(limits) != 1 || !slices.Equal(limits[0].Interfaces, tt.wants) || !slices.Equal(limits[0].Named, tt.named) {
					t.Errorf("limits %+v, want %v, and %v by name", limits, tt.wants, tt.named)
				}
			})
		})
	}
}

// onLayer2 are layer 2 entries of a pool.
func onLayer2(entries ...lease.OnLayer2) (all []lease.Announce) {
	for i := range entries {
		all = append(all, lease.Announce{Layer2: &entries[i]})
	}
	return all
}

// TestEntriesByNode: one node announces a pool by one interface, another by another; of the entries
// that are for a node the interfaces are united.
func TestEntriesByNode(t *testing.T) {
	lab(t, func(m *model) {
		for name := range m.speakers {
			m.set(name, func(b *node) { b.nics = []string{"eth0", "eth1", "eth2"} })
			m.setNode(name, func(n *watcher.Node) { n.Labels = map[string]string{"node": name} })
		}
		m.configure(compiled(t, lease.Pool{Name: "lan", Ranges: []string{"198.18.64.1-198.18.64.10"}, Announce: onLayer2(
			lease.OnLayer2{NodeSelectors: labeled("node", "n1"), Interfaces: []string{"eth0"}},
			lease.OnLayer2{NodeSelectors: labeled("node", "n2"), Interfaces: []string{"eth1"}},
			lease.OnLayer2{NodeSelectors: labeled("node", "n2"), Interfaces: []string{"eth2"}},
		)}))
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		for _, tt := range []struct {
			name, entry string
			interfaces  []string
		}{{"n1", "announce[0]", []string{"eth0"}}, {"n2", "announce[1], announce[2]", []string{"eth1", "eth2"}}} {
			other := map[string]string{"n1": "n2", "n2": "n1"}[tt.name]
			m.set(other, func(b *node) { b.nics = []string{"eth3"}; poke(b.wired) })
			m.set(tt.name, func(b *node) { b.nics = []string{"eth0", "eth1", "eth2"}; poke(b.wired) })
			m.until(tt.name+" announces", 5*time.Second, func() bool { return slices.Equal(m.owners(ip), []string{tt.name}) })
			m.pass(time.Second)
			vip := m.speakers["n3"].speaker.Snapshot().VIPs[0]
			if want := `the only one eligible by announce[0] or announce[1] or announce[2] of pool "lan"`; vip.Reason != want || strings.Join(vip.Entries, ", ") != tt.entry {
				t.Errorf("reason %q, want %q; entries %q, want %s", vip.Reason, want, vip.Entries, tt.entry)
			}
			m.mu.Lock()
			limits := m.speakers[tt.name].limits
			m.mu.Unlock()
			if len(limits) != 1 || !slices.Equal(limits[0].Interfaces, tt.interfaces) || !slices.Equal(limits[0].Named, tt.interfaces) {
				t.Errorf("%s: limits %+v, want %q", tt.name, limits, tt.interfaces)
			}
		}
	})
}

// TestEntriesByService: a Service that no entry is for keeps its address, unannounced, until one
// is.
func TestEntriesByService(t *testing.T) {
	lab(t, func(m *model) {
		m.configure(compiled(t, lease.Pool{Name: "lan", Ranges: []string{"198.18.64.1-198.18.64.10"}, Announce: onLayer2(
			lease.OnLayer2{ServiceSelectors: labeled("app", "web"), NodeSelectors: labeled("edge", "yes")},
			lease.OnLayer2{ServiceSelectors: labeled("app", "mail")},
		)}))
		m.edges("n2")
		m.create("plain", nil, "n1", "n2", "n3")
		m.create("web", func(s *watcher.Service) { s.Labels = "app=web" }, "n1", "n2", "n3")
		plain, web := m.bound("plain"), m.bound("web")
		if got := m.one(web); got != "n2" {
			t.Errorf("%s announces, want n2", got)
		}
		m.pass(ownerlessFor + time.Second)
		want := []string{"plain: no node may announce " + plain + `: no entry of announce of pool "lan" is for its Service: ` + "`starling who " + plain + "` says why not for each node"}
		if diff := cmp.Diff(want, m.told("NoEligibleNode")); diff != "" || len(m.owners(plain)) > 0 {
			t.Errorf("%v announce; events (-want +got):\n%s", m.owners(plain), diff)
		}
		m.edit("plain", func(s *watcher.Service) { s.Labels = "app=mail,tier=a" })
		m.one(plain)
		m.edit("plain", func(s *watcher.Service) { s.Labels = "app=web" })
		m.until("n2 announces", 5*time.Second, func() bool { return slices.Equal(m.owners(plain), []string{"n2"}) })
		if got := m.ip("plain"); got != plain {
			t.Errorf("address %s, had %s", got, plain)
		}
	})
}

// TestByBGPAlone: nobody answers for what is announced by BGP alone, and nothing is wrong with
// that.
func TestByBGPAlone(t *testing.T) {
	lab(t, func(m *model) {
		pools, err := lease.ReadPools(nil, "f", []byte(`
bgp: {asn: 64513, peers: [{name: tor1, address: 198.18.0.254, asn: 64512}]}
pools: [{name: lan, ranges: [198.18.64.1-198.18.64.10], announce: [bgp]}]`))
		if err != nil {
			t.Fatal(err)
		}
		m.configure(pools)
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		m.pass(ownerlessFor + time.Second)
		snap := m.speakers["n1"].speaker.Snapshot()
		if vip := snap.VIPs[0]; vip.Owner != "" || vip.Reason != `pool "lan" announces it by BGP alone` || vip.Todo != "" {
			t.Errorf("%+v", vip)
		}
		if got, want := m.told("IPAllocated"), []string{"web: " + ip + ` from pool "lan", announced by BGP`}; !slices.Equal(got, want) {
			t.Errorf("events %q, want %q", got, want)
		}
		if got := m.told("NoEligibleNode"); len(got)+len(m.owners(ip))+len(snap.Conditions) > 0 {
			t.Errorf("%v announce; events %q, conditions %v", m.owners(ip), got, snap.Conditions)
		}
	})
}

// TestNamespaceLabelsMoveAddresses: the lease protocol learns of a change of a namespace.
func TestNamespaceLabelsMoveAddresses(t *testing.T) {
	lab(t, func(m *model) {
		m.label(map[string]string{"env": "prod"})
		m.configure(compiled(t,
			lease.Pool{Name: "prod", Ranges: []string{"198.18.64.1-198.18.64.10"}, NamespaceSelectors: labeled("env", "prod"), Priority: new(0)},
			lease.Pool{Name: "rest", Ranges: []string{"198.18.65.1-198.18.65.10"}},
		))
		m.create("web", nil, "n1")
		if got := m.bound("web"); got != "198.18.64.1" {
			t.Errorf("address %s", got)
		}
		m.label(map[string]string{"env": "test"})
		m.until("the address moves", 20*time.Second, func() bool { return m.ip("web") == "198.18.65.1" })
		m.label(nil)
		m.pass(time.Minute)
		if got := m.ip("web"); got != "198.18.65.1" {
			t.Errorf("address %s", got)
		}
	})
}

// TestMute: only what this node owns, and only if its pool leaves it no interface.
func TestMute(t *testing.T) {
	w := &world{World: report.World{Self: "n1", Wire: arpd.State{Interfaces: []netif.Interface{{Name: "eth0", Used: true}, {Name: "vlan7"}}}}}
	w.Pools = compiled(t,
		lease.Pool{Name: "here", Ranges: []string{"198.18.64.0/24"}, Interfaces: []string{"eth*"}},
		lease.Pool{Name: "down", Ranges: []string{"198.18.65.0/24"}, Interfaces: []string{"vlan*"}},
		lease.Pool{Name: "gone", Ranges: []string{"198.18.66.0/24"}, Interfaces: []string{"bond0", "bond1"}},
		lease.Pool{Name: "nodes", Ranges: []string{"198.18.67.0/24"}, NodeSelectors: labeled("edge", "yes")},
		lease.Pool{Name: "all", Ranges: []string{"198.18.68.0/24"}},
	)
	s := &Speaker{}
	s.agree(w, 0)
	mine := map[netip.Addr]bool{}
	for _, pool := range w.Pools.List() {
		prefix := netip.MustParsePrefix(pool.Ranges[0])
		ip := prefix.Addr()
		for range 5 {
			ip = ip.Next()
			w.VIPs = append(w.VIPs, lease.VIP{IP: ip, Pool: pool.Name})
			mine[ip] = ip != prefix.Addr().Next() // all but the first
		}
	}
	w.scopes = elect.ScopesOf(w.rules, nil, w.labels)
	var all elect.Elections
	w.elections, _ = all.Begin(elect.Turn{VIPs: w.VIPs, Candidates: owner.New(nil), Scopes: w.scopes, Candidate: func(v lease.VIP) owner.VIP { return owner.VIP{IP: v.IP} }})
	for i := range w.elections {
		w.elections[i] = all.Elect(i)
	}
	want := []string{
		`node n1 uses no interface that matches vlan*: no neighbor learns of 198.18.65.2, 198.18.65.3, 198.18.65.4 and 1 more of pool "down"`,
		`node n1 uses no interface that matches bond0 bond1: no neighbor learns of 198.18.66.2, 198.18.66.3, 198.18.66.4 and 1 more of pool "gone"`,
	}
	if diff := cmp.Diff(want, report.Words(w.mute(mine))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var got [][]string
	for _, l := range w.limits() {
		got = append(got, append([]string{l.VIPs[0].String(), l.VIPs[4].String()}, l.Interfaces...))
	}
	limits := [][]string{{"198.18.64.1", "198.18.64.5", "eth0"}, {"198.18.65.1", "198.18.65.5", "vlan7"}, {"198.18.66.1", "198.18.66.5"}}
	if diff := cmp.Diff(limits, got); diff != "" {
		t.Errorf("limits (-want +got):\n%s", diff)
	}
}

func TestReserved(t *testing.T) {
	ip := netip.MustParseAddr
	w := &world{World: report.World{
		Members: []mesh.Member{{
			Name: "n1", Addr: netip.MustParseAddrPort("198.18.0.1:7927"),
			Meta: mesh.Meta{Segments: []netip.Prefix{netip.MustParsePrefix("198.18.0.0/24"), netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("198.18.1.0/31")}},
		}, {Name: "n2"}},
		Cluster: watcher.State{Nodes: []watcher.Node{{Name: "n3", Addresses: []netip.Addr{ip("198.18.0.3")}, Others: []netip.Addr{ip("203.0.113.3"), ip("2001:db8::3")}}}},
	}}
	reserved := w.reserved()
	for text, want := range map[string]string{
		"198.18.0.0": "the network address of 198.18.0.0/24", "198.18.0.255": "the broadcast address of 198.18.0.0/24",
		"2001:db8::": "the routers' anycast address of 2001:db8::/64",
		"198.18.0.1": "an address of node n1", "198.18.0.3": "an address of node n3", "203.0.113.3": "an address of node n3", "2001:db8::3": "an address of node n3",
		"198.18.0.2": "", "198.18.1.0": "", "198.18.1.1": "", "2001:db8::1": "",
	} {
		if got := reserved(ip(text)); got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}

// TestSpreadStaysWithinScope: addresses spread evenly over the nodes that a pool allows, of each
// pool for itself, and are expected anew when that changes.
func TestSpreadStaysWithinScope(t *testing.T) {
	w := fleet(6)
	w.Pools = compiled(t,
		lease.Pool{Name: "two", Ranges: []string{"198.18.0.0/24"}, NodeSelectors: labeled("edge", "yes")},
		lease.Pool{Name: "all", Ranges: []string{"198.18.1.0/24"}},
	)
	only := func(names ...string) elect.Scopes {
		w.rules = map[string]lease.Scope{}
		w.rules["two"], _ = w.Pools.Scope("two")
		var members []mesh.Member
		for _, name := range names {
			members = append(members, mesh.Member{Name: name})
		}
		return elect.ScopesOf(w.rules, members, func(string) map[string]string { return map[string]string{"edge": "yes"} })
	}
	w.scopes = only("node-2", "node-5")
	var s elect.Spread
	terms := s.Of(w.Candidates, w.Pools, w.scopes)
	v := lease.View{Now: time.Unix(0, 0), Installation: "here", Pools: w.Pools, Spread: terms}
	by := map[string]int{}
	for _, ip := range picks(t, v, 20) {
		by[w.Candidates.Elect(owner.VIP{IP: ip, Serving: true, Scope: w.scopes.Of("two")}).Owner]++
	}
	if diff := cmp.Diff(map[string]int{"node-2": 10, "node-5": 10}, by); diff != "" {
		t.Errorf("addresses by announcer (-want +got):\n%s", diff)
	}
	elsewhere := map[string]bool{}
	for ip := netip.MustParseAddr("198.18.1.0"); ip.Less(netip.MustParseAddr("198.18.2.0")); ip = ip.Next() {
		elsewhere[terms.Announcer(ip)] = true
	}
	if len(elsewhere) != 6 {
		t.Errorf("addresses of the other pool are expected on %v", elsewhere)
	}
	if s.Of(w.Candidates, w.Pools, w.scopes) != terms {
		t.Error("made anew without need")
	}
	for name, change := range map[string]func(){
		"other nodes": func() { w.scopes = only("node-2") },
		"no scope":    func() { w.scopes = nil },
		"other pools": func() { w.Pools = compiled(t, lease.Pool{Name: "all", Ranges: []string{"198.18.0.0/23"}}) },
	} {
		before := s.Of(w.Candidates, w.Pools, w.scopes)
		if change(); s.Of(w.Candidates, w.Pools, w.scopes) == before {
			t.Errorf("%s do not matter", name)
		}
	}
}

// TestRules are equal for equal pools and classes only: speakers compare them.
func TestRules(t *testing.T) {
	one, other := compiled(t, edge), compiled(t, lease.Pool{Name: "all", Ranges: []string{"198.18.0.0/23"}})
	plain, classed := &Speaker{}, &Speaker{cfg: Config{Classes: "example.com/ours"}}
	if plain.rules(one) != (&Speaker{}).rules(compiled(t, edge)) {
		t.Error("the same pools and class differ")
	}
	if plain.rules(one) == plain.rules(other) {
		t.Error("other pools are no other rules")
	}
	if plain.rules(one) == classed.rules(one) {
		t.Error("another class is no other rule")
	}
}

// TestPoolsChangeWhileGossipIsBlocked: nobody knows then who has read the file, so nobody undoes
// what others do.
func TestPoolsChangeWhileGossipIsBlocked(t *testing.T) {
	lab(t, func(m *model) {
		m.configure(compiled(t, lease.Pool{Name: "old", Ranges: []string{"198.18.64.1-198.18.64.10"}}))
		m.create("web", nil, "n1", "n2", "n3")
		ip := m.bound("web")
		between([]string{"n1"}, []string{"n2", "n3"}, m.block)
		m.pass(10 * time.Second)
		writes, next := m.writes, compiled(t, lease.Pool{Name: "new", Ranges: []string{"198.18.65.1-198.18.65.10"}})
		m.configure(next, "n2", "n3")
		m.pass(time.Minute)
		m.configure(next)
		m.pass(time.Minute)
		if m.ip("web") != ip || m.writes > writes {
			t.Errorf("%s after %s, %d writes", m.ip("web"), ip, m.writes-writes)
		}
		between([]string{"n1"}, []string{"n2", "n3"}, m.unblock)
		m.until("web moves", 10*time.Second, func() bool { return m.ip("web") == "198.18.65.1" })
	})
}

// TestLeasesOfOthersAreReported: what Services show that have them is taken away forever, so status
// has to say it. What only their text names is not.
func TestLeasesOfOthersAreReported(t *testing.T) {
	lab(t, func(m *model) {
		m.create("theirs", func(s *watcher.Service) {
			s.Class, s.Ingress = "example.com/other", []string{"198.18.64.1"}
			s.Annotations = [][2]string{{lease.LeaseAnnotation, `{"v":1,"by":"elsewhere","ips":[{"ip":"198.18.64.1","state":"bound"},{"ip":"198.18.64.2"}]}`}}
		})
		m.create("forged", func(s *watcher.Service) {
			s.Type = "ClusterIP"
			s.Annotations = [][2]string{{lease.LeaseAnnotation, `{"v":1,"by":"elsewhere","ips":[{"ip":"198.18.64.2"},{"ip":"198.18.64.3"}]}`}}
		})
		m.pass(time.Second) // Else the claim may cross it on the way, and waits half a minute for it to be given up.
		m.create("ours", nil, "n1")
		if got := m.bound("ours"); got != "198.18.64.2" {
			t.Errorf("got %s, want the first address that no Service shows", got)
		}
		problems := m.speakers["n1"].speaker.Snapshot().Problems
		if len(problems) != 1 || !strings.Contains(problems[0], "default/theirs") || !strings.Contains(problems[0], `"elsewhere"`) {
			t.Errorf("problems %q, want one that names the Service and the installation", problems)
		}
		m.remove("theirs")
		m.pass(time.Second)
		if got := m.speakers["n1"].speaker.Snapshot().Problems; len(got) != 0 {
			t.Errorf("problems %q after it is gone", got)
		}
	}, tenAddresses)
}

// TestNodeWeights: a node of weight 0 announces nothing as long as there is another one, and takes
// over from it; when the weights change, addresses move without a gap.
func TestNodeWeights(t *testing.T) {
	weighed := func(weights ...lease.NodeWeight) *lease.Pools {
		return compiled(t, lease.Pool{Name: "web", Ranges: []string{"198.18.64.1-198.18.64.40"}, NodeWeights: weights})
	}
	lab(t, func(m *model) {
		m.edges("n2")
		m.configure(weighed(lease.NodeWeight{NodeSelectors: []lease.Selector{{MatchExpressions: []lease.Requirement{{Key: "edge", Operator: "DoesNotExist"}}}}, Weight: new(0)}))
		var ips []string
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			m.create(name, nil, "n1", "n2", "n3")
			ips = append(ips, m.bound(name))
		}
		all := func(who string) func() bool {
			return func() bool {
				return !slices.ContainsFunc(ips, func(ip string) bool { return !slices.Equal(m.owners(ip), []string{who}) })
			}
		}
		m.until("the node that weighs most has all", 10*time.Second, all("n2"))
		m.configure(weighed(lease.NodeWeight{NodeSelectors: []lease.Selector{{}}, Weight: new(7)}))
		m.until("equal weights share", 10*time.Second, func() bool { return !all("n2")() && one(m, ips) })
		m.configure(weighed(lease.NodeWeight{NodeSelectors: labeled("edge", "yes"), Weight: new(0)}))
		m.until("weight 0 has none", 10*time.Second, func() bool {
			return one(m, ips) && !slices.ContainsFunc(ips, func(ip string) bool { return slices.Contains(m.owners(ip), "n2") })
		})
		m.speakers["n1"].stop()
		m.dies("n3", time.Second)
		m.until("but when there is nobody else", 20*time.Second, all("n2"))
	})
}

// one reports whether each of the addresses is answered for by one node.
func one(m *model, ips []string) bool {
	return !slices.ContainsFunc(ips, func(ip string) bool { return len(m.owners(ip)) != 1 })
}
