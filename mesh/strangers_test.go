package mesh

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/starling-lb/starling/health"
)

func keyOf(b byte) []byte { return bytes.Repeat([]byte{b}, keyBytes) }

// rejected is how much a member has counted of a kind.
func rejected(n *node, k kind) float64 {
	return testutil.ToFloat64(n.metrics.rejected.WithLabelValues(string(k)))
}

// These tests hold memberlist's words: see saysNoKey and its neighbors.

func TestWrongKeyIsNamed(t *testing.T) {
	inWorld(t, func(w *world) {
		w.tune = func(c *Config) {
			c.Keys = [][]byte{keyOf(1)}
			if c.Name == "n3" {
				c.Keys = [][]byte{keyOf(3)}
			}
		}
		w.seed(addrNos(1, 3)...)
		n1, n2, n3 := w.start("n1", 1), w.start("n2", 2), w.start("n3", 3)
		w.within(5*time.Second, "good ones settle", func() bool { return n1.Settled() && n2.Settled() })
		time.Sleep(30 * time.Second)

		if got, want := n1.view(), "n1 alive n2 alive"; got != want {
			t.Errorf("n1 sees %q, want %q", got, want)
		}
		if got, want := n3.view(), "n3 alive"; got != want {
			t.Errorf("n3 sees %q, want %q", got, want)
		}
		if n3.Settled() {
			t.Error("the one with the wrong key takes itself for alone")
		}
		want := []string{"peer 198.18.0.3 uses another gossip key"}
		for _, n := range []*node{n1, n2} {
			if diff := cmp.Diff(want, n.problems()); diff != "" {
				t.Errorf("problems of %s (-want +got):\n%s", n.cfg.Name, diff)
			}
			if diff := cmp.Diff([]health.Condition{health.New(health.GossipKeyMismatch, health.Address("198.18.0.3"), want[0])}, n.Conditions()); diff != "" {
				t.Errorf("conditions of %s (-want +got):\n%s", n.cfg.Name, diff)
			}
			if c := testutil.ToFloat64(n.metrics.rejected.WithLabelValues("key")); c < 10 {
				t.Errorf("%s counted %v rejections in 30 s, want one per attempt", n.cfg.Name, c)
			}
			if c := n.logs.count("gossip problem"); c != 1 {
				t.Errorf("%s logged the trouble %d times, want once:\n%s", n.cfg.Name, c, n.logs)
			}
			if c := n.logs.count("memberlist"); c > 0 {
				t.Errorf("%s logged %d lines of memberlist besides:\n%s", n.cfg.Name, c, n.logs)
			}
		}
		want = []string{"peer 198.18.0.1 uses another gossip key", "peer 198.18.0.2 uses another gossip key"}
		if diff := cmp.Diff(want, n3.problems()); diff != "" {
			t.Errorf("problems of n3 (-want +got):\n%s", diff)
		}

		w.stop("n3")
		time.Sleep(conditionTime + 2*time.Second)
		if p := n1.problems(); len(p) > 0 {
			t.Errorf("problems %q a minute after the stranger went", p)
		}
		if c := n1.logs.count("gossip problem is over"); c != 1 {
			t.Errorf("the end was logged %d times, want once:\n%s", c, n1.logs)
		}
	})
}

func TestKeyFixedEndsTheConditionAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.seed(addrNos(1, 2)...)
		w.tune = func(c *Config) { c.Keys = [][]byte{keyOf(1)} }
		n1 := w.start("n1", 1)
		w.tune = func(c *Config) { c.Keys = [][]byte{keyOf(2)} }
		w.start("n2", 2)
		w.within(3*time.Second, "trouble seen", func() bool { return len(n1.problems()) == 1 })
		w.stop("n2")
		w.tune = func(c *Config) { c.Keys = [][]byte{keyOf(2), keyOf(1)} } // Reads both, speaks with the second.
		w.start("n2", 2)
		time.Sleep(5 * time.Second)
		if n1.state("n2") != "" {
			t.Fatal("joined although n1 lacks the key")
		}
		w.stop("n2")
		w.tune = func(c *Config) { c.Keys = [][]byte{keyOf(1), keyOf(2)} }
		n2 := w.start("n2", 2)
		w.within(5*time.Second, "joined and no trouble left", func() bool {
			return n1.state("n2") == Alive && n2.state("n1") == Alive && len(n1.problems()) == 0 && len(n2.problems()) == 0
		})
	})
}

