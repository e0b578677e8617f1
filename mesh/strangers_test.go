package mesh

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func keyOf(b byte) []byte { return bytes.Repeat([]byte{b}, keyBytes) }

// rejected is how much a member has counted of a kind.
func rejected(n *node, k kind) float64 {
	return testutil.ToFloat64(n.metrics.rejected.WithLabelValues(string(k)))
}

// These tests hold memberlist's words: see saysNoKey and its neighbours.

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
			if diff := cmp.Diff(want, n.Problems()); diff != "" {
				t.Errorf("problems of %s (-want +got):\n%s", n.cfg.Name, diff)
			}
			if c := testutil.ToFloat64(n.metrics.rejected.WithLabelValues("key")); c < 10 {
				t.Errorf("%s counted %v rejections in 30 s, want one per attempt", n.cfg.Name, c)
			}
			if c := n.logs.count("gossip trouble"); c != 1 {
				t.Errorf("%s logged the trouble %d times, want once:\n%s", n.cfg.Name, c, n.logs)
			}
			if c := n.logs.count("memberlist"); c > 0 {
				t.Errorf("%s logged %d lines of memberlist besides:\n%s", n.cfg.Name, c, n.logs)
			}
		}
		want = []string{"peer 198.18.0.1 uses another gossip key", "peer 198.18.0.2 uses another gossip key"}
		if diff := cmp.Diff(want, n3.Problems()); diff != "" {
			t.Errorf("problems of n3 (-want +got):\n%s", diff)
		}

		w.stop("n3")
		time.Sleep(troubleTime + 2*time.Second)
		if p := n1.Problems(); len(p) > 0 {
			t.Errorf("problems %q a minute after the stranger went", p)
		}
		if c := n1.logs.count("gossip trouble is over"); c != 1 {
			t.Errorf("the end was logged %d times, want once:\n%s", c, n1.logs)
		}
	})
}

func TestKeyMendedEndsTheTroubleAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.seed(addrNos(1, 2)...)
		w.tune = func(c *Config) { c.Keys = [][]byte{keyOf(1)} }
		n1 := w.start("n1", 1)
		w.tune = func(c *Config) { c.Keys = [][]byte{keyOf(2)} }
		w.start("n2", 2)
		w.within(3*time.Second, "trouble seen", func() bool { return len(n1.Problems()) == 1 })
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
			return n1.state("n2") == Alive && n2.state("n1") == Alive && len(n1.Problems()) == 0 && len(n2.Problems()) == 0
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
			return slices.Equal(n2.Problems(), []string{"peer 198.18.0.1 uses another gossip key"})
		})
		w.within(5*time.Second, "named on the other side", func() bool {
			return slices.Equal(nodes[0].Problems(), []string{"peer 198.18.0.2 uses another gossip key"})
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
			return slices.Contains(n1.Problems(), "peer 198.18.0.2 uses another gossip key") &&
				slices.Contains(n2.Problems(), "peer 198.18.0.1 uses another gossip key")
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
		if p := n1.Problems(); !slices.Contains(p, "peer 198.18.0.3 belongs to another cluster") {
			t.Errorf("problems of n1 %q do not name the other cluster", p)
		}
		if p := n3.Problems(); !slices.Contains(p, "peer 198.18.0.1 belongs to another cluster") {
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
			return slices.Equal(n1.Problems(), []string{"peer 198.18.0.2 takes connections but does not answer as a speaker of this cluster"})
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
				if !slices.Equal(n.Problems(), want) {
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
