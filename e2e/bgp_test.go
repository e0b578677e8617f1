package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/routers"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

// dead is how long a client behind a router may wait after a node has died without a word.
const dead = 600 * time.Millisecond

// router runs until the test ends, and the speakers announce a pool to it.
func router(t *testing.T, sessions string, kind routers.Kind) *cluster.Router {
	t.Helper()
	allReady(t)
	r, err := shared.AddRouter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Remove(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	if err := kind.Start(t.Context(), r, kind.Conf); err != nil {
		t.Fatal(err)
	}
	configure(t, routers.Configuration(sessions)+routers.Pools())
	return r
}

// routed is an address of a Service that the router spreads flows to over all nodes.
func routed(t *testing.T, r *cluster.Router, name string) netip.Addr {
	t.Helper()
	ip := expose(t, name, routers.Service)
	if err := workload.Programmed(t.Context(), shared, ip); err != nil {
		t.Fatal(err)
	}
	spread(t, r, ip, shared.Nodes...)
	return ip
}

func spread(t *testing.T, r *cluster.Router, ip netip.Addr, nodes ...*cluster.Node) {
	t.Helper()
	if err := routers.Spread(t.Context(), r, ip, nodes...); err != nil {
		t.Fatal(err)
	}
}

func flows(t *testing.T, r *cluster.Router, ip netip.Addr) routers.Flows {
	t.Helper()
	f, err := routers.Start(t.Context(), r, ip)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Stop() })
	return f
}

// ended stops the flows once each has gone on for a while.
func ended(t *testing.T, f routers.Flows, what string) routers.Report {
	t.Helper()
	if err := f.Await(t.Context()); err != nil {
		t.Error(err)
	}
	report := f.Stop()
	t.Logf("%s: %s", what, report)
	return report
}

// lossless fails if the flows have lost anything.
func lossless(t *testing.T, f routers.Flows, what string) {
	t.Helper()
	if report := ended(t, f, what); report.Lost > 0 {
		t.Errorf("%d datagrams of %d lost", report.Lost, report.Asked)
	}
}

// TestRouterBIRD is what BIRD, and clients behind it, notice of the cluster.
func TestRouterBIRD(t *testing.T) {
	r := router(t, "auto", routers.BIRD)
	ip := routed(t, r, "spread")
	t.Run("a node dies", func(t *testing.T) { routerOutlives(t, r, ip) })
	t.Run("a speaker dies, few", func(t *testing.T) { routerKeeps(t, r, ip) })
	t.Run("rolling update, few", func(t *testing.T) { routerKeepsAll(t, r, ip) })
	secret(t, "another")
	t.Cleanup(func() {
		kubectl(t, "-n", starling.Namespace, "delete", "secret/bgp-tor1", "role/starling-bgp", "rolebinding/starling-bgp")
	})
	t.Run("password, each", func(t *testing.T) { routerPassword(t, r, ip) })
	t.Run("a speaker dies, each", func(t *testing.T) { routerKeeps(t, r, ip) })
	t.Run("a node leaves, each", func(t *testing.T) { routerForgets(t, r, ip) })
}

// TestRouterFRR is the same with FRR.
func TestRouterFRR(t *testing.T) {
	r := router(t, "auto", routers.FRR)
	ip := routed(t, r, "spread")
	t.Run("a node dies", func(t *testing.T) { routerOutlives(t, r, ip) })
	t.Run("a node is to be drained", func(t *testing.T) { routerBeforeDrain(t, r, ip) })
	t.Run("families", func(t *testing.T) { routerFamilies(t, r) })
}

// routerOutlives: a router that takes several paths spreads flows over all nodes. One that dies
// without a word is out of its table, and the flows that it had go on by the others, long before
// any timer of BGP.
func routerOutlives(t *testing.T, r *cluster.Router, ip netip.Addr) {
	f := flows(t, r, ip)
	victim := shared.Nodes[1]
	begun := time.Now()
	cut(t, victim)
	spread(t, r, ip, allBut(victim)...)
	what := fmt.Sprintf("%s out of the router's kernel after %v", victim.Name, time.Since(begun).Round(time.Millisecond))
	report := ended(t, f, what)
	if report.Gap > dead {
		t.Errorf("a client behind the router waited %v, more than %v", report.Gap, dead)
	}
	if len(report.Nodes) != len(shared.Nodes) {
		t.Errorf("answers by %v, want all nodes", report.Nodes)
	}
	heal(t, victim)
	spread(t, r, ip, shared.Nodes...)
	allReady(t)
}

