package mesh

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/starling-lb/starling/health"
)

// names are the Nodes that Kubernetes has, as far as is known.
type names struct {
	mu  sync.Mutex // Guards all.
	all map[string]bool
}

func (n *names) have(all ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = map[string]bool{}
	for _, name := range all {
		n.all[name] = true
	}
}

func (n *names) admit(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.all[name]
}

// noNode are the words of what a member says of others without a Node.
func noNode(m *Mesh) (words []string) {
	for _, c := range m.Conditions() {
		if c.Code == health.MemberWithoutNode {
			words = append(words, c.Words)
		}
	}
	return words
}

// TestStrangerWithKey: who has the key and no Node comes in nowhere, and is told of until a minute
// after its last word.
func TestStrangerWithKey(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := &names{}
		nodes.have("n1", "n2", "n3")
		w.tune = func(c *Config) { c.Keys, c.Admit = [][]byte{keyOf(1)}, nodes.admit }
		all := w.cluster(3)
		x := w.start("x", 9)
		w.within(5*time.Second, "x sees all", func() bool { return x.table.count(Alive) == 4 })
		time.Sleep(20 * time.Second)
		for _, n := range all {
			if got, want := n.view(), "n1 alive n2 alive n3 alive"; got != want {
				t.Errorf("%s sees %q, want %q", n.cfg.Name, got, want)
			}
			if diff := cmp.Diff([]string{"x is heard by gossip, and Kubernetes has no Node of that name"}, noNode(n.Mesh)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", n.cfg.Name, diff)
			}
			if rejected(n, kindNoNode) == 0 {
				t.Errorf("%s counted nothing", n.cfg.Name)
			}
			if c := n.logs.count("memberlist"); c > 0 {
				t.Errorf("%s logged %d lines:\n%s", n.cfg.Name, c, n.logs)
			}
		}
		w.stop("x")
		time.Sleep(conditionTime + 2*time.Second)
		if got := noNode(all[0].Mesh); len(got) > 0 {
			t.Errorf("told a minute after it went: %q", got)
		}
	})
}

// TestNodeIsLate: the Node of a member that joins is known before, as it should be, or reaches the
// others later.
func TestNodeIsLate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		late  time.Duration
		limit time.Duration // From when the Node is known, or the start.
	}{
		{"known before", 0, 700 * time.Millisecond},
		{"0.1 s late", 100 * time.Millisecond, 2 * time.Second},
		{"10 s late", 10 * time.Second, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				nodes, four := &names{}, []string{"n1", "n2", "n3", "n4"}
				nodes.have(four[:3]...)
				w.tune = func(c *Config) { c.Admit = nodes.admit }
				all := w.cluster(3)
				time.Sleep(3*time.Second + 300*time.Millisecond)
				if tt.late == 0 {
					nodes.have(four...)
				}
				n4 := w.start("n4", 4)
				time.Sleep(tt.late)
				if got := rejected(all[0], kindNoNode) > 0; got != (tt.late > 0) {
					t.Errorf("refused: %v", got)
				}
				nodes.have(four...)
				took := w.within(tt.limit, "all see n4", func() bool {
					for _, n := range append(all, n4) {
						if n.table.count(Alive) != 4 {
							return false
						}
					}
					return true
				})
				t.Logf("after %v", took)
				for _, n := range all {
					if got := noNode(n.Mesh); len(got) > 0 {
						t.Errorf("%s tells %q", n.cfg.Name, got)
					}
				}
			})
		})
	}
}

// TestNodesComeLate: members that start before they know any Node know each other as soon as they
// do.
func TestNodesComeLate(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := &names{}
		w.tune = func(c *Config) {
			c.Admit = nodes.admit
			listed := c.Seeds
			c.Seeds = func() []Seed { // As Nodes are, which are the seeds.
				if nodes.admit("n1") {
					return listed()
				}
				return nil
			}
		}
		var all []*node
		w.seed(addrNos(1, 9)...)
		for i := range 9 {
			all = append(all, w.start(fmt.Sprintf("n%d", i+1), i+1))
		}
		time.Sleep(1500 * time.Millisecond)
		nodes.have("n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9")
		took := w.within(2*time.Second, "all see all", func() bool {
			for _, n := range all {
				if n.table.count(Alive) != 9 || !n.Settled() {
					return false
				}
			}
			return true
		})
		t.Logf("after %v", took)
	})
}

// TestNodeGoes: a member whose Node goes stays in, is told of, and comes back if it stopped for a
// moment.
func TestNodeGoes(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := &names{}
		nodes.have("n1", "n2", "n3")
		w.tune = func(c *Config) { c.Admit = nodes.admit }
		all := w.cluster(3)
		nodes.have("n1", "n2")
		w.net.freeze(all[2].at.Addr(), 250*time.Millisecond)
		time.Sleep(10 * time.Second)
		if got := all[0].state("n3"); got != Alive {
			t.Errorf("n3 is %s", got)
		}
		if diff := cmp.Diff([]string{"n3 is heard by gossip, and Kubernetes has no Node of that name"}, noNode(all[0].Mesh)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestManyRefusals: what is remembered of refused members is bounded, and cannot be read as
// anything but names.
func TestManyRefusals(t *testing.T) {
	t.Parallel()
	nodes := &names{}
	nodes.have("n1")
	m, err := New(Config{Name: "n1", Bind: addrNo(1), Admit: nodes.admit})
	if err != nil {
		t.Fatal(err)
	}
	alive := func(i int, name string) error {
		n := testNode(i, Meta{})
		n.Name = name
		return delegate{m}.NotifyAlive(n)
	}
	for i, name := range []string{"\x1b[2Jz", strings.Repeat("z", 1000)} {
		if err := alive(i, name); err == nil {
			t.Errorf("%q is admitted", name)
		}
	}
	want := []string{`"\x1b[2Jz", ` + strings.Repeat("z", nameMost) + " are heard by gossip, and Kubernetes has no Node of those names"}
	if diff := cmp.Diff(want, noNode(m)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i := range 2 * refusalsMost {
		if err := alive(i, fmt.Sprintf("x%d", i)); err == nil {
			t.Fatalf("x%d is admitted", i)
		}
	}
	if err := alive(1, "n1"); err != nil {
		t.Error(err)
	}
	if got := len(m.refusals.names()); got != refusalsMost {
		t.Errorf("%d are remembered", got)
	}
	if got, want := testutil.ToFloat64(m.metrics.rejected.WithLabelValues("no-node")), float64(2*refusalsMost+2); got != want {
		t.Errorf("%v are counted, want %v", got, want)
	}
	nodes.have("n1", "x7")
	if diff := cmp.Diff([]netip.AddrPort{addrNo(7)}, m.welcome(), cmpPrefix()); diff != "" {
		t.Errorf("to be asked again (-want +got):\n%s", diff)
	}
	if got := m.refusals.expire(time.Now().Add(conditionTime)); got != refusalsMost-1 || len(noNode(m)) > 0 {
		t.Errorf("%d are forgotten, told is %q", got, noNode(m))
	}
}
