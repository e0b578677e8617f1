package mesh

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/health"
)

// sixNo is the IPv6 address of member i, as addrNo is that of IPv4.
func sixNo(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 15: byte(i)}), 7927)
}

// hosts are the addresses of nodes, as Kubernetes has them and as they are, by name.
type hosts map[string][]netip.AddrPort

// joins starts a member on the addresses of its node, the first of which it advertises, and follows
// them.
func (w *world) joins(name string, of hosts) *node {
	w.t.Helper()
	tune := w.tune
	w.tune = func(c *Config) {
		tune(c)
		c.Local = func() []netip.AddrPort { return w.addressesOf(of, name) }
		c.Seeds = func() (out []Seed) {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, node := range slices.Sorted(maps.Keys(of)) {
				for _, a := range of[node] {
					out = append(out, Seed{node, a})
				}
			}
			return out
		}
	}
	n := w.make(name, of[name][0])
	w.tune = tune
	w.run(n)
	return n
}

func (w *world) addressesOf(of hosts, name string) []netip.AddrPort {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(of[name])
}

// allAlive reports whether each of the members sees all of them.
func allAlive(all []*node) bool {
	for _, n := range all {
		if !n.Settled() || n.table.count(Alive) != len(all) {
			return false
		}
	}
	return true
}

// TestFamilies: members meet by any family that both have, whichever each advertises, and stay
// together. Those that have none in common name each other.
func TestFamilies(t *testing.T) {
	for _, tt := range []struct {
		name string
		of   hosts
		far  map[string][]string // who cannot reach whom
	}{
		{"IPv6 first on one", hosts{"n1": {sixNo(1), addrNo(1)}, "n2": {addrNo(2), sixNo(2)}, "n3": {addrNo(3), sixNo(3)}}, nil},
		{"IPv6 first on one, the others without", hosts{"n1": {sixNo(1), addrNo(1)}, "n2": {addrNo(2)}, "n3": {addrNo(3)}}, nil},
		{"one without IPv4", hosts{"n1": {addrNo(1), sixNo(1)}, "n2": {addrNo(2), sixNo(2)}, "n3": {sixNo(3)}}, nil},
		{
			"two that have no family in common, and one with both",
			hosts{"n1": {addrNo(1), sixNo(1)}, "n2": {addrNo(2)}, "n3": {sixNo(3)}},
			map[string][]string{"n2": {"n3"}, "n3": {"n2"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				var all []*node
				for _, name := range slices.Sorted(maps.Keys(tt.of)) {
					all = append(all, w.joins(name, tt.of))
				}
				w.within(5*time.Second, "all see all", func() bool { return allAlive(all) })
				for range 600 {
					time.Sleep(100 * time.Millisecond)
					if !allAlive(all) {
						t.Fatalf("%s sees %s", all[0].cfg.Name, all[0].view())
					}
				}
				for _, n := range all {
					var want []string
					for _, other := range tt.far[n.cfg.Name] {
						want = append(want, "gossip cannot reach node "+other+": it has only ")
					}
					got := n.problems()
					if len(got) != len(want) || len(got) > 0 && !strings.HasPrefix(got[0], want[0]) {
						t.Errorf("%s: problems %q, want %q", n.cfg.Name, got, want)
					}
					for _, m := range n.Members() {
						if far := slices.Contains(tt.far[n.cfg.Name], m.Name); !far && !reaches(tt.of[n.cfg.Name], m.Addr) {
							t.Errorf("%s shows %s at %s, which it cannot reach", n.cfg.Name, m.Name, m.Addr)
						}
					}
				}
			})
		})
	}
}

// TestNoFamilyInCommon: two members alone that cannot meet are not alone in the dark: both say why.
func TestNoFamilyInCommon(t *testing.T) {
	inWorld(t, func(w *world) {
		of := hosts{"n1": {addrNo(1)}, "n2": {sixNo(2)}}
		n1, n2 := w.joins("n1", of), w.joins("n2", of)
		w.within(5*time.Second, "both settle", func() bool { return n1.Settled() && n2.Settled() })
		time.Sleep(2 * time.Minute)
		for n, want := range map[*node]string{
			n1: "gossip cannot reach node n2: it has only IPv6 addresses (2001:db8::2), and this node only IPv4 ones (198.18.0.1)",
			n2: "gossip cannot reach node n1: it has only IPv4 addresses (198.18.0.1), and this node only IPv6 ones (2001:db8::2)",
		} {
			if got := n.problems(); !slices.Equal(got, []string{want}) {
				t.Errorf("%s: %q, want %q", n.cfg.Name, got, want)
			}
			if got := n.Conditions(); len(got) != 1 || got[0].Code != health.GossipNoFamily || got[0].Subject.Kind != health.KindNode {
				t.Errorf("%s: %+v", n.cfg.Name, got)
			}
		}
		w.mu.Lock()
		of["n2"] = append(of["n2"], addrNo(2))
		w.mu.Unlock()
		w.within(10*time.Second, "both meet", func() bool { return allAlive([]*node{n1, n2}) })
		w.within(5*time.Second, "no problem", func() bool { return len(n1.problems())+len(n2.problems()) == 0 })
	})
}

