package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/starling-lb/starling/e2e/build"
)

// Node is a host that runs containerd, kubelet and kube-proxy.
type Node struct {
	*Host
	Second    *Host  // Its interface on the second segment; nil: it has none.
	dir       string // Its part of the state folder.
	bin       string // The programs, as seen from inside.
	processes []*process

	healthPort int    // Of kube-proxy.
	pods       string // Ranges of pods, for kube-proxy.
}

// healthPort is the port on which kube-proxy says that it is up. silentPort is that of a kube-proxy
// which stands for a replacement of it: such ones say nothing on healthPort.
const (
	healthPort = 10256
	silentPort = 20256
)

// privateDirs are places with a fixed name that programs of a node write to, or that pods mount;
// each node has its own, made in its part of the state folder. They exist on every machine. That
// /etc is one of them keeps the machine's resolver out, which may be a link into the hidden /run.
func privateDirs() []string { return []string{"/etc", "/run", "/var/lib", "/var/log"} }

// etc is what programs of a node look for in /etc.
func etc() map[string]string {
	libraries, _ := os.ReadFile("/etc/ld.so.cache") // For runc and nft, if the machine has one.
	return map[string]string{
		"hosts": "127.0.0.1 localhost\n::1 localhost\n", "resolv.conf": "# There is no way out of here.\n",
		"passwd": "root:x:0:0:root:/:/bin/sh\n", "group": "root:x:0:\n", "ld.so.cache": string(libraries),
		// Else nft speaks in numbers, also to kube-proxy.
		"protocols": "icmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\nipv6-icmp 58 IPv6-ICMP\nsctp 132 SCTP\n",
	}
}

