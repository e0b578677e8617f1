package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
)

const absences = "starling_member_absences_total"

// TestSpeakersAway ends and stops speakers: their nodes keep the addresses.
func TestSpeakersAway(t *testing.T) {
	t.Run("killed", killed)
	t.Run("frozen", frozen)
	t.Run("the host dies as well", bothDie)
	t.Run("the rules are gone as well", bothGone)
	t.Run("replaced", replaced)
	t.Run("upgraded", upgraded)
	t.Run("all replaced at once", allReplaced)
}

// stays waits until the other speakers take that of the announcer for away, and a deputy answers,
// with the announcer's MAC.
func (s *watched) stays(t *testing.T) {
	t.Helper()
	for _, n := range s.others() {
		until(t, 15*time.Second, "absence of "+s.owner.Name, func(ctx context.Context) error {
			status, err := starling.StatusOf(ctx, shared, n)
			if err != nil {
				return err
			}
			if state := status.State(s.owner.Name); state != "absent" {
				return fmt.Errorf("%s sees %s %s", n.Name, s.owner.Name, state)
			}
			if by := status.AnsweredBy(s.ip.String()); by == s.owner.Name || by == "" || status.Owner(s.ip.String()) != s.owner.Name {
				return fmt.Errorf("%s has it that %s owns %s and %s answers", n.Name, status.Owner(s.ip.String()), s.ip, by)
			}
			return nil
		})
	}
	settled(t, s.watcher, s.ip)
	if n := owner(t, s.watcher, s.ip); n != s.owner {
		t.Errorf("%s is answered with the MAC of %s, not of %s", s.ip, n.Name, s.owner.Name)
	}
}

// unmoved fails if another node than the announcer claimed the address since then.
func (s *watched) unmoved(t *testing.T, since time.Time) {
	t.Helper()
	for _, c := range s.watcher.Claims(s.ip) {
		if c.At.After(since) && c.MAC != s.owner.MAC.String() {
			t.Errorf("%s claimed the address %v after the fault", c.MAC, c.At.Sub(since))
		}
	}
}

// killed ends the announcing process at once. The node goes on forwarding: nothing moves, and
// another speaker answers clients that do not know the way.
func killed(t *testing.T) {
	s := watchService(t, "kill-away", "tcp")
	away, dead, killed := deaths(t, absences, s.others()...), deaths(t, "starling_member_deaths_total", s.others()...), time.Now()
	if err := s.owner.Signal("starling", syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, 15*time.Second, "absence of "+s.owner.Name, func(context.Context) error {
		if deaths(t, absences, s.others()...) == away {
			return errors.New("nobody missed it")
		}
		return nil
	})
	allReady(t)
	settled(t, s.watcher, s.ip)
	if n := deaths(t, "starling_member_deaths_total", s.others()...) - dead; n > 0 {
		t.Errorf("%d speakers gave %s up", n, s.owner.Name)
	}
	s.unmoved(t, killed)
	s.undisturbed(t, "speaker killed, and back")
}