// TestAddressChanges: a node gets another address while its member runs. The others follow it
// within seconds, without taking it for a second node of its name; so do those that come later.
func TestAddressChanges(t *testing.T) {
	for name, tt := range map[string]struct {
		before, after []netip.AddrPort
	}{
		"the only one":           {[]netip.AddrPort{addrNo(1)}, []netip.AddrPort{addrNo(9)}},
		"one of two":             {[]netip.AddrPort{addrNo(1), sixNo(1)}, []netip.AddrPort{addrNo(9), sixNo(1)}},
		"both":                   {[]netip.AddrPort{addrNo(1), sixNo(1)}, []netip.AddrPort{addrNo(9), sixNo(9)}},
		"a family more":          {[]netip.AddrPort{addrNo(1)}, []netip.AddrPort{addrNo(1), sixNo(1)}},
		"another family":         {[]netip.AddrPort{sixNo(1)}, []netip.AddrPort{addrNo(9)}},
		"the first one it knows": {[]netip.AddrPort{sixNo(1), addrNo(1)}, []netip.AddrPort{addrNo(1)}},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				of := hosts{"n1": tt.before, "n2": {addrNo(2), sixNo(2)}, "n3": {addrNo(3), sixNo(3)}, "n4": {addrNo(4), sixNo(4)}}
				all := []*node{w.joins("n1", of), w.joins("n2", of), w.joins("n3", of)}
				w.within(5*time.Second, "all see all", func() bool { return allAlive(all) })
				for _, a := range tt.before {
					if !slices.Contains(tt.after, a) {
						w.net.lose(a)
					}
				}
				time.Sleep(10 * time.Second) // Kubernetes learns of it from kubelet.
				w.mu.Lock()
				of["n1"] = tt.after
				w.mu.Unlock()
				shown := func() bool {
					for _, n := range all {
						for _, m := range n.Members() {
							if m.Name == "n1" && !slices.Contains(tt.after, m.Addr) {
								return false
							}
						}
					}
					return true
				}
				took := w.within(15*time.Second, "all see all again", func() bool { return allAlive(all) && shown() })
				t.Logf("after %v", took)
				all = append(all, w.joins("n4", of))
				w.within(5*time.Second, "one more", func() bool { return allAlive(all) && shown() })
				time.Sleep(time.Minute)
				if !allAlive(all) {
					t.Errorf("later n1 sees %s", all[0].view())
				}
				for _, n := range all {
					if got := n.problems(); len(got) > 0 {
						t.Errorf("%s: problems %q", n.cfg.Name, got)
					}
				}
			})
		})
	}
}

// lose takes an address from its host: what is sent from there or to it gets lost.
func (n *memnet) lose(at netip.AddrPort) {
	n.do(func() {
		for other := range n.ports {
			n.cuts[[2]netip.Addr{at.Addr(), other.Addr()}] = true
			n.cuts[[2]netip.Addr{other.Addr(), at.Addr()}] = true
		}
	})
}

// TestRestartWithAnotherAddress: an address of a member that is not the one it advertises does not
// make it a second node.
func TestRestartWithAnotherAddress(t *testing.T) {
	inWorld(t, func(w *world) {
		of := hosts{"n1": {addrNo(1), sixNo(1)}, "n2": {addrNo(2), sixNo(2)}}
		all := []*node{w.joins("n1", of), w.joins("n2", of)}
		w.within(5*time.Second, "all see all", func() bool { return allAlive(all) })
		w.stop("n1")
		w.mu.Lock()
		slices.Reverse(of["n1"])
		w.mu.Unlock()
		all[0] = w.joins("n1", of)
		w.within(5*time.Second, "all see all", func() bool { return allAlive(all) })
		if got := fmt.Sprint(all[0].problems(), all[1].problems()); got != "[] []" {
			t.Errorf("problems %s", got)
		}
	})
}
