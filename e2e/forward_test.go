package e2e

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/workload"
)

// dropsWithin is how long a client may wait after the rules of the announcer are gone.
const dropsWithin = 3 * time.Second

// flush takes all rules from a node. Its kube-proxy is stopped and not ended: its port is open, as
// that of one that has no time, and it puts nothing back until the test is over.
func flush(t *testing.T, n *cluster.Node) (restore func()) {
	t.Helper()
	if err := n.Signal("kube-proxy", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	restored := false
	restore = func() {
		if restored {
			return
		}
		restored = true
		ctx := context.WithoutCancel(t.Context())
		if err := n.End(ctx, "kube-proxy", syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		if err := n.Again("kube-proxy"); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(restore)
	if _, err := n.Run(t.Context(), "nft", "flush ruleset"); err != nil {
		t.Fatal(err)
	}
	return restore
}

// TestRulesFlushed takes the rules of the announcer away, while its speaker and its kernel are
// well: the address moves, and comes back with the rules.
func TestRulesFlushed(t *testing.T) {
	s := watchService(t, "flushed", "tcp")
	answered(t, s.client, 800) // a Service that has just changed is no test of a node
	begun := time.Now()
	restore := flush(t, s.owner)
	next := s.moved(t)
	if took := s.claimed(t, next).Sub(begun); took > dropsWithin {
		t.Errorf("%s claimed the address after %v", next.Name, took)
	} else {
		t.Logf("%s claimed the address %v after the rules of %s were gone", next.Name, took.Round(time.Millisecond), s.owner.Name)
	}
	s.served(t, "rules of "+s.owner.Name+" flushed", dropsWithin)
	s.client = ask(t, "tcp", s.ip)
	restore()
	s.returned(t)
	s.served(t, "rules of "+s.owner.Name+" are back", sudden)
	allReady(t)
	settled(t, s.watcher, s.ip)
}

// TestServiceDead has backends that refuse all connections: they are tested again and again, and
// nothing moves.
func TestServiceDead(t *testing.T) {
	const sent, found = "starling_layer2_handshakes_sent_total", "starling_member_forwarding_failures_total"
	allReady(t)
	w := watch(t)
	ip := expose(t, "refused", func(s *core.Service) {
		for i := range s.Spec.Ports {
			s.Spec.Ports[i].TargetPort = intstr.FromInt32(9)
		}
	})
	if err := workload.Programmed(t.Context(), shared, ip); err != nil {
		t.Fatal(err)
	}
	n := owner(t, w, ip)
	tests, failures := deaths(t, sent), deaths(t, found)
	until(t, 90*time.Second, "many tests", func(context.Context) error {
		if now := deaths(t, sent) - tests; now < 300 {
			return fmt.Errorf("%d so far", now)
		}
		return nil
	})
	settled(t, w, ip)
	if got := owner(t, w, ip); got != n {
		t.Errorf("%s announces, %s did", got.Name, n.Name)
	}
	if more := deaths(t, found) - failures; more > 0 {
		t.Errorf("%d nodes were found not to forward", more)
	}
}

// TestProxyGone ends the speaker and kube-proxy of a node that has an address of UDP alone, which
// nobody can ask for: others see that its kube-proxy is gone. As long as that is there, the address
// stays.
func TestProxyGone(t *testing.T) {
	allReady(t)
	w := watch(t)
	ip := expose(t, "udp-alone", func(s *core.Service) { s.Spec.Ports = s.Spec.Ports[1:] })
	if err := workload.Programmed(t.Context(), shared, ip, "udp"); err != nil {
		t.Fatal(err)
	}
	s := &watched{watcher: w, ip: ip, owner: owner(t, w, ip)}
	avoid(t, s.owner)
	s.client = ask(t, "udp", ip)
	restore := func() error {
		return errors.Join(s.owner.Again("kube-proxy"), s.owner.Signal("starling", syscall.SIGCONT))
	}
	stopped := time.Now()
	if err := s.owner.Signal("starling", syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	s.stays(t)
	answered(t, s.client, 2000) // for longer than a node that cannot be tested keeps its addresses
	if took := time.Since(stopped); took < 10*time.Second {
		answered(t, s.client, int((11*time.Second-took)/(5*time.Millisecond)))
	}
	s.unmoved(t, stopped)
	begun := time.Now()
	err := s.owner.End(t.Context(), "kube-proxy", syscall.SIGKILL)
	t.Cleanup(func() {
		if restore != nil {
			t.Log(restore())
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	next := s.moved(t)
	if took := s.claimed(t, next).Sub(begun); took > dropsWithin {
		t.Errorf("%s claimed the address after %v", next.Name, took)
	} else {
		t.Logf("%s claimed the address %v after kube-proxy of %s was gone", next.Name, took.Round(time.Millisecond), s.owner.Name)
	}
	s.undisturbed(t, "speaker and kube-proxy of "+s.owner.Name+" gone, whose rules are there")
	if err := restore(); err != nil {
		t.Error(err)
	}
	restore = nil
	s.returned(t)
	allReady(t)
}
