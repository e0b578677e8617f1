// Package cluster runs a real Kubernetes on one machine, in seconds, and removes it without a
// trace.
//
//	             segment 198.18.0.0/16, 2001:db8:18::/64
//	    ┌───────────┬──────────────┬──────────────┬───── switch (a bridge) ──┐
//	control .0.1   n1 .0.11       n2 .0.12       n3 .0.13            client .0.100
//	etcd           containerd     containerd     containerd          (the tests' sockets)
//	kube-apiserver kubelet        kubelet        kubelet
//	kube-…         kube-proxy     kube-proxy     kube-proxy
//
// Every box is a space of package netspace: a network namespace, and for control and nodes also
// PID, mount and UTS namespaces. The switch is one too, so the machine itself sees no new link, no
// new mount and no new address; only the API server is carried to a port of its loopback. The
// spaces have no way out.
//
// State is kept in one folder under the temporary directory, with a lock that lives as long as the
// program which made the cluster; Sweep removes what crashed programs left. Images come as
// archives, because no registry can be reached; pods use the host's network, because that needs no
// network plugin, unless the options name one.
package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/starling-lb/starling/e2e/netspace"
)

// prefix begins the name of everything that a cluster leaves on the machine while it runs.
const prefix = "starling-e2e-"

// Options say what to run.
type Options struct {
	Tools  string   // Folder made by build.Tools.
	Nodes  int      // Number of nodes, at most 80.
	Bare   bool     // Nodes without containerd, kubelet and kube-proxy: places for processes (see Node.Start).
	Images []string // Archives that every node imports, besides pause and echo.
	Keep   bool     // Outlive the calling program.
	Only6  bool     // Hosts and Services have no IPv4 address.
	Proxy  string   // Mode of kube-proxy, nftables or iptables; nftables when empty.
	// Flannel is the folder made by build.Flannel. With it pods have addresses of their own, unless
	// they ask for the host's network; without it all have to ask for that.
	Flannel string
	// NoHealth has kube-proxy say nothing on its port for that, as its replacements do.
	NoHealth bool
	// Step runs one part of the work and may tell the user; nil runs it silently.
	Step func(what string, work func() error) error
}

// Cluster is a running one.
type Cluster struct {
	ID         string // Distinguishes clusters on one machine.
	Dir        string // State folder.
	Kubeconfig string // File that reaches the API server from the machine.
	Kube       kubernetes.Interface
	Nodes      []*Node
	Client     *Host // The host outside the cluster that the tests ask from.

	options Options
	lock    *os.File
	network *network
	control *control
	users   *authority // Makes certificates for users.
}

// Up makes a cluster whose nodes are ready. After an error nothing is left but the logs, whose
// folder the error names.
func Up(ctx context.Context, options Options) (*Cluster, error) {
	if options.Step == nil {
		options.Step = func(_ string, work func() error) error { return work() }
	}
	if err := Possible(); err != nil {
		return nil, err
	}
	c, err := prepare(options)
	if err != nil {
		return nil, err
	}
	if err := c.up(ctx); err != nil {
		logs, _ := c.SaveLogs("")
		return nil, errors.Join(fmt.Errorf("%w (logs: %s)", err, logs), c.Down(context.WithoutCancel(ctx)))
	}
	return c, nil
}

// Possible returns what this machine or user lacks for a cluster, in words.
func Possible() error {
	if os.Geteuid() != 0 {
		return errors.New("needs root, because it makes network namespaces and runs containers: use sudo")
	}
	for _, program := range []string{"runc", "nft", "mount"} {
		if _, err := lookPath(program, searchPath("")); err != nil {
			return fmt.Errorf("%s is not installed: run scripts/deps", program)
		}
	}
	return nil
}

// Tools returns the folder of the programs that the cluster runs, kubectl among them.
func (c *Cluster) Tools() string { return c.options.Tools }

// prepare makes the state folder and takes its lock.
func prepare(options Options) (*Cluster, error) {
	id := strings.ToLower(rand.Text()[:5])
	dir := filepath.Join(os.TempDir(), prefix+id)
	for _, private := range privateDirs() {
		if strings.HasPrefix(dir, private+"/") {
			return nil, fmt.Errorf("state folder %s is beneath %s, which nodes hide: set TMPDIR", dir, private)
		}
	}
	if err := errors.Join(os.Mkdir(dir, 0o755), os.Mkdir(filepath.Join(dir, "logs"), 0o755), os.Mkdir(filepath.Join(dir, "bin"), 0o755), os.Mkdir(filepath.Join(dir, "cni"), 0o755)); err != nil {
		return nil, err
	}
	lock, err := takeLock(dir)
	if err != nil {
		return nil, err
	}
	c := &Cluster{ID: id, Dir: dir, Kubeconfig: filepath.Join(dir, "kubeconfig"), options: options, lock: lock}
	if options.Keep {
		err = os.WriteFile(filepath.Join(dir, keepMark), nil, 0o644)
	}
	return c, err
}

