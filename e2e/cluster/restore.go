package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A Backup is a copy of what etcd held.
type Backup struct{ dir string }

// Backup copies what etcd holds. The control plane stands still meanwhile.
func (c *Cluster) Backup(ctx context.Context) (Backup, error) {
	b := Backup{filepath.Join(c.Dir, "control", "backup")}
	if err := c.stopControl(ctx); err != nil {
		return b, err
	}
	if err := os.RemoveAll(b.dir); err != nil {
		return b, err
	}
	if err := os.CopyFS(b.dir, os.DirFS(c.etcdDir())); err != nil {
		return b, fmt.Errorf("copy of etcd: %w", err)
	}
	return b, c.goOn(ctx)
}

// Restore sets etcd back to the copy and starts the control plane anew, all of it, as Kubernetes
// asks for.
func (c *Cluster) Restore(ctx context.Context, b Backup) error {
	if err := c.stopControl(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(c.etcdDir()); err != nil {
		return err
	}
	if err := os.CopyFS(c.etcdDir(), os.DirFS(b.dir)); err != nil {
		return fmt.Errorf("copy of etcd: %w", err)
	}
	return c.goOn(ctx)
}

func (c *Cluster) etcdDir() string { return filepath.Join(c.Dir, "control", "etcd") }

// controlPlane are its programs in the order in which they are started.
func controlPlane() []string {
	return []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
}

func (c *Cluster) stopControl(ctx context.Context) error {
	names := controlPlane()
	for i := range names {
		name := names[len(names)-1-i]
		signal := syscall.SIGKILL
		if name == "etcd" {
			signal = syscall.SIGTERM // Its files are copied.
		}
		if err := c.controlProcess(name).stop(ctx, signal); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) goOn(ctx context.Context) error {
	for _, name := range controlPlane() {
		if err := c.controlProcess(name).start(); err != nil {
			return err
		}
		if name != "kube-apiserver" {
			continue
		}
		if err := Until(ctx, 60*time.Second, "API server", c.apiReady); err != nil { // The others do not run yet.
			return err
		}
	}
	return nil
}

func (c *Cluster) controlProcess(name string) *process {
	for _, p := range c.control.processes {
		if p.name == name {
			return p
		}
	}
	panic("no process " + name)
}

// Revision returns the present one of etcd, as the API server tells it.
func (c *Cluster) Revision(ctx context.Context) (uint64, error) {
	list, err := c.Kube.CoreV1().Namespaces().List(ctx, meta.ListOptions{Limit: 1})
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(list.ResourceVersion, 10, 64)
}

// WritePast writes what concerns nobody until the revision is beyond the given one.
func (c *Cluster) WritePast(ctx context.Context, revision uint64) error {
	for i := 0; ; i++ {
		patch := fmt.Sprintf(`{"metadata": {"annotations": {"starling-e2e/written": "%d"}}}`, i)
		o, err := c.Kube.CoreV1().Namespaces().Patch(ctx, "kube-public", types.MergePatchType, []byte(patch), meta.PatchOptions{})
		if err != nil {
			return err
		}
		if now, err := strconv.ParseUint(o.ResourceVersion, 10, 64); err != nil || now > revision {
			return err
		}
	}
}

// HideAPI keeps everybody but us from the API server, until ShowAPI.
func (c *Cluster) HideAPI(ctx context.Context) error { return c.dropAtAPI(ctx, `iifname != "lo"`) }

// HideAPIFrom keeps a node from it.
func (c *Cluster) HideAPIFrom(ctx context.Context, n *Node) error {
	return c.dropAtAPI(ctx, "ip saddr "+n.IP4.String())
}

func (c *Cluster) dropAtAPI(ctx context.Context, from string) error {
	rules := fmt.Sprintf(`add table inet %[1]s
add chain inet %[1]s in { type filter hook input priority -10; }
add rule inet %[1]s in %[2]s tcp dport 6443 drop`, faultTable, from)
	return c.onControl(ctx, rules)
}

// ShowAPI undoes HideAPI and HideAPIFrom.
func (c *Cluster) ShowAPI(ctx context.Context) error {
	return c.onControl(ctx, "delete table inet "+faultTable)
}

func (c *Cluster) onControl(ctx context.Context, rules string) error {
	_, err := run(ctx, c.control.host.Space, searchPath(filepath.Join(c.Dir, "bin")), "nft", rules)
	return err
}

// Restart ends a program of the node and starts it again.
func (n *Node) Restart(ctx context.Context, name string) error {
	for _, p := range n.processes {
		if p.name != name {
			continue
		}
		if err := p.stop(ctx, syscall.SIGTERM); err != nil {
			return err
		}
		return p.start()
	}
	return fmt.Errorf("node %s runs no %s", n.Name, name)
}
