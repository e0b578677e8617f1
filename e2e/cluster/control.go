package cluster

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Ranges of ClusterIPs; hosts route them by their default route, kube-proxy translates them.
const (
	services4 = "198.19.0.0/18"
	services6 = "2001:db8:19::/112"
	kubeIP    = "198.19.0.1" // Of the Service "kubernetes".
	kubeIP6   = "2001:db8:19::1"
)

// server is the URL of the API server.
func (c *Cluster) server() string {
	return "https://" + net.JoinHostPort(c.control.host.Addr().String(), "6443")
}

// serviceRanges are those of ClusterIPs.
func (c *Cluster) serviceRanges() string {
	if c.options.Only6 {
		return services6
	}
	return services4 + "," + services6
}

// control is the host of the control plane and what runs there.
type control struct {
	host      *Host
	processes []*process
	apiserver *process
}

// startControl starts etcd, the API server, the controller manager, the scheduler and the way to
// them.
func (c *Cluster) startControl(ctx context.Context, ca *authority) error {
	dir := filepath.Join(c.Dir, "control")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := c.writeCredentials(ca, dir); err != nil {
		return err
	}
	if err := c.startRelay(ca); err != nil {
		return err
	}
	if _, err := c.startControlProcess("etcd", etcdFlags(dir)); err != nil {
		return err
	}
	var err error
	if c.control.apiserver, err = c.startControlProcess("kube-apiserver", c.apiserverFlags(dir)); err != nil {
		return err
	}
	if err := c.waitAPI(ctx); err != nil {
		return err
	}
	if _, err = c.startControlProcess("kube-controller-manager", c.managerFlags(dir)); err != nil {
		return err
	}
	_, err = c.startControlProcess("kube-scheduler", []string{
		"--kubeconfig=" + dir + "/scheduler.kubeconfig", "--leader-elect=false", "--bind-address=127.0.0.1",
		"--authentication-kubeconfig=" + dir + "/scheduler.kubeconfig", "--authorization-kubeconfig=" + dir + "/scheduler.kubeconfig",
	})
	return err
}

