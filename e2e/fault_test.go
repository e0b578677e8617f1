package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/chaos"
	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/workload"
)

// sudden is how long a client may wait after the announcer has vanished without a word.
const sudden = chaos.MaxGap

// watched is a Service with a client that asks it all the time, and backends away from its
// announcer.
type watched struct {
	ip      netip.Addr
	owner   *cluster.Node
	watcher *probe.Watcher
	client  *probe.Prober
}

func watchService(t *testing.T, name, network string, options ...func(*core.Service)) *watched {
	t.Helper()
	allReady(t)
	s := &watched{watcher: watch(t), ip: expose(t, name, options...)}
	s.owner = owner(t, s.watcher, s.ip)
	avoid(t, s.owner)
	if err := workload.Programmed(t.Context(), shared, s.ip); err != nil {
		t.Fatal(err)
	}
	s.client = ask(t, network, s.ip)
	return s
}

// moved waits until another node than before answers, alone, and returns it.
func (s *watched) moved(t *testing.T) (next *cluster.Node) {
	t.Helper()
	until(t, 15*time.Second, "take-over", func(ctx context.Context) (err error) {
		next, err = workload.Owner(ctx, shared, s.watcher, s.ip)
		if err == nil && next == s.owner {
			err = fmt.Errorf("%s still announces", next.Name)
		}
		return err
	})
	return next
}

// returned waits until the first announcer announces again: it outranks the others when it is well,
// and has let them go first for up to a minute if other tests cut it off, too.
func (s *watched) returned(t *testing.T) {
	t.Helper()
	until(t, 90*time.Second, "return of "+s.owner.Name, func(ctx context.Context) error {
		n, err := workload.Owner(ctx, shared, s.watcher, s.ip)
		if err == nil && n != s.owner {
			err = fmt.Errorf("%s announces", n.Name)
		}
		return err
	})
}

// served stops the client and holds its longest wait against the limit.
func (s *watched) served(t *testing.T, what string, limit time.Duration) {
	t.Helper()
	answered(t, s.client, 100)
	report := s.client.Stop()
	t.Logf("%s: %s", what, report)
	if report.Gap > limit {
		t.Errorf("%s: the client waited %v, more than %v", what, report.Gap, limit)
	}
}

// undisturbed is served without a single question lost.
func (s *watched) undisturbed(t *testing.T, what string) {
	t.Helper()
	answered(t, s.client, 100)
	report := s.client.Stop()
	t.Logf("%s: %s", what, report)
	if report.Lost > 0 {
		t.Errorf("%s: %d questions of %d were lost, from %s to %s", what, report.Lost, report.Asked, clock(report.From), clock(report.To))
		for _, n := range shared.Nodes { // what the kernel knows of the client's flow, and what it dropped
			flows, err := n.Run(t.Context(), "sh", "-c", "cat /proc/net/stat/nf_conntrack; grep -F dst="+s.ip.String()+" /proc/net/nf_conntrack | grep udp")
			t.Logf("%s: %v\n%s", n.Name, err, flows)
		}
	}
}

// clock is how tests print when something happened.
func clock(at time.Time) string { return at.Format("15:04:05.000") }

func cut(t *testing.T, n *cluster.Node) {
	t.Helper()
	if err := n.Cut(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { heal(t, n) })
}

func heal(t *testing.T, n *cluster.Node) {
	t.Helper()
	if err := n.Heal(); err != nil {
		t.Fatal(err)
	}
}

// TestLinkLossAndReturn cuts the announcer off without anybody being told, and lets it come back.
func TestLinkLossAndReturn(t *testing.T) {
	s := watchService(t, "cut", "udp")
	cut(t, s.owner)
	next := s.moved(t)
	s.served(t, fmt.Sprintf("link of %s lost, taken over by %s", s.owner.Name, next.Name), sudden)

	s.client = ask(t, "udp", s.ip)
	heal(t, s.owner)
	s.returned(t)
	s.served(t, "return of "+s.owner.Name, sudden)
	allReady(t)
	settled(t, s.watcher, s.ip)
}

// TestLinkLossIPv6 is the same take-over by neighbor discovery.
func TestLinkLossIPv6(t *testing.T) {
	s := watchService(t, "cut6", "udp", func(s *core.Service) { s.Spec.IPFamilies = []core.IPFamily{core.IPv6Protocol} })
	cut(t, s.owner)
	next := s.moved(t)
	s.served(t, fmt.Sprintf("link of %s lost, taken over by %s", s.owner.Name, next.Name), sudden)
	heal(t, s.owner)
	s.returned(t)
	allReady(t)
}

// TestAPIServerRestart takes the API server away: addresses answer on, even move, and all goes on
// afterwards.
func TestAPIServerRestart(t *testing.T) {
	s := watchService(t, "noapi", "udp")
	ctx := context.WithoutCancel(t.Context())
	if err := shared.StopAPI(ctx); err != nil {
		t.Fatal(err)
	}
	start := func() error { return shared.StartAPI(ctx) }
	t.Cleanup(func() {
		if start != nil {
			if err := start(); err != nil {
				t.Error(err)
			}
		}
	})
	answered(t, s.client, 100)
	cut(t, s.owner)
	next := s.moved(t)
	s.served(t, fmt.Sprintf("without API server, link of %s lost, taken over by %s", s.owner.Name, next.Name), sudden)
	heal(t, s.owner)

	err := start()
	start = nil
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	ip := expose(t, "afterwards")
	t.Logf("a new Service had its address %v after the API server was back", time.Since(begun).Round(time.Millisecond))
	caughtUp(t, ip)
	t.Logf("and was reached, and every node had rules for it, %v after", time.Since(begun).Round(time.Millisecond))
	s.returned(t)
	allReady(t)
}