// A key that changes under members that know each other, as a wrong rotation
// does: it shows in datagrams.
func TestWrongKeyInDatagrams(t *testing.T) {
	inWorld(t, func(w *world) {
		w.tune = func(c *Config) { c.Keys = [][]byte{keyOf(1)} }
		nodes := w.cluster(2)
		w.kill("n2")
		w.stop("n2")
		w.net.heal()
		w.tune = func(c *Config) {
			c.Keys = [][]byte{keyOf(2)}
			c.Seeds = nil // It joins nobody, so n1's probes are all there is.
		}
		n2 := w.start("n2", 2)
		w.within(2*time.Second, "datagrams rejected", func() bool {
			return slices.Equal(n2.problems(), []string{"peer 198.18.0.1 uses another gossip key"})
		})
		w.within(5*time.Second, "named on the other side", func() bool {
			return slices.Equal(nodes[0].problems(), []string{"peer 198.18.0.2 uses another gossip key"})
		})
	})
}

func TestOneSideUnencrypted(t *testing.T) {
	inWorld(t, func(w *world) {
		w.seed(addrNos(1, 2)...)
		w.tune = func(c *Config) {
			if c.Name == "n1" {
				c.Keys = [][]byte{keyOf(1)}
			}
		}
		n1, n2 := w.start("n1", 1), w.start("n2", 2)
		w.within(5*time.Second, "named on both sides", func() bool {
			return slices.Contains(n1.problems(), "peer 198.18.0.2 uses another gossip key") &&
				slices.Contains(n2.problems(), "peer 198.18.0.1 uses another gossip key")
		})
		if n1.state("n2") != "" || n2.state("n1") != "" {
			t.Error("an encrypted and a plain member joined")
		}
	})
}

func TestOtherClusterIsNamed(t *testing.T) {
	inWorld(t, func(w *world) {
		w.seed(addrNos(1, 3)...)
		w.tune = func(c *Config) {
			c.Keys = [][]byte{keyOf(1)}
			if c.Name == "n3" {
				c.Label = "another"
			}
		}
		n1, n2, n3 := w.start("n1", 1), w.start("n2", 2), w.start("n3", 3)
		w.within(5*time.Second, "both clusters settle", func() bool { return n1.Settled() && n2.Settled() && n3.Settled() })
		time.Sleep(20 * time.Second)
		if n1.view() != "n1 alive n2 alive" || n3.view() != "n3 alive" {
			t.Errorf("clusters merged: %q, %q", n1.view(), n3.view())
		}
		if p := n1.problems(); !slices.Contains(p, "peer 198.18.0.3 belongs to another cluster") {
			t.Errorf("problems of n1 %q do not name the other cluster", p)
		}
		if p := n3.problems(); !slices.Contains(p, "peer 198.18.0.1 belongs to another cluster") {
			t.Errorf("problems of n3 %q do not name the other cluster", p)
		}
		if c := testutil.ToFloat64(n1.metrics.rejected.WithLabelValues("label")); c < 5 {
			t.Errorf("n1 counted %v packets of the other cluster", c)
		}
		if c := n1.logs.count("\n"); c > 10 {
			t.Errorf("n1 wrote %d lines in 20 s:\n%s", c, n1.logs)
		}
	})
}

// Two clusters on one LAN, each knowing the addresses of both, as a wrong --join
// or a node that changed its cluster makes it, and with or without a common key:
// they stay apart, also when members die and come back, and each names the others.
func TestTwoClustersOnOneLAN(t *testing.T) {
	for name, otherKey := range map[string]byte{"keys of their own": 2, "one key": 1} {
		t.Run(name, func(t *testing.T) { inWorld(t, func(w *world) { twoClusters(t, w, otherKey) }) })
	}
}

