package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/starling-lb/starling/e2e/chaos"
	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

// swift is how long a take-over may last whose cause the announcer has told to all the others
// itself.
const swift = 300 * time.Millisecond

// second gives all nodes an interface on the second segment until the test ends, and returns the
// client's.
func second(t *testing.T) *cluster.Host {
	t.Helper()
	allReady(t)
	client, err := shared.AddSecond()
	t.Cleanup(func() {
		if err := shared.RemoveSecond(); err != nil {
			t.Error(err)
		}
		on(context.WithoutCancel(t.Context()), t)
	})
	if err != nil {
		t.Fatal(err)
	}
	on(t.Context(), t, shared.Nodes...)
	return client
}

// on waits until all speakers know that these nodes are on the second segment, and no others.
func on(ctx context.Context, t *testing.T, nodes ...*cluster.Node) {
	t.Helper()
	err := cluster.Until(ctx, 15*time.Second, "nodes on "+cluster.SecondSegment, func(ctx context.Context) error {
		for _, n := range shared.Nodes {
			s, err := starling.StatusOf(ctx, shared, n)
			if err != nil {
				return err
			}
			for _, m := range s.Members {
				want := slices.Contains(nodes, shared.Node(m.Name))
				if slices.Contains(m.Segments, cluster.SecondSegment) != want {
					return fmt.Errorf("%s sees %s on %v", n.Name, m.Name, m.Segments)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestSecondLinkLost: the announcer loses the interface that the address is announced on, and
// gossip goes on by the other one. Others announce at once, never two at a time, and all is as
// before when the interface is back. An address on the other interface stays where it is.
func TestSecondLinkLost(t *testing.T) {
	s := &watched{watcher: watchAt(t, second(t)), ip: expose(t, "aside", annotate("address-pool", aside))}
	s.owner = owner(t, s.watcher, s.ip)
	elsewhere, wire := expose(t, "elsewhere"), watch(t)
	before := owner(t, wire, elsewhere)
	if err := workload.Programmed(t.Context(), shared, s.ip); err != nil {
		t.Fatal(err)
	}
	link := s.owner.Second
	for _, tt := range []struct {
		name       string
		lose, mend func() error
	}{
		{"carrier", link.Unplug, link.Plug},
		{"interface", link.Pull, link.Insert},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.client = ask(t, "udp", s.ip)
			double := doubles(t, s)
			lost := time.Now()
			if err := tt.lose(); err != nil {
				t.Fatal(err)
			}
			next := s.moved(t)
			took := s.claimedBy(t, next.Second, lost)
			t.Logf("%s announced %v after %s of %s was lost", next.Name, took.Round(time.Millisecond), tt.name, s.owner.Name)
			if took > swift {
				t.Errorf("%s announced after %v, more than %v", next.Name, took, swift)
			}
			s.served(t, tt.name+" of "+s.owner.Name+" lost", swift)

			on(t.Context(), t, allBut(s.owner)...)
			s.client = ask(t, "udp", s.ip)
			if err := tt.mend(); err != nil {
				t.Fatal(err)
			}
			s.returned(t)
			on(t.Context(), t, shared.Nodes...)
			settled(t, s.watcher, s.ip)
			s.undisturbed(t, tt.name+" of "+s.owner.Name+" is back")
			if longest := double(); longest > chaos.MaxDouble {
				t.Errorf("two nodes answered for %v", longest)
			}
		})
	}
	t.Run("renamed", func(t *testing.T) {
		if err := link.Rename(t.Context(), "lan1"); err != nil {
			t.Fatal(err)
		}
		s.returned(t)
		settled(t, s.watcher, s.ip)
	})
	for _, claim := range wire.Claims(elsewhere) {
		if claim.MAC != before.MAC.String() {
			t.Errorf("%s claimed %s, which is on the other segment", claim.MAC, elsewhere)
		}
	}
}

// TestNamedInterfaces: a pool names interfaces on two segments. An address of the first one is
// answered on both, each time by the interface that is there, of one node.
func TestNamedInterfaces(t *testing.T) {
	other := watchAt(t, second(t))
	configure(t, fmt.Sprintf("pools:\n- name: default\n  ranges: [%s, %s]\n  interfaces: [eth0, eth1]\n", cluster.Pool4, cluster.Pool6))
	ip := expose(t, "named")
	here := watch(t)
	n := owner(t, here, ip)
	until(t, 15*time.Second, "answers on both segments", func(ctx context.Context) error {
		for w, mac := range map[*probe.Watcher]string{here: n.MAC.String(), other: n.Second.MAC.String()} {
			macs, err := w.Who(ctx, 50*time.Millisecond, ip)
			if err != nil || !slices.Equal(macs, []string{mac}) {
				return fmt.Errorf("%v answer, want %s: %w", macs, mac, err)
			}
		}
		return nil
	})
	settled(t, here, ip)
	settled(t, other, ip)
	reach(t, "tcp", ip)
}

// doubles looks for more than one answer until its result is asked for: the longest time there was
// one.
func doubles(t *testing.T, s *watched) func() time.Duration {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	found := make(chan time.Duration, 1)
	go func() { found <- chaos.Doubles(ctx, s.watcher, s.ip) }()
	return func() time.Duration {
		stop()
		return <-found
	}
}
