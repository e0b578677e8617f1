package matrix

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/build"
	"github.com/starling-lb/starling/e2e/chaos"
	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/workload"
)

const (
	variable = "STARLING_E2E_MATRIX" // Anything in it: run. make matrix sets it to the row that is wanted, or 1.
	other    = "kubernetes-"         // Beginning of the rows of other releases, each of which compiles Kubernetes once more.
	backend  = "echo"
	sudden   = chaos.MaxGap // How long a client may wait when the announcer is cut off.
)

func TestMatrix(t *testing.T) {
	if os.Getenv(variable) == "" {
		t.Skip("takes minutes: make matrix")
	}
	if err := cluster.Possible(); err != nil {
		t.Fatal(err)
	}
	tools, err := build.Tools(t.Context(), func(string, int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	product, err := starling.Make(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	both, only6 := []string{cluster.Pool4, cluster.Pool6}, []string{cluster.Pool6}
	for _, row := range []struct {
		name    string
		options cluster.Options
		ranges  []string
		flannel bool // Pods have addresses of their own.
	}{
		{"nftables, dual stack", cluster.Options{}, both, false},
		{"iptables, dual stack", cluster.Options{Proxy: "iptables"}, both, false},
		{"no port 10256, dual stack", cluster.Options{NoHealth: true}, both, false},
		{"nftables, IPv6 only", cluster.Options{Only6: true}, only6, false},
		{"iptables, IPv6 only", cluster.Options{Only6: true, Proxy: "iptables"}, only6, false},
		{"flannel, dual stack", cluster.Options{}, both, true},
		{other + "1.35", cluster.Options{}, both, false},
		{other + "1.34", cluster.Options{}, both, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.options.Tools, row.options.Nodes, row.options.Images = tools, 3, []string{product.Archive}
			if release, is := strings.CutPrefix(row.name, other); is {
				row.options.Tools = kubernetes(t, release)
			}
			if row.flannel {
				if row.options.Flannel, err = build.Flannel(t.Context(), func(string, int, int) {}); err != nil {
					t.Fatal(err)
				}
			}
			k := up(t, row.options)
			if err := product.Install(t.Context(), k.Cluster, starling.Pool{Name: "default", Ranges: row.ranges}); err != nil {
				t.Fatal(err)
			}
			if err := workload.Everywhere(t.Context(), k.Cluster, backend); err != nil {
				t.Fatal(err)
			}
			if row.flannel {
				k.apart(t)
			}
			k.promise(t, len(row.ranges))
		})
	}
}

// kubernetes is the folder of the programs of another release, if that is wanted.
func kubernetes(t *testing.T, release string) string {
	t.Helper()
	if wanted := os.Getenv(variable); !strings.HasPrefix(wanted, other) {
		t.Skipf("compiles Kubernetes once more: make matrix ROW=%s%s", other, release)
	}
	tools, err := build.Kubernetes(t.Context(), release, func(string, int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	return tools
}

// kind is a cluster of one kind.
type kind struct {
	*cluster.Cluster
	watcher *probe.Watcher
}

// up makes the cluster until the test ends.
func up(t *testing.T, options cluster.Options) kind {
	t.Helper()
	c, err := cluster.Up(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			dir, err := c.SaveLogs("")
			t.Logf("logs: %s %v", dir, err)
		}
		if err := c.Down(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	w, err := probe.Watch(workload.Station(c.Client))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return kind{c, w}
}

// promise holds the whole promise: a Service gets an address of each family, one node answers for
// each, nobody notices that all speakers are replaced, and another node answers soon when that one
// is cut off.
func (k kind) promise(t *testing.T, families int) {
	t.Helper()
	policy := core.IPFamilyPolicyPreferDualStack
	s := workload.Service("matrix", backend, func(s *core.Service) { s.Spec.IPFamilyPolicy = &policy })
	if _, err := k.Kube.CoreV1().Services(workload.Namespace).Create(t.Context(), s, meta.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	ips, err := workload.Addresses(t.Context(), k.Cluster, "matrix", families)
	if err != nil {
		t.Fatal(err)
	}
	for _, ip := range ips {
		n := k.owner(t, ip, nil)
		t.Logf("%s is answered by %s", ip, n.Name)
		if err := workload.Programmed(t.Context(), k.Cluster, ip); err != nil {
			t.Fatal(err)
		}
	}
	k.healthy(t)
	for _, ip := range ips {
		k.replaced(t, ip)
		k.cut(t, ip)
	}
}

// owner waits until one node answers for the address, another one than this.
func (k kind) owner(t *testing.T, ip netip.Addr, but *cluster.Node) (n *cluster.Node) {
	t.Helper()
	k.until(t, "announcer of "+ip.String(), func(ctx context.Context) (err error) {
		n, err = workload.Owner(ctx, k.Cluster, k.watcher, ip)
		if err == nil && n == but {
			err = fmt.Errorf("still %s", n.Name)
		}
		return err
	})
	return n
}

func (k kind) until(t *testing.T, what string, ok func(context.Context) error) {
	t.Helper()
	if err := cluster.Until(t.Context(), 3*time.Minute, what, ok); err != nil {
		t.Fatal(err)
	}
}

// healthy waits until all speakers are well and name no problem.
func (k kind) healthy(t *testing.T) {
	t.Helper()
	k.until(t, "speakers without problems", func(ctx context.Context) error {
		for _, n := range k.Nodes {
			s, err := starling.StatusOf(ctx, k.Cluster, n)
			if err != nil {
				return err
			}
			if len(s.Problems) > 0 {
				return fmt.Errorf("%s: %q", n.Name, s.Problems)
			}
		}
		return starling.Steady(ctx, k.Cluster)
	})
}

// ask asks the address all the time, and has been answered.
func (k kind) ask(t *testing.T, network string, ip netip.Addr) *probe.Prober {
	t.Helper()
	p, err := probe.Start(probe.Config{Dial: k.Client.Dial, Network: network, Address: net.JoinHostPort(ip.String(), "80")})
	if err != nil {
		t.Fatal(err)
	}
	k.answered(t, p)
	return p
}

func (k kind) answered(t *testing.T, p *probe.Prober) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if err := p.Await(ctx, 100); err != nil {
		t.Fatal(err)
	}
}

// replaced restarts all speakers, one after the other.
func (k kind) replaced(t *testing.T, ip netip.Addr) {
	t.Helper()
	client := k.ask(t, "udp", ip)
	for _, args := range [][]string{{"rollout", "restart"}, {"rollout", "status", "--timeout=3m"}} {
		if out, err := k.Kubectl(t.Context(), "", append([]string{"-n", starling.Namespace}, append(args, "daemonset/"+starling.Name)...)...); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	k.until(t, "speakers", func(ctx context.Context) error { return starling.Joined(ctx, k.Cluster) })
	k.answered(t, client)
	report := client.Stop()
	t.Logf("%s, all speakers replaced: %s", ip, report)
	if report.Lost > 0 {
		t.Errorf("%d of %d questions were lost", report.Lost, report.Asked)
	}
}

// cut cuts the announcer off, whose backend nobody asks, and brings it back.
func (k kind) cut(t *testing.T, ip netip.Addr) {
	t.Helper()
	k.healthy(t)
	before := k.owner(t, ip, nil)
	if err := workload.Avoid(t.Context(), k.Cluster, backend, before); err != nil {
		t.Fatal(err)
	}
	client := k.ask(t, "tcp", ip)
	if err := before.Cut(); err != nil {
		t.Fatal(err)
	}
	after := k.owner(t, ip, before)
	k.answered(t, client)
	report := client.Stop()
	if err := before.Heal(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s, %s cut off, %s answers: %s", ip, before.Name, after.Name, report)
	if report.Gap > sudden {
		t.Errorf("the client waited %v, more than %v", report.Gap, sudden)
	}
	if err := workload.Avoid(t.Context(), k.Cluster, backend); err != nil {
		t.Fatal(err)
	}
	k.healthy(t)
}