func twoClusters(t *testing.T, w *world, otherKey byte) {
	w.seed(addrNos(1, 6)...)
	registries := map[string]*prometheus.Registry{}
	w.tune = func(c *Config) {
		registries[c.Name] = prometheus.NewRegistry()
		c.Registry, c.Keys = registries[c.Name], keysOf(1)
		if c.Name > "n3" {
			c.Label, c.Keys = "another", keysOf(otherKey)
		}
	}
	var nodes []*node
	for i := range 6 {
		nodes = append(nodes, w.start(fmt.Sprintf("n%d", i+1), i+1))
	}
	views := []string{"n1 alive n2 alive n3 alive", "n4 alive n5 alive n6 alive"}
	apart := func() bool {
		for i, n := range nodes {
			if !n.Settled() || n.view() != views[i/3] {
				return false
			}
		}
		return true
	}
	w.within(5*time.Second, "both clusters are whole", apart)
	time.Sleep(30 * time.Second)
	w.stop("n3")
	w.stop("n4")
	nodes[2], nodes[3] = w.start("n3", 3), w.start("n4", 4)
	w.within(10*time.Second, "both are whole again", apart)
	time.Sleep(30 * time.Second)
	if !apart() {
		t.Errorf("n1 sees %q, n6 sees %q", nodes[0].view(), nodes[5].view())
	}
	for i, n := range nodes {
		var others []string
		series := "# HELP starling_mesh_trouble " + conditionHelp + "\n# TYPE starling_mesh_trouble gauge\n"
		for _, at := range addrNos(4-i/3*3, 6-i/3*3) {
			others = append(others, "peer "+at.Addr().String()+" belongs to another cluster")
			series += fmt.Sprintf("starling_mesh_trouble{peer=%q,reason=\"label\"} 1\n", at.Addr())
		}
		if diff := cmp.Diff(others, n.problems()); diff != "" {
			t.Errorf("problems of %s (-want +got):\n%s", n.cfg.Name, diff)
		}
		if err := testutil.GatherAndCompare(registries[n.cfg.Name], strings.NewReader(series), "starling_mesh_trouble"); err != nil {
			t.Errorf("%s: %v", n.cfg.Name, err)
		}
		if rejected(n, kindLabel) < 10 || rejected(n, kindKey) > 0 {
			t.Errorf("%s counted %v of another cluster and %v of another key", n.cfg.Name, rejected(n, kindLabel), rejected(n, kindKey))
		}
	}
}

// Only one side knows the other: it sees a peer that closes its connections.
func TestOtherClusterAsSeed(t *testing.T) {
	inWorld(t, func(w *world) {
		w.tune = func(c *Config) { c.Label = "another" }
		w.seed(addrNo(2))
		w.start("n2", 2)
		time.Sleep(time.Second)
		w.tune = func(*Config) {}
		n1 := w.start("n1", 1)
		w.within(5*time.Second, "named", func() bool {
			return slices.Equal(n1.problems(), []string{"peer 198.18.0.2 takes connections but does not answer as a speaker of this cluster"})
		})
		w.within(5*time.Second, "settled alone", n1.Settled)
	})
}

func TestSameNameTwice(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := w.cluster(3)
		w.seed(append(addrNos(1, 3), addrNo(9))...)
		w.nodes["n3 first"] = w.nodes["n3"]
		twin := w.start("n3", 9)
		want := []string{"two nodes are named n3: 198.18.0.3:7927 and 198.18.0.9:7927"}
		w.within(8*time.Second, "named everywhere", func() bool {
			for _, n := range append([]*node{twin}, nodes...) {
				if !slices.Equal(n.problems(), want) {
					return false
				}
			}
			return true
		})
		time.Sleep(20 * time.Second)
		if twin.Settled() {
			t.Error("the second of the name is settled")
		}
		for _, n := range nodes {
			if got := n.Members()[2]; got.State != Alive || got.Addr != addrNo(3) || !n.Settled() {
				t.Errorf("%s lost the first of the name: %+v, settled %v", n.cfg.Name, got, n.Settled())
			}
		}
	})
}