// furnish gives the node its programs and its own private folders.
func (n *Node) furnish(c *Cluster) error {
	n.bin = filepath.Join(c.Dir, "bin")
	if err := errors.Join(bindTools(c, n.Space), n.bindPlugins(c)); err != nil {
		return err
	}
	for _, dir := range append(privateDirs(), "conf/cni") {
		if err := os.MkdirAll(filepath.Join(n.dir, dir), 0o755); err != nil {
			return err
		}
	}
	for name, text := range etc() {
		if err := os.WriteFile(filepath.Join(n.dir, "etc", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if err := n.linkAlternatives(); err != nil {
		return err
	}
	if err := n.writeConfig(c); err != nil {
		return err
	}
	if !c.PodNetwork() {
		if err := n.writeNetwork(noNetwork); err != nil {
			return err
		}
	}
	if err := n.pretendKernelSettings(); err != nil {
		return err
	}
	for _, dir := range privateDirs() {
		if err := n.Space.Bind(filepath.Join(n.dir, dir), dir); err != nil {
			return err
		}
	}
	return nil
}

// linkAlternatives makes the links that lead Debian's iptables to one of its variants, as far as
// the machine has them.
func (n *Node) linkAlternatives() error {
	dir := filepath.Join(n.dir, "etc", "alternatives")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, program := range []string{"iptables", "ip6tables"} {
		for _, name := range []string{program, program + "-save", program + "-restore"} {
			variant, err := os.Readlink(filepath.Join("/etc/alternatives", name))
			if err != nil {
				continue
			}
			if err := os.Symlink(variant, filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
		}
	}
	return nil
}

// pretendKernelSettings lets kubelet find the settings it insists on. It would else change them for
// the whole machine, and some are nasty: one lets the machine panic when a driver stumbles.
func (n *Node) pretendKernelSettings() error {
	for name, value := range map[string]string{
		"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
		"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
	} {
		file := n.conf(filepath.Base(name))
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := n.Space.Bind(file, "/proc/sys/"+name); err != nil {
			return err
		}
	}
	return nil
}

func (n *Node) conf(name string) string { return filepath.Join(n.dir, "conf", name) }

// writeConfig writes the files that do not depend on certificates.
func (n *Node) writeConfig(c *Cluster) error {
	return errors.Join(
		os.WriteFile(n.conf("containerd.toml"), fmt.Appendf(nil, containerdConfig, build.PauseImage, c.plugins(), n.conf("cni"), n.bin), 0o644),
		os.WriteFile(n.conf("kubelet.yaml"), fmt.Appendf(nil, kubeletConfig, n.conf("ca.crt"), cgroup(n)), 0o644),
		n.writeProxyConfig(cmp.Or(c.options.Proxy, "nftables")),
	)
}

func (n *Node) writeProxyConfig(mode string) error {
	return os.WriteFile(n.conf("proxy.yaml"), fmt.Appendf(nil, proxyConfig, mode, n.Name, n.conf("proxy.kubeconfig"), n.healthPort, n.pods), 0o644)
}

// ProxyMode restarts kube-proxy of the node in a mode: nftables, as it is at first, or iptables. It
// removes the rules of the other mode.
func (n *Node) ProxyMode(ctx context.Context, mode string) error {
	if err := n.writeProxyConfig(mode); err != nil {
		return err
	}
	if err := n.End(ctx, "kube-proxy", syscall.SIGTERM); err != nil {
		return err
	}
	return n.Again("kube-proxy")
}

// cgroup is the parent of all containers of the node, so that they can be found and removed.
func cgroup(n *Node) string { return "/" + n.network.prefix + "nodes/" + n.Name }

const containerdConfig = `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing", "io.containerd.internal.v1.opt"]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "native" # Works on every file system; our images are one file each.
  use_local_image_pull = true # The other way to pull wants overlayfs.
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = %q
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true # Some machines lack CAP_SYS_RESOURCE.
  disable_apparmor = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = [%q]
    conf_dir = %q
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    runtime_path = "%s/containerd-shim-runc-v2"
`

// kubeletConfig: the machine's cgroups are not managed (cgroupsPerQOS, enforceNodeAllocatable), its
// settings are left alone (KubeletInUserNamespace tolerates what is not possible), and nothing is
// evicted because its disk is full.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: %s}}
authorization: {mode: AlwaysAllow}
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: %s
cgroupsPerQOS: false
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
localStorageCapacityIsolation: false
featureGates: {KubeletInUserNamespace: true}
oomScoreAdj: 0
makeIPTablesUtilChains: false
resolvConf: ""
volumePluginDir: /var/lib/kubelet/volume-plugins
evictionHard: {memory.available: "0%%", nodefs.available: "0%%", imagefs.available: "0%%", nodefs.inodesFree: "0%%"}
imageGCHighThresholdPercent: 100
kubeAPIQPS: 100
kubeAPIBurst: 200
nodeStatusMaxImages: -1
syncFrequency: 2s # How soon a changed ConfigMap reaches its files.
`

const proxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: %s
hostnameOverride: %s
clientConnection: {kubeconfig: %s, qps: 100, burst: 200}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
healthzBindAddress: "[::]:%d"
clusterCIDR: %q
nftables: {minSyncPeriod: 100ms}
iptables: {minSyncPeriod: 100ms, localhostNodePorts: false}
oomScoreAdj: 0
`

// startContainerd starts it and imports the images.
func (n *Node) startContainerd(ctx context.Context, c *Cluster) error {
	if err := n.startTool(c, "containerd", "--config", n.conf("containerd.toml")); err != nil {
		return err
	}
	err := Until(ctx, 30*time.Second, "containerd", func(ctx context.Context) error {
		if err := n.alive(); err != nil {
			return &finalError{err}
		}
		_, err := n.Run(ctx, "ctr", "version")
		return err
	})
	if err != nil {
		return err
	}
	tools := c.options.Tools
	for _, archive := range append([]string{filepath.Join(tools, "pause.tar"), filepath.Join(tools, "echo.tar")}, c.options.Images...) {
		if err := n.importImage(ctx, archive); err != nil {
			return err
		}
	}
	return nil
}

// Import carries the image of an archive to every node.
func (c *Cluster) Import(ctx context.Context, archive string) error {
	for _, n := range c.Nodes {
		if err := n.importImage(ctx, archive); err != nil {
			return err
		}
	}
	return nil
}

// importImage carries the archive into the node's containerd; the path is one of the machine.
func (n *Node) importImage(ctx context.Context, archive string) error {
	inside := filepath.Join(n.dir, "conf", filepath.Base(archive))
	if err := os.Link(archive, inside); err != nil {
		if err := copyFile(archive, inside); err != nil {
			return fmt.Errorf("import %s: %w", archive, err)
		}
	}
	defer os.Remove(inside)
	_, err := n.Run(ctx, "ctr", "-n", "k8s.io", "images", "import", "--local", "--snapshotter", "native", inside)
	return err
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}

// startKubernetes starts kubelet and kube-proxy.
func (n *Node) startKubernetes(c *Cluster, ca *authority) error {
	for _, err := range []error{
		os.WriteFile(n.conf("ca.crt"), ca.pem, 0o644),
		ca.kubeconfig(n.conf("kubelet.kubeconfig"), c.server(), "system:node:"+n.Name, "system:nodes"),
		ca.kubeconfig(n.conf("proxy.kubeconfig"), c.server(), "system:kube-proxy"),
		n.startTool(c, "kubelet", "--config", n.conf("kubelet.yaml"), "--kubeconfig", n.conf("kubelet.kubeconfig"),
			"--hostname-override", n.Name, "--node-ip", n.addrs(), "--root-dir", "/var/lib/kubelet"),
		n.startTool(c, "kube-proxy", "--config", n.conf("proxy.yaml")),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// startTool starts a program of the cluster.
func (n *Node) startTool(c *Cluster, name string, flags ...string) error {
	return n.Start(c, name, filepath.Join(n.bin, name), flags...)
}

// Start starts a program on the node, which is to run until the node is removed. Its output goes to
// the logs under that name.
func (n *Node) Start(c *Cluster, name, program string, flags ...string) error {
	p := &process{
		name: name, space: n.Space, log: filepath.Join(c.logDir(), n.Name+"-"+name+".log"), path: searchPath(n.bin),
		argv: append([]string{program}, flags...),
	}
	n.processes = append(n.processes, p)
	return p.start()
}

// End sends a signal to a program that Start has started on the node, and waits until it has ended.
// Again starts it once more.
func (n *Node) End(ctx context.Context, name string, signal syscall.Signal) error {
	p, err := n.program(name)
	if err != nil {
		return err
	}
	return p.stop(ctx, signal)
}

// Again starts a program of the node that has ended.
func (n *Node) Again(name string) error {
	p, err := n.program(name)
	if err != nil {
		return err
	}
	return p.start()
}

func (n *Node) program(name string) (*process, error) {
	for _, p := range n.processes {
		if p.name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("node %s runs no %s", n.Name, name)
}

func (n *Node) alive() error {
	for _, p := range n.processes {
		if err := p.alive(); err != nil {
			return err
		}
	}
	return nil
}

// Run executes a command on the node, where it finds the node's programs first, and returns its
// output.
func (n *Node) Run(ctx context.Context, argv ...string) (string, error) {
	return run(ctx, n.Space, searchPath(n.bin), argv...)
}
