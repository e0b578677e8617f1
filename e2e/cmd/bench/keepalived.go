package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/workload"
)

// virtual is the address that keepalived moves, beside those of starling, on the same nodes and the
// same wire.
var virtual = netip.MustParseAddr("198.18.65.1")

// external is the Service behind it: the way to the backends is the same as that of starling's
// Services.
func external(ctx context.Context, c *cluster.Cluster) error {
	s := workload.Service("external", backend, func(s *core.Service) {
		s.Spec.Type, s.Spec.ExternalIPs = core.ServiceTypeClusterIP, []string{virtual.String()}
	})
	if _, err := c.Kube.CoreV1().Services(workload.Namespace).Create(ctx, s, meta.CreateOptions{}); err != nil {
		return err
	}
	return workload.Programmed(ctx, c, virtual)
}

// keepalived measures the silent death of the master, with adverts as often as told.
func (f *faulter) keepalived(ctx context.Context, adverts string) (err error) {
	if err := haveKeepalived(); err != nil {
		return err
	}
	if err := workload.Avoid(ctx, f.c, backend, f.c.Nodes[0]); err != nil {
		return err
	}
	for i, n := range f.c.Nodes {
		if err := startKeepalived(ctx, f.c, n, 200-i, adverts); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stopKeepalived(n)) }()
	}
	g := *f
	g.ip = virtual
	return g.row(ctx, "keepalived: silent death, adverts every "+adverts+" s", func(ctx context.Context) (time.Duration, error) {
		master, err := g.master(ctx)
		if err != nil {
			return 0, err
		}
		return g.during(ctx, func() error { return g.cut(ctx, master) }, master.Heal)
	})
}

// master waits until the node of the highest priority has the address, alone.
func (f *faulter) master(ctx context.Context) (*cluster.Node, error) {
	first := f.c.Nodes[0]
	return first, cluster.Until(ctx, time.Minute, "master of "+f.ip.String(), func(ctx context.Context) error {
		macs, err := f.watcher.Who(ctx, 50*time.Millisecond, f.ip)
		if err == nil && (len(macs) != 1 || macs[0] != first.MAC.String()) {
			err = fmt.Errorf("%v answer", macs)
		}
		return err
	})
}

func haveKeepalived() error {
	if _, err := exec.LookPath("keepalived"); err != nil {
		return fmt.Errorf("%w: apt-get install keepalived", err)
	}
	return nil
}

func startKeepalived(ctx context.Context, c *cluster.Cluster, n *cluster.Node, priority int, adverts string) error {
	return runKeepalived(ctx, c, n, "", instance{"reference", 77, priority, virtual}.text(adverts))
}

// instance is one address that keepalived moves.
type instance struct {
	name         string
	id, priority int
	ip           netip.Addr
}

func (i instance) text(adverts string) string {
	return fmt.Sprintf(`vrrp_instance %s {
  state BACKUP
  interface %s
  virtual_router_id %d
  priority %d
  advert_int %s
  virtual_ipaddress {
    %s/16
  }
}
`, i.name, cluster.NIC, i.id, i.priority, adverts, i.ip)
}

// runKeepalived starts one with these instances. Several on one node need names that differ.
func runKeepalived(ctx context.Context, c *cluster.Cluster, n *cluster.Node, name, instances string) error {
	file := keepalivedFile(c, n, name+"conf")
	text := "global_defs {\n  script_user root\n  vrrp_version 3\n}\n" + instances
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	_, err := n.Run(ctx, "keepalived", "--vrrp", "--use-file", file, "--pid", keepalivedFile(c, n, name+"pid"), "--vrrp_pid", keepalivedFile(c, n, name+"vrrp.pid"))
	return err
}

func keepalivedFile(c *cluster.Cluster, n *cluster.Node, kind string) string {
	return filepath.Join(c.Dir, "keepalived-"+n.Name+"."+kind)
}

// stopKeepalived ends what runs on the node, and waits for it: on leaving it takes its address
// away.
func stopKeepalived(n *cluster.Node) error {
	pids, err := n.Pids("keepalived")
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if process, err := os.FindProcess(pid); err == nil {
			_ = process.Signal(os.Interrupt) // Its child may be gone with it.
		}
	}
	return cluster.Until(context.Background(), 10*time.Second, "end of keepalived on "+n.Name, func(context.Context) error {
		pids, err := n.Pids("keepalived")
		if err == nil && len(pids) > 0 {
			err = fmt.Errorf("%s still run", strings.Trim(fmt.Sprint(pids), "[]"))
		}
		return err
	})
}
