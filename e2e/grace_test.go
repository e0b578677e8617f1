package e2e

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
)

// TestWithoutGrace gives speakers no time to be away: a node whose speaker ends loses its
// addresses.
func TestWithoutGrace(t *testing.T) {
	grace := func(value string) {
		t.Helper()
		set := "daemonset/" + starling.Name
		for _, args := range [][]string{{"set", "env", set, "STARLING_RESTART_GRACE" + value}, {"rollout", "status", "--timeout=3m", set}} {
			if out, err := shared.Kubectl(context.WithoutCancel(t.Context()), "", append([]string{"-n", starling.Namespace}, args...)...); err != nil {
				t.Fatalf("%v: %s", args, out)
			}
		}
	}
	t.Cleanup(func() { grace("-") })
	grace("=0")
	t.Run("killed", killedForGood)
	t.Run("frozen", frozenForGood)
	t.Run("frozen for a moment", frozenForAMoment)
	t.Run("stopped", stopped)
}

// killedForGood ends the announcing process at once. The node still forwards for clients that know
// the way; for others it matters how soon somebody else says that the address is here now.
func killedForGood(t *testing.T) {
	s := watchService(t, "kill", "tcp")
	killed := time.Now()
	if err := s.owner.Signal("starling", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	next := s.moved(t)
	if took := s.claimed(t, next).Sub(killed); took > sudden {
		t.Errorf("%s claimed the address after %v", next.Name, took)
	} else {
		t.Logf("%s claimed the address %v after the speaker of %s was killed", next.Name, took.Round(time.Millisecond), s.owner.Name)
	}
	s.served(t, "speaker killed", sudden)
	s.returned(t)
	allReady(t)
}

// claimed returns when the node first said that it has the address.
func (s *watched) claimed(t *testing.T, n *cluster.Node) time.Time {
	t.Helper()
	for _, c := range s.watcher.Claims(s.ip) {
		if c.MAC == n.MAC.String() {
			return c.At
		}
	}
	t.Fatalf("%s never claimed %s", n.Name, s.ip)
	return time.Time{}
}

// frozenForGood stops the announcing process without ending it, and lets it go on when another has
// taken over: it wakes up believing that nothing has happened.
func frozenForGood(t *testing.T) {
	s := watchService(t, "freeze", "udp")
	thaw := func() error { return s.owner.Signal("starling", syscall.SIGCONT) }
	t.Cleanup(func() {
		if err := thaw(); err != nil {
			t.Error(err)
		}
	})
	if err := s.owner.Signal("starling", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.moved(t)
	if err := thaw(); err != nil {
		t.Fatal(err)
	}
	s.returned(t)
	allReady(t)
	settled(t, s.watcher, s.ip)
	s.served(t, "speaker of "+s.owner.Name+" frozen for a while", sudden)
}

// frozenForAMoment stops the announcing process for longer than gossip bears and for less than the
// others wait for one that has not ended: gossip gives it up, nobody else does, and nobody takes
// its address.
func frozenForAMoment(t *testing.T) {
	const moment = 600 * time.Millisecond
	s := watchService(t, "moment", "tcp")
	t.Cleanup(func() {
		if err := s.owner.Signal("starling", syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	})
	gossip, verdicts := deaths(t, "starling_mesh_deaths_total"), deaths(t, "starling_member_deaths_total")
	begun := time.Now()
	for round := 0; deaths(t, "starling_mesh_deaths_total") == gossip; round++ {
		if round == 5 {
			t.Fatalf("gossip bore %d times that %s was stopped for %v, so this proves nothing", round, s.owner.Name, moment)
		}
		for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
			if err := s.owner.Signal("starling", signal); err != nil {
				t.Fatal(err)
			}
			time.Sleep(moment)
		}
		allReady(t)
	}
	if n := deaths(t, "starling_member_deaths_total") - verdicts; n > 0 {
		t.Errorf("%d speakers gave %s up", n, s.owner.Name)
	}
	for _, c := range s.watcher.Claims(s.ip) {
		if c.At.After(begun) && c.MAC != s.owner.MAC.String() {
			t.Errorf("%s claimed the address %v after %s was stopped", c.MAC, c.At.Sub(begun), s.owner.Name)
		}
	}
	s.served(t, fmt.Sprintf("speaker of %s frozen for %v", s.owner.Name, moment), sudden)
}

// stopped ends the announcing pod as a rolling update does, and sees its successor return.
func stopped(t *testing.T) {
	s := watchService(t, "stop", "udp")
	s.stopPod(t)
	next := s.moved(t)
	s.returned(t)
	s.undisturbed(t, fmt.Sprintf("speaker of %s stopped, taken over by %s, and returned", s.owner.Name, next.Name))
	allReady(t)
}

// deaths is what the speakers of some nodes, none for all, have counted together by this metric.
func deaths(t *testing.T, metric string, nodes ...*cluster.Node) (sum int) {
	t.Helper()
	if len(nodes) == 0 {
		nodes = shared.Nodes
	}
	for _, n := range nodes {
		text, err := starling.MetricsOf(t.Context(), shared, n)
		if err != nil {
			t.Fatal(err)
		}
		count, err := starling.Total(text, metric)
		if err != nil {
			t.Fatal(err)
		}
		sum += count
	}
	return sum
}