// frozen stops the announcing process without ending it, and lets it go on: its node keeps the
// address, and nobody notices.
func frozen(t *testing.T) {
	s := watchService(t, "freeze-away", "udp")
	thaw := func() error { return s.owner.Signal("starling", syscall.SIGCONT) }
	t.Cleanup(func() {
		if err := thaw(); err != nil {
			t.Error(err)
		}
	})
	frozen := time.Now()
	if err := s.owner.Signal("starling", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.stays(t)
	if err := thaw(); err != nil {
		t.Fatal(err)
	}
	allReady(t)
	settled(t, s.watcher, s.ip)
	s.unmoved(t, frozen)
	s.undisturbed(t, "speaker of "+s.owner.Name+" frozen for a while")
}

// bothDie stops the announcing process and then cuts the host off: that is noticed as ever, and
// sooner.
func bothDie(t *testing.T) {
	s := watchService(t, "both-away", "udp")
	t.Cleanup(func() {
		if err := s.owner.Signal("starling", syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	})
	if err := s.owner.Signal("starling", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.stays(t)
	cut(t, s.owner)
	next := s.moved(t)
	s.served(t, fmt.Sprintf("speaker and then the host of %s lost, taken over by %s", s.owner.Name, next.Name), sudden)
	heal(t, s.owner)
	if err := s.owner.Signal("starling", syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.returned(t)
	allReady(t)
}

// bothGone stops the announcing process and then takes the rules of its node away: others test what
// it forwards, and keep its addresses for it no longer.
func bothGone(t *testing.T) {
	s := watchService(t, "flushed-away", "tcp")
	t.Cleanup(func() {
		if err := s.owner.Signal("starling", syscall.SIGCONT); err != nil {
			t.Error(err)
		}
	})
	if err := s.owner.Signal("starling", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.stays(t)
	restore := flush(t, s.owner)
	next := s.moved(t)
	s.served(t, fmt.Sprintf("speaker stopped and then the rules of %s flushed, taken over by %s", s.owner.Name, next.Name), dropsWithin)
	restore()
	if err := s.owner.Signal("starling", syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.returned(t)
	allReady(t)
}

// replaced stops the announcing pod as a rolling update does, and sees its successor: nothing
// moves.
func replaced(t *testing.T) {
	s := watchService(t, "stop-away", "udp")
	deleted := time.Now()
	s.deletePod(t)
	allReady(t)
	settled(t, s.watcher, s.ip)
	s.unmoved(t, deleted)
	s.undisturbed(t, fmt.Sprintf("speaker of %s stopped, and replaced", s.owner.Name))
}

// deletePod stops the speaker of the announcer, and returns when there is a new pod.
func (s *watched) deletePod(t *testing.T) {
	t.Helper()
	pod := s.stopPod(t)
	until(t, cluster.PodTime, "new pod", func(ctx context.Context) error {
		now, err := starling.PodOn(ctx, shared, s.owner)
		if err == nil && now == pod {
			err = errors.New(pod + " is still there")
		}
		return err
	})
}

// stopPod stops the speaker of the announcer, and returns the name of its pod.
func (s *watched) stopPod(t *testing.T) (pod string) {
	t.Helper()
	pod, err := starling.PodOn(t.Context(), shared, s.owner)
	if err != nil {
		t.Fatal(err)
	}
	if err := shared.Kube.CoreV1().Pods(starling.Namespace).Delete(t.Context(), pod, meta.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	return pod
}

// others are the nodes but for the announcer.
func (s *watched) others() (nodes []*cluster.Node) {
	for _, n := range shared.Nodes {
		if n != s.owner {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// upgraded replaces all speakers one after the other, as an upgrade does: no connection that is
// held through an address is cut, no datagram is lost, and the address stays where it is.
func upgraded(t *testing.T) {
	s := watchService(t, "held", "udp")
	held, err := probe.Hold(t.Context(), probe.Config{Dial: shared.Client.Dial, Address: net.JoinHostPort(s.ip.String(), "80")}, 60)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	set := "daemonset/" + starling.Name
	s.kubectl(t, "-n", starling.Namespace, "rollout", "restart", set)
	s.kubectl(t, "-n", starling.Namespace, "rollout", "status", "--timeout=3m", set)
	allReady(t)
	settled(t, s.watcher, s.ip)
	s.unmoved(t, begun)
	report := held.Stop()
	t.Logf("upgrade of all speakers in %v: %s", time.Since(begun).Round(time.Second), report)
	if report.Cut > 0 {
		t.Errorf("%d of %d connections were cut", report.Cut, report.Connections)
	}
	s.undisturbed(t, "upgrade of all speakers")
}

// allReplaced restarts all speakers at once. The first one back finds nobody who knows which nodes
// are away: it knows from its own state file, so that no address moves and no connection that is
// held is cut.
func allReplaced(t *testing.T) {
	s := watchService(t, "held-all", "tcp")
	at := map[netip.Addr]*cluster.Node{s.ip: s.owner}
	for i := range 6 {
		ip := expose(t, fmt.Sprintf("all-%d", i))
		settled(t, s.watcher, ip)
		at[ip] = owner(t, s.watcher, ip)
	}
	held, err := probe.Hold(t.Context(), probe.Config{Dial: shared.Client.Dial, Address: net.JoinHostPort(s.ip.String(), "80")}, 60)
	if err != nil {
		t.Fatal(err)
	}
	set := "daemonset/" + starling.Name
	unavailable := func(n string) {
		t.Helper()
		patch := `{"spec":{"updateStrategy":{"rollingUpdate":{"maxUnavailable":` + n + `}}}}`
		if out, err := shared.Kubectl(context.WithoutCancel(t.Context()), "", "-n", starling.Namespace, "patch", set, "--patch", patch); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	t.Cleanup(func() { unavailable("1") })
	unavailable(`"100%"`)
	begun := time.Now()
	s.kubectl(t, "-n", starling.Namespace, "rollout", "restart", set)
	s.kubectl(t, "-n", starling.Namespace, "rollout", "status", "--timeout=3m", set)
	allReady(t)
	for ip, n := range at {
		settled(t, s.watcher, ip)
		(&watched{watcher: s.watcher, ip: ip, owner: n}).unmoved(t, begun)
		if now := owner(t, s.watcher, ip); now != n {
			t.Errorf("%s was at %s and is at %s", ip, n.Name, now.Name)
		}
	}
	report := held.Stop()
	t.Logf("all speakers restarted at once in %v: %s", time.Since(begun).Round(time.Second), report)
	if report.Cut > 0 {
		t.Errorf("%d of %d connections were cut", report.Cut, report.Connections)
	}
}
