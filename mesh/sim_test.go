package mesh

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestJoin(t *testing.T) {
	inWorld(t, func(w *world) {
		begin := time.Now()
		nodes := w.cluster(5)
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("five members that boot at once took %v to settle", took)
		}
		for _, n := range nodes {
			if got, want := n.view(), "n1 alive n2 alive n3 alive n4 alive n5 alive"; got != want {
				t.Errorf("%s sees %q, want %q", n.cfg.Name, got, want)
			}
			for i, m := range n.Members() {
				if m.Addr != addrNo(i+1) || m.Since.Before(begin) {
					t.Errorf("%s sees %s at %s since %s", n.cfg.Name, m.Name, m.Addr, m.Since)
				}
			}
			if p := n.problems(); len(p) > 0 {
				t.Errorf("%s has problems %q", n.cfg.Name, p)
			}
		}
	})
}

// Ten deaths each, at random moments. The lower bounds are what a process
// may be stopped for without being declared dead.
func TestSilentDeath(t *testing.T) {
	tests := []struct {
		detection           Detection
		members             int
		least, middle, most time.Duration
	}{
		{Fast, 2, 300 * time.Millisecond, 500 * time.Millisecond, 600 * time.Millisecond},
		{Fast, 3, 300 * time.Millisecond, 500 * time.Millisecond, 700 * time.Millisecond},
		{Fast, 5, 300 * time.Millisecond, 500 * time.Millisecond, 900 * time.Millisecond},
		{Default, 2, 400 * time.Millisecond, 600 * time.Millisecond, 700 * time.Millisecond},
		{Default, 3, 400 * time.Millisecond, 600 * time.Millisecond, 800 * time.Millisecond},
		{Default, 5, 400 * time.Millisecond, 600 * time.Millisecond, 900 * time.Millisecond},
		{Default, 10, 400 * time.Millisecond, 650 * time.Millisecond, 1100 * time.Millisecond},
		{Calm, 3, 5 * time.Second, 7 * time.Second, 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s/%d", tt.detection, tt.members), func(t *testing.T) {
			var took []time.Duration
			for range 10 {
				inWorld(t, func(w *world) {
					w.tune = func(c *Config) { c.Detection = tt.detection }
					nodes := w.cluster(tt.members)
					time.Sleep(rand.N(2 * time.Second))
					w.kill("n1")
					took = append(took, w.within(time.Minute, "death seen by all", func() bool { return allSee(nodes[1:], "n1", Dead) }))
				})
			}
			slices.Sort(took)
			if took[0] < tt.least-time.Millisecond || took[5] > tt.middle || took[9] > tt.most {
				t.Errorf("took %v, want at least %v, median at most %v, worst at most %v", took, tt.least, tt.middle, tt.most)
			}
		})
	}
}

func allSee(nodes []*node, name string, s State) bool {
	for _, n := range nodes {
		if n.state(name) != s {
			return false
		}
	}
	return true
}

// Nobody confirms what a node suspects that was cut off from all others.
func TestCutOffNodeNotices(t *testing.T) {
	var took []time.Duration
	for range 10 {
		inWorld(t, func(w *world) {
			nodes := w.cluster(5)
			time.Sleep(rand.N(time.Second))
			w.kill("n1")
			took = append(took, w.within(10*time.Second, "n1 sees nobody", func() bool { return nodes[0].table.count(Alive) == 1 }))
		})
	}
	slices.Sort(took)
	if took[5] > 3800*time.Millisecond || took[9] > 4600*time.Millisecond {
		t.Errorf("took %v, want a median of at most 3.8s, and at most 4.6s", took)
	}
	t.Log("a node that was cut off declared all others dead after", took)
}

func TestHalfDiesTogether(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := w.cluster(6)
		for _, name := range []string{"n1", "n2", "n3"} {
			w.kill(name)
		}
		took := w.within(1500*time.Millisecond, "three deaths seen", func() bool {
			return allSee(nodes[3:], "n1", Dead) && allSee(nodes[3:], "n2", Dead) && allSee(nodes[3:], "n3", Dead)
		})
		t.Log("half of six seen dead by the others after", took)
	})
}