// TestGossipBlocked blocks the speakers' port, as a firewall does, on every node or on the
// announcer alone, which the others so miss again and again. Nothing moves, exactly one node
// answers all the time, and status says what is wrong.
func TestGossipBlocked(t *testing.T) {
	t.Run("everywhere", func(t *testing.T) {
		blocked(t, "deaf", func(*watched) []*cluster.Node { return shared.Nodes })
	})
	t.Run("one way", func(t *testing.T) {
		blocked(t, "deaf1", func(s *watched) []*cluster.Node { return []*cluster.Node{s.owner} })
	})
}

func blocked(t *testing.T, name string, where func(*watched) []*cluster.Node) {
	s := watchService(t, name, "udp")
	ctx, healed := context.WithoutCancel(t.Context()), false
	unblock := func() {
		for _, n := range where(s) {
			if err := n.Unblock(ctx); err != nil && !healed {
				t.Error(err)
			}
		}
		healed = true
	}
	t.Cleanup(unblock)
	for _, n := range where(s) {
		if err := n.Block(t.Context(), 7927); err != nil {
			t.Fatal(err)
		}
	}
	for _, talker := range where(s) {
		for _, listener := range shared.Nodes {
			if listener != talker {
				until(t, 15*time.Second, "speakers that miss each other", func(ctx context.Context) error { return missed(ctx, listener, talker) })
			}
		}
	}
	for range 5 {
		settled(t, s.watcher, s.ip)
		s.held(t)
	}
	answered(t, s.client, 400)
	unblock()
	allReady(t)
	settled(t, s.watcher, s.ip)
	s.held(t)
	s.undisturbed(t, "gossip blocked "+t.Name()+", and healed")
}

// held fails the test unless the first announcer is the only one, now.
func (s *watched) held(t *testing.T) {
	t.Helper()
	switch n, err := workload.Owner(t.Context(), shared, s.watcher, s.ip); {
	case err != nil:
		t.Error(err)
	case n != s.owner:
		t.Errorf("%s announces, %s did", n.Name, s.owner.Name)
	}
}

// TestServiceThatANodeMissed takes the API server away from one node and makes Services at once:
// those that this node is elected for are answered by others soon, and by it as soon as it knows
// them.
func TestServiceThatANodeMissed(t *testing.T) {
	allReady(t)
	ctx := context.WithoutCancel(t.Context())
	w := watch(t)
	first := expose(t, "known")
	picker := holder(t, "known")
	i := slices.IndexFunc(shared.Nodes, func(n *cluster.Node) bool { return n.Name != picker })
	late := shared.Nodes[i] // And not the one that picks: others would wait for it.
	if err := shared.HideAPIFrom(ctx, late); err != nil {
		t.Fatal(err)
	}
	show := func() error { return shared.ShowAPI(ctx) }
	t.Cleanup(func() {
		if show != nil {
			if err := show(); err != nil {
				t.Error(err)
			}
		}
		if err := cluster.Until(ctx, cluster.PodTime, "speakers", everybodyReady); err != nil {
			t.Error(err)
		}
	})
	var ips []netip.Addr
	for i := range 8 {
		ip := expose(t, fmt.Sprint("missed-", i))
		begun := time.Now()
		until(t, 3*time.Second, "an answer", func(ctx context.Context) error {
			macs, err := w.Who(ctx, 50*time.Millisecond, ip)
			if err == nil && len(macs) != 1 {
				err = fmt.Errorf("%v answer for %s", macs, ip)
			}
			return err
		})
		n := owner(t, w, ip)
		t.Logf("%s was answered by %s %v after it was bound", ip, n.Name, time.Since(begun).Round(time.Millisecond))
		if n == late {
			t.Errorf("%s answers for %s, which it cannot know", n.Name, ip)
		}
		ips = append(ips, ip)
	}
	err := show()
	show = nil
	if err != nil {
		t.Fatal(err)
	}
	allReady(t)
	until(t, 90*time.Second, "an address that was the late node's", func(context.Context) error {
		for _, ip := range ips {
			if owner(t, w, ip) == late {
				return nil
			}
		}
		return fmt.Errorf("%s has none of %v", late.Name, ips)
	})
	settled(t, w, append(ips, first)...)
	caughtUp(t, expose(t, "late-knows"))
}

// holder is the node that wrote the lease of a Service.
func holder(t *testing.T, service string) string {
	t.Helper()
	s, err := services().Get(t.Context(), service, meta.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var lease struct{ Holder string }
	if err := json.Unmarshal([]byte(s.Annotations["starling-lb.io/lease"]), &lease); err != nil || lease.Holder == "" {
		t.Fatalf("lease %q: %v", s.Annotations["starling-lb.io/lease"], err)
	}
	return lease.Holder
}