// writeCredentials makes what the programs of the control plane know each other by.
func (c *Cluster) writeCredentials(ca *authority, dir string) error {
	if err := os.WriteFile(dir+"/ca.crt", ca.pem, 0o644); err != nil {
		return err
	}
	local := "https://127.0.0.1:6443"
	for _, err := range []error{
		ca.write(dir, "apiserver", "kube-apiserver", nil, "127.0.0.1", "localhost", "198.18.0.1", "2001:db8:18::1", kubeIP, kubeIP6,
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"),
		ca.write(dir, "to-kubelet", "kube-apiserver", []string{"system:masters"}),
		ca.write(dir, "accounts", "service-accounts", nil),
		ca.kubeconfig(dir+"/manager.kubeconfig", local, "system:kube-controller-manager"),
		ca.kubeconfig(dir+"/scheduler.kubeconfig", local, "system:kube-scheduler"),
	} {
		if err != nil {
			return fmt.Errorf("credentials: %w", err)
		}
	}
	return nil
}

func etcdFlags(dir string) []string {
	return []string{
		"--data-dir=" + dir + "/etcd", "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
		"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
		"--initial-cluster=default=http://127.0.0.1:2380",
	}
}

func (c *Cluster) apiserverFlags(dir string) []string {
	_ = os.WriteFile(dir+"/audit.yaml", []byte(auditPolicy), 0o644)
	return []string{
		"--etcd-servers=http://127.0.0.1:2379", "--advertise-address=" + c.control.host.Addr().String(), "--secure-port=6443",
		"--service-cluster-ip-range=" + c.serviceRanges(),
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--allow-privileged=true",
		"--client-ca-file=" + dir + "/ca.crt", "--tls-cert-file=" + dir + "/apiserver.crt", "--tls-private-key-file=" + dir + "/apiserver.key",
		"--kubelet-client-certificate=" + dir + "/to-kubelet.crt", "--kubelet-client-key=" + dir + "/to-kubelet.key",
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + dir + "/accounts.crt", "--service-account-signing-key-file=" + dir + "/accounts.key",
		"--audit-policy-file=" + dir + "/audit.yaml", "--audit-log-path=" + c.AuditLog(),
	}
}

// auditPolicy records who wrote the status of a Service and when, to the microsecond.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitManagedFields: true
rules:
- level: Request
  verbs: [patch, update]
  resources: [{group: "", resources: [services, services/status]}]
- level: None
`

// AuditLog is the file in which the API server records writes of Services, one JSON event per line.
func (c *Cluster) AuditLog() string { return filepath.Join(c.logDir(), "audit.log") }

func (c *Cluster) managerFlags(dir string) []string {
	return []string{
		"--kubeconfig=" + dir + "/manager.kubeconfig", "--leader-elect=false", "--bind-address=127.0.0.1",
		"--authentication-kubeconfig=" + dir + "/manager.kubeconfig", "--authorization-kubeconfig=" + dir + "/manager.kubeconfig",
		"--root-ca-file=" + dir + "/ca.crt", "--service-account-private-key-file=" + dir + "/accounts.key",
		"--use-service-account-credentials", fmt.Sprintf("--allocate-node-cidrs=%t", c.PodNetwork()), "--cluster-cidr=" + c.podRanges(),
		"--kube-api-qps=500", "--kube-api-burst=1000",
	}
}

func (c *Cluster) startControlProcess(name string, flags []string) (*process, error) {
	bin := filepath.Join(c.Dir, "bin")
	p := &process{
		name: name, space: c.control.host.Space, log: filepath.Join(c.logDir(), name+".log"), path: searchPath(bin),
		argv: append([]string{filepath.Join(bin, name)}, flags...),
	}
	c.control.processes = append(c.control.processes, p)
	return p, p.start()
}

// startRelay opens a port on the machine's loopback that leads to the API server, and writes the
// kubeconfig.
func (c *Cluster) startRelay(ca *authority) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	defer file.Close()
	bin := filepath.Join(c.Dir, "bin")
	p := &process{
		name: "relay", space: c.control.host.Space, log: filepath.Join(c.logDir(), "relay.log"), path: searchPath(bin),
		argv: []string{filepath.Join(bin, "relay"), "127.0.0.1:6443"}, files: []*os.File{file},
	}
	if err := p.start(); err != nil {
		return err
	}
	c.control.processes = append(c.control.processes, p)
	if err := ca.kubeconfig(c.Kubeconfig, "https://"+l.Addr().String(), "admin", "system:masters"); err != nil {
		return err
	}
	return c.client()
}

// waitAPI waits until the API server says that it is ready.
func (c *Cluster) waitAPI(ctx context.Context) error {
	return Until(ctx, 60*time.Second, "API server", func(ctx context.Context) error {
		for _, p := range c.control.processes {
			if err := p.alive(); err != nil {
				return &finalError{err}
			}
		}
		return c.apiReady(ctx)
	})
}

// apiReady asks the API server whether it is.
func (c *Cluster) apiReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return c.Kube.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

// StopAPI kills the API server; StartAPI starts it again and waits for it.
func (c *Cluster) StopAPI(ctx context.Context) error {
	return c.control.apiserver.stop(ctx, syscall.SIGKILL)
}

// DistrustTokens starts the API server anew with another key for the tokens of ServiceAccounts, so
// that it answers 401 to whoever comes with one that it gave before. Certificates stay good. The
// returned function undoes it.
func (c *Cluster) DistrustTokens(ctx context.Context) (trust func(context.Context) error, err error) {
	own := c.control.apiserver.argv
	others := slices.Clone(own)
	for i := range others {
		others[i] = strings.ReplaceAll(others[i], "/accounts.", "/apiserver.")
	}
	trust = func(ctx context.Context) error { return c.restartAPI(ctx, own) }
	return trust, c.restartAPI(ctx, others)
}

// RestartControllers starts the controllers anew, which look again only after up to a minute when
// the API server was away.
func (c *Cluster) RestartControllers(ctx context.Context) error {
	manager := c.controlProcess("kube-controller-manager")
	if err := manager.stop(ctx, syscall.SIGKILL); err != nil {
		return err
	}
	return manager.start()
}

func (c *Cluster) restartAPI(ctx context.Context, argv []string) error {
	if err := c.StopAPI(ctx); err != nil {
		return err
	}
	c.control.apiserver.argv = argv
	return c.StartAPI(ctx)
}

// PodTime is how long Kubernetes may take for a new pod. When the API server has been away some
// times within minutes, its controllers and kubelet look again only after up to a minute, and a pod
// needs three of them.
const PodTime = 4 * time.Minute

// StartAPI starts the API server that StopAPI has ended.
func (c *Cluster) StartAPI(ctx context.Context) error {
	if err := c.control.apiserver.start(); err != nil {
		return err
	}
	return c.waitAPI(ctx)
}