func TestPartitionHeals(t *testing.T) {
	for _, apart := range []time.Duration{5 * time.Second, 45 * time.Second} { // Remembered, and forgotten.
		t.Run(apart.String(), func(t *testing.T) {
			inWorld(t, func(w *world) {
				nodes := w.cluster(6)
				a, b := nodes[:3], nodes[3:]
				w.net.split(addrsOf(a), addrsOf(b))
				w.within(3*time.Second, "halves see each other dead", func() bool {
					return allView(a, "n1 alive n2 alive n3 alive n4 dead n5 dead n6 dead") &&
						allView(b, "n1 dead n2 dead n3 dead n4 alive n5 alive n6 alive")
				})
				time.Sleep(apart)
				w.net.heal()
				w.within(6*time.Second, "all see all again", func() bool {
					return allView(nodes, "n1 alive n2 alive n3 alive n4 alive n5 alive n6 alive")
				})
				for _, n := range nodes {
					if !n.Settled() {
						t.Errorf("%s is no longer settled", n.cfg.Name)
					}
				}
			})
		})
	}
}

func allView(nodes []*node, want string) bool {
	for _, n := range nodes {
		if n.view() != want {
			return false
		}
	}
	return true
}

func TestForgottenMemberIsFound(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := w.cluster(2)
		w.kill("n2")
		time.Sleep(keepGone + 5*time.Second)
		for i, want := range []string{"n1 alive", "n2 alive"} {
			if got := nodes[i].view(); got != want {
				t.Fatalf("after five minutes a node sees %q, want %q", got, want)
			}
		}
		w.net.heal()
		took := w.within(5*time.Second, "found again", func() bool { return allView(nodes, "n1 alive n2 alive") })
		t.Log("found again after", took)
	})
}

func TestMetaReachesAll(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := w.cluster(5)
		time.Sleep(10 * time.Second)
		meta := Meta{Ready: true, Version: "v1", Config: 42, APIAge: time.Minute, Segments: prefixes("198.18.0.0/15")}
		nodes[2].SetMeta(meta)
		if diff := cmp.Diff(meta, nodes[2].Members()[2].Meta, cmpPrefix()); diff != "" {
			t.Errorf("own metadata are not shown at once (-want +got):\n%s", diff)
		}
		seen := func(want Meta) func() bool {
			return func() bool {
				for _, n := range nodes {
					if !cmp.Equal(want, n.Members()[2].Meta, cmpPrefix()) {
						return false
					}
				}
				return true
			}
		}
		took := w.within(200*time.Millisecond, "metadata seen by all", seen(meta))
		meta.Draining = true
		nodes[2].SetMeta(meta)
		again := w.within(200*time.Millisecond, "second metadata seen by all", seen(meta))
		t.Log("metadata reached all after", took, again)
	})
}

func TestLeaveIsNotDeath(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := w.cluster(5)
		w.stop("n2")
		w.within(200*time.Millisecond, "leave seen by all", func() bool {
			return allSee([]*node{nodes[0], nodes[2], nodes[3], nodes[4]}, "n2", Left)
		})
		if c := nodes[0].logs.count("member dead") + nodes[4].logs.count("member dead"); c > 0 {
			t.Errorf("%d times it was taken for dead first", c)
		}
		if got := nodes[1].state("n2"); got != Left {
			t.Errorf("the one who left sees itself %s", got)
		}
		time.Sleep(10 * time.Second)
		if got := nodes[0].state("n2"); got != Left {
			t.Errorf("some time later the member is %q, want it shown as left", got)
		}
		w.start("n2", 2)
		w.within(3*time.Second, "returned", func() bool { return allSee(nodes[2:], "n2", Alive) })
	})
}

func TestQuickRestart(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := w.cluster(3)
		old := w.nodes["n3"]
		old.SetMeta(Meta{Ready: true, Version: "old"})
		time.Sleep(time.Second)
		// As SIGKILL does: no goodbye, and the kernel closes the port.
		w.net.mu.Lock()
		port := w.net.ports[old.at]
		w.net.mu.Unlock()
		if err := port.Shutdown(); err != nil {
			t.Fatal(err)
		}
		old.end()
		delete(w.nodes, "n3")
		n := w.make("n3", addrNo(3))
		n.SetMeta(Meta{Version: "new"})
		w.run(n)
		w.within(3*time.Second, "new metadata seen", func() bool {
			return nodes[0].state("n3") == Alive && nodes[0].Members()[2].Meta.Version == "new" &&
				nodes[1].Members()[2].Meta.Version == "new" && n.Settled()
		})
		if err := <-old.done; err != nil {
			t.Error(err)
		}
	})
}

