package e2e

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
)

// held is how many connections the test keeps.
const held = 60

// keeping installs the speakers as the overlay keep-connections does, until the test ends.
func keeping(t *testing.T) {
	t.Helper()
	set := "daemonset/" + starling.Name
	rollout := func(args ...string) {
		t.Helper()
		for _, args := range [][]string{args, {"rollout", "status", "--timeout=3m", set}} {
			if out, err := shared.Kubectl(context.WithoutCancel(t.Context()), "", append([]string{"-n", starling.Namespace}, args...)...); err != nil {
				t.Fatalf("kubectl %v: %v: %s", args, err, out)
			}
		}
	}
	rollout("patch", set, "--type=strategic", "-p", `{"spec":{"template":{"spec":{"containers":[{"name":"starling",
		"env":[{"name":"STARLING_KEEP_CONNECTIONS","value":"true"}],"securityContext":{"capabilities":{"add":["NET_RAW","NET_ADMIN"]}}}]}}}}`)
	t.Cleanup(func() { rollout("rollout", "undo", set) })
	allReady(t)
}

// hold opens connections through the address, none of which may be cut until the test ends.
func (s *watched) hold(t *testing.T, when string) {
	t.Helper()
	h, err := probe.Hold(t.Context(), probe.Config{Dial: shared.Client.Dial, Address: net.JoinHostPort(s.ip.String(), "80")}, held)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		report := h.Stop()
		t.Logf("begun %s: %s", when, report)
		if report.Cut > 0 {
			t.Errorf("%d of %d connections that began %s were cut", report.Cut, report.Connections, when)
		}
	})
}

// passed waits until some nodes pass as many connections as are held.
func passed(t *testing.T, nodes ...*cluster.Node) {
	t.Helper()
	until(t, 10*time.Second, "passed connections", func(context.Context) error {
		if n := deaths(t, "starling_forwarded_flows", nodes...); n != held {
			return fmt.Errorf("%d are passed", n)
		}
		return nil
	})
}

// TestKeepConnections moves an address from a live node, with connections to backends on other
// nodes.
func TestKeepConnections(t *testing.T) {
	keeping(t)
	t.Run("cordoned, and its speaker ends", keptCordoned)
	t.Run("excluded", keptExcluded)
}

// TestKeepConnectionsIptables does the same while kube-proxy is in its mode iptables.
func TestKeepConnectionsIptables(t *testing.T) {
	proxies(t, "iptables")
	keeping(t)
	t.Run("cordoned, and its speaker ends", keptCordoned)
	t.Run("excluded", keptExcluded)
}

// proxies restarts all kube-proxies in a mode, until the test ends.
func proxies(t *testing.T, mode string) {
	t.Helper()
	turn := func(mode string) {
		ctx := context.WithoutCancel(t.Context())
		for _, n := range shared.Nodes {
			if err := n.ProxyMode(ctx, mode); err != nil {
				t.Fatal(err)
			}
		}
		err := cluster.Until(ctx, time.Minute, "kube-proxies in mode "+mode, func(ctx context.Context) error {
			for _, n := range shared.Nodes {
				rules, err := n.Run(ctx, "nft", "list", "ruleset")
				if err != nil {
					return err
				}
				if iptables := strings.Contains(rules, "KUBE-SERVICES"); iptables != (mode == "iptables") {
					return fmt.Errorf("%s has other rules", n.Name)
				}
				if nftables := strings.Contains(rules, "table ip kube-proxy"); nftables != (mode == "nftables") {
					return fmt.Errorf("%s has rules of mode nftables: %v", n.Name, nftables)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { turn("nftables") })
	turn(mode)
	allReady(t)
}

// keptCordoned ends the speaker of a cordoned node, which hands over, and takes its addresses back
// when it is uncordoned.
func keptCordoned(t *testing.T) {
	s := watchService(t, "keep-cordoned", "udp")
	begun := time.Now()
	s.hold(t, "before the hand-over")
	t.Cleanup(func() { s.kubectl(t, "uncordon", s.owner.Name) })
	s.kubectl(t, "cordon", s.owner.Name)
	s.deletePod(t)
	if !s.handedOver(t, begun) {
		t.Errorf("nobody else announced the address when the speaker of %s ended", s.owner.Name)
	}
	t.Logf("from %s: cordoned at %s, handed over before %s", s.owner.Name, clock(begun), clock(time.Now()))
	s.kubectl(t, "uncordon", s.owner.Name)
	s.returned(t)
	t.Logf("back before %s", clock(time.Now()))
	allReady(t)
	settled(t, s.watcher, s.ip)
	s.undisturbed(t, "end of the speaker of a cordoned node, and its return")
}

// keptExcluded takes the address from a node for some time: connections that begin meanwhile
// survive its return as well.
func keptExcluded(t *testing.T) {
	s := watchService(t, "keep-excluded", "udp")
	s.hold(t, "before the move")
	exclude := func(mark string) {
		s.kubectl(t, "label", "node", s.owner.Name, "node.kubernetes.io/exclude-from-external-load-balancers"+mark)
	}
	t.Cleanup(func() { exclude("-") })
	exclude("=")
	s.moved(t)
	settled(t, s.watcher, s.ip)
	passed(t, s.others()...)
	s.hold(t, "before the return")
	exclude("-")
	s.returned(t)
	settled(t, s.watcher, s.ip)
	passed(t, s.owner)
	s.undisturbed(t, "label that excludes a node, and its end")
}
