package attack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"testing"

	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/starling-lb/starling/e2e/build"
	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
	"github.com/starling-lb/starling/e2e/workload"
)

const (
	services = 16
	label    = "node.kubernetes.io/exclude-from-external-load-balancers"
)

var (
	shared  *cluster.Cluster // Set once by TestMain.
	product *starling.Product
	vips    []netip.Addr // Of the Services.
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := cluster.Possible(); err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		if os.Geteuid() != 0 && os.Getenv("CI") == "" {
			return 0
		}
		return 1
	}
	dir, err := os.MkdirTemp("", "starling-build-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := start(ctx, step.New(os.Stderr), dir); err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		return max(1, finish())
	}
	code := m.Run()
	if code != 0 {
		logs, err := shared.SaveLogs("")
		fmt.Fprintln(os.Stderr, "attack: logs of the cluster:", logs, err)
	}
	return max(code, finish())
}

// start makes the cluster, its speakers and the Services.
func start(ctx context.Context, p *step.Printer, dir string) error {
	if _, err := cluster.Sweep(ctx, false); err != nil {
		return err
	}
	tools, err := build.Tools(ctx, p.Count("compile"))
	if err != nil {
		return err
	}
	if product, err = starling.Make(ctx, dir); err != nil {
		return err
	}
	if shared, err = cluster.Up(ctx, cluster.Options{Tools: tools, Nodes: 4, Bare: true, Step: p.Do}); err != nil {
		return err
	}
	patch := []byte(`{"metadata": {"labels": {"` + label + `": ""}}}`)
	if _, err := shared.Kube.CoreV1().Nodes().Patch(ctx, shared.Nodes[3].Name, types.MergePatchType, patch, meta.PatchOptions{}); err != nil {
		return err
	}
	return p.Do(fmt.Sprintf("speakers are ready, %d Services have addresses", services), func() error {
		if err := product.RunProcesses(ctx, shared, starling.Pool{Name: "default", Ranges: []string{cluster.Pool4}}); err != nil {
			return err
		}
		return expose(ctx)
	})
}

// expose makes the Services and waits until all have an address.
func expose(ctx context.Context) error {
	for i := range services {
		if err := create(ctx, i); err != nil {
			return err
		}
	}
	for i := range services {
		ips, err := workload.Addresses(ctx, shared, name(i), 1)
		if err != nil {
			return err
		}
		vips = append(vips, ips...)
	}
	return nil
}

func name(i int) string { return fmt.Sprintf("web-%d", i) }

func create(ctx context.Context, i int) error {
	slice := &discovery.EndpointSlice{
		ObjectMeta:  meta.ObjectMeta{Name: name(i), Labels: map[string]string{discovery.LabelServiceName: name(i)}},
		AddressType: discovery.AddressTypeIPv4,
	}
	for _, n := range shared.Nodes {
		slice.Endpoints = append(slice.Endpoints, discovery.Endpoint{Addresses: []string{n.IP4.String()}, NodeName: &n.Name})
	}
	if _, err := shared.Kube.DiscoveryV1().EndpointSlices(workload.Namespace).Create(ctx, slice, meta.CreateOptions{}); err != nil {
		return err
	}
	s := workload.Service(name(i), name(i), func(s *core.Service) { s.Spec.Selector = nil })
	_, err := shared.Kube.CoreV1().Services(workload.Namespace).Create(ctx, s, meta.CreateOptions{})
	return err
}

// finish removes the cluster; what it leaves behind is a failure like any other.
func finish() int {
	if shared == nil {
		return 0
	}
	identity, err := shared.Identity()
	err = errors.Join(err, shared.Down(context.Background()))
	if err == nil {
		var traces []string
		if traces, err = identity.Traces(); err == nil && len(traces) > 0 {
			err = fmt.Errorf("left behind: %v", traces)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "attack:", err)
		return 1
	}
	return 0
}