// routerKeeps: while a speaker restarts, its node stays in the router's table, whoever announces
// it, and no datagram is lost.
func routerKeeps(t *testing.T, r *cluster.Router, ip netip.Addr) {
	f := flows(t, r, ip)
	n := shared.Nodes[0]
	pod, err := starling.PodOn(t.Context(), shared, n)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Signal(starling.Name, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := shared.Kube.CoreV1().Pods(starling.Namespace).Delete(t.Context(), pod, *meta.NewDeleteOptions(0)); err != nil {
		t.Fatal(err)
	}
	allReady(t)
	if hops, err := r.Hops(t.Context(), ip); err != nil || len(hops) != len(shared.Nodes) {
		t.Errorf("next hops %v: %v", hops, err)
	}
	lossless(t, f, "speaker of "+n.Name+" killed")
}

// routerKeepsAll: an update of all speakers, one after the other, changes nothing for the router's
// clients.
func routerKeepsAll(t *testing.T, r *cluster.Router, ip netip.Addr) {
	f := flows(t, r, ip)
	set := "daemonset/" + starling.Name
	kubectl(t, "-n", starling.Namespace, "rollout", "restart", set)
	kubectl(t, "-n", starling.Namespace, "rollout", "status", "--timeout=3m", set)
	allReady(t)
	spread(t, r, ip, shared.Nodes...)
	lossless(t, f, "all speakers updated")
}

// routerForgets: a node that is cordoned is out of the router's table when its speaker has ended,
// and not kept by graceful restart, until it is uncordoned.
func routerForgets(t *testing.T, r *cluster.Router, ip netip.Addr) {
	f := flows(t, r, ip)
	n := shared.Nodes[2]
	before, err := n.Pids(starling.Name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kubectl(t, "uncordon", n.Name) })
	kubectl(t, "cordon", n.Name)
	pod, err := starling.PodOn(t.Context(), shared, n)
	if err != nil {
		t.Fatal(err)
	}
	if err := shared.Kube.CoreV1().Pods(starling.Namespace).Delete(t.Context(), pod, meta.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, cluster.PodTime, "end of the speaker of "+n.Name, func(context.Context) error {
		now, err := n.Pids(starling.Name)
		if err == nil && slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(before, pid) }) {
			err = fmt.Errorf("it is there: %v", now)
		}
		return err
	})
	if hops, err := r.Hops(t.Context(), ip); err != nil || len(hops) != len(shared.Nodes)-1 {
		t.Errorf("next hops %v after the end: %v", hops, err)
	}
	until(t, 90*time.Second, "speaker of "+n.Name, func(ctx context.Context) error { return starling.Joined(ctx, shared) })
	spread(t, r, ip, allBut(n)...)
	kubectl(t, "uncordon", n.Name)
	spread(t, r, ip, shared.Nodes...)
	allReady(t)
	lossless(t, f, n.Name+" left, and is back")
}

// secret sets the password of the router, which speakers may read as docs/bgp.md says.
func secret(t *testing.T, password string) {
	t.Helper()
	page, err := os.ReadFile("../docs/bgp.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "## Passwords")
	_, rest, _ = strings.Cut(rest, "```yaml\n")
	roles, _, _ := strings.Cut(rest, "```")
	objects := roles + "---\n" + `{apiVersion: v1, kind: Secret, metadata: {name: bgp-tor1, namespace: ` + starling.Namespace + `}, stringData: {password: ` + password + `}}`
	if out, err := shared.Kubectl(t.Context(), objects, "apply", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// routerPassword: with another password than the router's there is no session, which is named with
// advice and harms nothing on layer 2; with the right one there is.
func routerPassword(t *testing.T, r *cluster.Router, ip netip.Addr) {
	conf := strings.Replace(routers.BirdConf, "protocol bgp starling {", "protocol bgp starling {\n  password \"secret\";", 1)
	if err := routers.ReconfigureBird(t.Context(), r, conf); err != nil {
		t.Fatal(err)
	}
	if err := patchConfig(t.Context(), routers.Configuration("each", "passwordSecret: bgp-tor1")+routers.Pools()); err != nil {
		t.Fatal(err)
	}
	spread(t, r, ip)
	v, local := desk{viewer: newViewer(t)}, expose(t, "beside")
	until(t, time.Minute, "advice", func(ctx context.Context) error {
		return v.says(ctx, 0, []string{"status"}, "no node has a session with router tor1 (198.18.0.254)", "with a wrong password it is silent too", "that both have the same")
	})
	reach(t, "tcp", local)
	secret(t, "secret")
	spread(t, r, ip, shared.Nodes...)
	lossless(t, flows(t, r, ip), "sessions with a password")
}

// routerBeforeDrain: a node that is drained is out of the router's table before anything ends.
func routerBeforeDrain(t *testing.T, r *cluster.Router, ip netip.Addr) {
	f := flows(t, r, ip)
	n := shared.Nodes[2]
	say := func(status string) {
		t.Helper()
		kubectl(t, "patch", "node", n.Name, "--subresource=status", "--type=strategic", "-p",
			`{"status":{"conditions":[{"type":"DrainInProgress","status":"`+status+`","reason":"Test","message":"test"}]}}`)
	}
	t.Cleanup(func() { say("False") })
	say("True")
	spread(t, r, ip, allBut(n)...)
	say("False")
	spread(t, r, ip, shared.Nodes...)
	lossless(t, f, n.Name+" was to be drained")
}

// routerFamilies: paths of both families go over one session, and who names them with the router.
func routerFamilies(t *testing.T, r *cluster.Router) {
	v, dual := desk{viewer: newViewer(t)}, core.IPFamilyPolicyRequireDualStack
	create(t, "both", routers.Service, func(s *core.Service) { s.Spec.IPFamilyPolicy = &dual })
	for _, ip := range addresses(t, "both", 2) {
		if err := workload.Programmed(t.Context(), shared, ip); err != nil {
			t.Fatal(err)
		}
		spread(t, r, ip, shared.Nodes...)
		if report := ended(t, flows(t, r, ip), "asked "+ip.String()); report.Lost > 0 || len(report.Nodes) != len(shared.Nodes) {
			t.Errorf("%d datagrams of %d lost; answers by %v, want all nodes", report.Lost, report.Asked, report.Nodes)
		}
		want := ip.String() + " is announced by n1 n2 n3 to tor1"
		if err := v.says(t.Context(), 0, []string{"who", ip.String()}, want); err != nil {
			t.Error(err)
		}
	}
	if err := v.says(t.Context(), 0, []string{"status"}, "tor1  198.18.0.254  64512  few"); err != nil {
		t.Error(err)
	}
}