func (c *Cluster) up(ctx context.Context) error {
	err := c.options.Step("a switch, a client and the spaces of the nodes", func() (err error) {
		if c.users, err = newAuthority(); err != nil {
			return err
		}
		return c.makePlaces()
	})
	if err != nil {
		return err
	}
	err = c.options.Step("etcd and the API server", func() error {
		// Nodes get their images meanwhile; waiting for the API server leaves time for that.
		return inParallel(func() error { return c.startControl(ctx, c.users) }, func() error {
			if c.options.Bare {
				return nil
			}
			return eachNode(c.Nodes, func(n *Node) error { return n.startContainerd(ctx, c) })
		})
	})
	if err != nil {
		return err
	}
	if c.options.Bare {
		return c.options.Step(fmt.Sprintf("%d nodes are registered", len(c.Nodes)), func() error { return c.register(ctx) })
	}
	return c.options.Step(fmt.Sprintf("%d nodes are ready", len(c.Nodes)), func() error {
		err := eachNode(c.Nodes, func(n *Node) error { return n.startKubernetes(c, c.users) })
		if err != nil {
			return err
		}
		if err := c.startFlannel(ctx); err != nil {
			return err
		}
		return c.waitReady(ctx)
	})
}

// makePlaces makes all spaces and connects them.
func (c *Cluster) makePlaces() (err error) {
	if c.network, err = newNetwork(prefix + c.ID + "-"); err != nil {
		return err
	}
	place := func(name string, v4, v6 string) (*Host, error) {
		ip4 := netip.MustParseAddr(v4)
		if c.options.Only6 {
			ip4 = netip.Addr{}
		}
		return c.network.add(name, ip4, netip.MustParseAddr(v6))
	}
	controlHost, err := place("control", "198.18.0.1", "2001:db8:18::1")
	if err != nil {
		return err
	}
	c.control = &control{host: controlHost}
	if c.Client, err = place("client", "198.18.0.100", "2001:db8:18::100"); err != nil {
		return err
	}
	for i := range c.options.Nodes {
		host, err := place(fmt.Sprintf("n%d", i+1), fmt.Sprintf("198.18.0.%d", 11+i), fmt.Sprintf("2001:db8:18::%d", 11+i))
		if err != nil {
			return err
		}
		n := &Node{Host: host, dir: filepath.Join(c.Dir, host.Name), healthPort: healthPort}
		n.pods = c.podRanges()
		if c.options.NoHealth {
			n.healthPort = silentPort
		}
		c.Nodes = append(c.Nodes, n)
	}
	return c.boot()
}

// boot gives control and nodes their first process and a private view of the file system.
func (c *Cluster) boot() error {
	pause := filepath.Join(c.options.Tools, "pause")
	if err := c.control.host.Space.Boot(pause, "control", c.options.Keep); err != nil {
		return err
	}
	if err := bindTools(c, c.control.host.Space); err != nil {
		return err
	}
	return eachNode(c.Nodes, func(n *Node) error {
		if err := n.Space.Boot(pause, n.Name, c.options.Keep); err != nil {
			return err
		}
		return n.furnish(c)
	})
}

// client makes the typed client from the kubeconfig.
func (c *Cluster) client() error {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1                           // No limit: what is measured is not to wait for the one who measures.
	config.WarningHandler = rest.NoWarnings{} // They would stand between the figures.
	c.Kube, err = kubernetes.NewForConfig(config)
	return err
}

// Node returns the node of that name, nil if there is none.
func (c *Cluster) Node(name string) *Node {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// spaces returns what has been made so far, nodes first.
func (c *Cluster) spaces() []*netspace.Space {
	var all []*netspace.Space
	for _, n := range c.Nodes {
		all = append(all, n.Space)
	}
	if c.network != nil {
		for _, h := range c.network.hosts {
			if c.Node(h.Name) == nil {
				all = append(all, h.Space)
			}
		}
		all = append(all, c.network.space)
	}
	return all
}

// bindTools shows the programs at a place in the state folder, because their own may be hidden in
// the space.
func bindTools(c *Cluster, space *netspace.Space) error {
	return space.Bind(c.options.Tools, filepath.Join(c.Dir, "bin"))
}
