package attack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"sync"
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
	services = 500 // What a status shows when the port is attacked.
	pool     = "198.18.64.0/22"
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
	tools, err := build.Tools(ctx, p.Count())
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
		if err := product.RunProcesses(ctx, shared, starling.Pool{Name: "default", Ranges: []string{pool}}); err != nil {
			return err
		}
		vips, err = expose(ctx, "web", services, asIs)
		return err
	})
}

// expose makes so many Services, some at a time, and waits until all have an address. A function
// may change each.
func expose(ctx context.Context, name string, size int, change func(i int, s *core.Service)) ([]netip.Addr, error) {
	const width = 16
	ips, errs := make([]netip.Addr, size), make([]error, width)
	var tasks sync.WaitGroup
	for task := range width {
		tasks.Go(func() {
			for i := task; i < size && errs[task] == nil; i += width {
				ips[i], errs[task] = create(ctx, numbered(name, i), func(s *core.Service) { change(i, s) })
			}
		})
	}
	tasks.Wait()
	return ips, errors.Join(errs...)
}

func numbered(name string, i int) string { return fmt.Sprintf("%s-%d", name, i) }

// asIs changes nothing.
func asIs(int, *core.Service) {}

// create makes a Service with an endpoint on every node, and waits for its address.
func create(ctx context.Context, name string, change func(*core.Service)) (netip.Addr, error) {
	slice := &discovery.EndpointSlice{
		ObjectMeta:  meta.ObjectMeta{Name: name, Labels: map[string]string{discovery.LabelServiceName: name}},
		AddressType: discovery.AddressTypeIPv4,
	}
	for _, n := range shared.Nodes {
		slice.Endpoints = append(slice.Endpoints, discovery.Endpoint{Addresses: []string{n.IP4.String()}, NodeName: &n.Name})
	}
	if _, err := shared.Kube.DiscoveryV1().EndpointSlices(workload.Namespace).Create(ctx, slice, meta.CreateOptions{}); err != nil {
		return netip.Addr{}, err
	}
	return workload.Expose(ctx, shared, name, func(s *core.Service) { s.Spec.Selector = nil }, change)
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