func TestOneWayCut(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := w.cluster(3)
		w.net.cut(nodes[0].at.Addr(), nodes[1].at.Addr())
		time.Sleep(20 * time.Second)
		for _, n := range nodes {
			if c := n.logs.count("member dead"); c > 0 {
				t.Errorf("%s saw %d deaths although the third member reaches both", n.cfg.Name, c)
			}
		}
		w.net.cut(nodes[0].at.Addr(), nodes[2].at.Addr()) // Now n1 hears and cannot speak.
		w.within(3*time.Second, "mute member declared dead", func() bool { return allSee(nodes[1:], "n1", Dead) })
		w.net.heal()
		w.within(6*time.Second, "all see all again", func() bool { return allView(nodes, "n1 alive n2 alive n3 alive") })
	})
}

func TestLossIsNoDeath(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := w.cluster(5)
		w.net.do(func() { w.net.loss = 0.1 })
		time.Sleep(40 * time.Second)
		for _, n := range nodes {
			if c := n.logs.count("member dead"); c > 0 {
				t.Errorf("%s saw %d deaths with a tenth of the datagrams lost", n.cfg.Name, c)
			}
		}
	})
}

// A process that is stopped answers late, all at once.
func TestFreezeIsNoDeath(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := w.cluster(4)
		for range 10 {
			time.Sleep(3*time.Second + rand.N(2*time.Second))
			w.net.freeze(nodes[0].at.Addr(), 300*time.Millisecond)
		}
		time.Sleep(5 * time.Second)
		for _, n := range nodes {
			if c := n.logs.count("member dead"); c > 0 {
				t.Errorf("%s saw %d deaths of a member that stopped for 300 ms", n.cfg.Name, c)
			}
		}
	})
}

func TestBlockedUDPIsNamed(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := w.cluster(2)
		w.net.do(func() { w.net.udp = false })
		w.within(3*time.Second, "block named", func() bool {
			return slices.Equal(nodes[0].problems(), []string{"node n2 answers gossip by tcp but not by udp"})
		})
		time.Sleep(20 * time.Second)
		if c := nodes[0].logs.count("member dead"); c > 0 {
			t.Errorf("%d deaths although tcp works", c)
		}
		if c := nodes[0].logs.count("gossip problem"); c != 1 {
			t.Errorf("the block was logged %d times, want once", c)
		}
		w.net.do(func() { w.net.udp = true })
		w.within(2*time.Second, "end of the block noticed", func() bool { return len(nodes[0].problems())+len(nodes[1].problems()) == 0 })
		if c := nodes[0].logs.count("gossip problem is over"); c != 1 {
			t.Errorf("the end was logged %d times, want once", c)
		}
	})
}

// TestBlockedUDPOfTheDead: who does not answer at all has no condition with UDP alone.
func TestBlockedUDPOfTheDead(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := w.cluster(2)
		w.net.do(func() { w.net.udp = false })
		w.within(3*time.Second, "block named", func() bool { return len(nodes[0].problems()) == 1 })
		w.kill("n2")
		w.within(5*time.Second, "end of the words with the member", func() bool {
			return nodes[0].state("n2") == Dead && len(nodes[0].problems()) == 0
		})
	})
}

func TestNewAddress(t *testing.T) {
	inWorld(t, func(w *world) {
		nodes := w.cluster(3)
		w.kill("n3")
		delete(w.nodes, "n3")
		nodes[2].end()
		moved := netip.MustParseAddrPort("198.18.9.9:7927")
		w.seed(addrNo(1), addrNo(2), moved)
		n := w.make("n3", moved)
		w.run(n)
		w.within(12*time.Second, "known by its new address", func() bool {
			return nodes[0].state("n3") == Alive && nodes[0].Members()[2].Addr == moved
		})
		w.within(twinTime+2*time.Second, "settled", n.Settled)
		if err := <-nodes[2].done; err != nil {
			t.Error(err)
		}
	})
}
