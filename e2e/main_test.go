package e2e

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
	"github.com/starling-lb/starling/e2e/workload"
)

// shared is the cluster of all tests here, set once by TestMain.
var shared *cluster.Cluster

// tools is the folder of the programs that clusters are made of, set once by TestMain.
var tools string

// product is what was built and installed, set once by TestMain.
var product *starling.Product

// pools are those that the cluster's speakers hand out addresses from.
func pools() []starling.Pool {
	return []starling.Pool{
		{Name: "default", Ranges: []string{cluster.Pool4, cluster.Pool6}},
		{Name: tiny, Ranges: []string{"198.18.66.1-198.18.66.2", "2001:db8:18::5:1-2001:db8:18::5:2"}},
		{Name: aside, Ranges: []string{cluster.SecondPool}},
	}
}

// backend is the workload behind all Services of the tests, with a pod on every node.
const backend = "echo"

// tiny is a pool of its own, of two addresses of each family.
const tiny = "tiny"

// aside is a pool on the second segment, which the nodes are on in some tests only.
const aside = "aside"

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

// testMain makes the cluster, runs the tests, and looks whether everything is gone afterwards.
func testMain(m *testing.M) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if handled, code := role(ctx); handled {
		return code
	}
	if err := cluster.Possible(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		if os.Geteuid() != 0 && os.Getenv("CI") == "" {
			return 0
		}
		return 1
	}
	dir, err := os.MkdirTemp("", "starling-build-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	c, err := start(ctx, step.New(os.Stderr), dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	shared = c
	code := runTests(ctx, m)
	if code != 0 && ctx.Err() == nil {
		logs, err := c.SaveLogs("")
		fmt.Fprintln(os.Stderr, "e2e: logs of the cluster:", logs, err)
	}
	return max(code, finish(c))
}

// runTests returns early when interrupted, so that the cluster is removed then too.
func runTests(ctx context.Context, m *testing.M) int {
	done := make(chan int, 1)
	go func() { done <- m.Run() }()
	select {
	case code := <-done:
		return code
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr, "e2e: interrupted")
		return 1
	}
}

// start builds everything, the product into dir, and makes a cluster with starling and the
// backends.
func start(ctx context.Context, p *step.Printer, dir string) (c *cluster.Cluster, err error) {
	if tools, product, err = starling.Prepare(ctx, p, dir); err != nil {
		return nil, err
	}
	c, err = cluster.Up(ctx, cluster.Options{Tools: tools, Nodes: 3, Images: []string{product.Archive}, Step: p.Do})
	if err != nil {
		return nil, err
	}
	if err := install(ctx, p, c); err != nil {
		logs, _ := c.SaveLogs("")
		fmt.Fprintln(os.Stderr, "e2e: logs of the cluster:", logs)
		finish(c)
		return nil, err
	}
	return c, nil
}

func install(ctx context.Context, p *step.Printer, c *cluster.Cluster) error {
	return p.Do("speakers and backends are ready", func() error {
		if err := product.Install(ctx, c, pools()...); err != nil {
			return err
		}
		return workload.Everywhere(ctx, c, backend)
	})
}

// finish removes the cluster; what it leaves behind is a failure like any other.
func finish(c *cluster.Cluster) int {
	identity, err := c.Identity()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	if err := c.Down(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	traces, err := identity.Traces()
	if err != nil || len(traces) > 0 {
		fmt.Fprintln(os.Stderr, "e2e: left behind:", traces, err)
		return 1
	}
	return 0
}
