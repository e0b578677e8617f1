package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// waitReady waits until every node is Ready and its kube-proxy has programmed the rules once.
func (c *Cluster) waitReady(ctx context.Context) error {
	return Until(ctx, 60*time.Second, "nodes", func(ctx context.Context) error {
		if err := c.alive(); err != nil {
			return &finalError{err}
		}
		list, err := c.Kube.CoreV1().Nodes().List(ctx, meta.ListOptions{})
		if err != nil {
			return err
		}
		ready := 0
		for _, n := range list.Items {
			for _, condition := range n.Status.Conditions {
				if condition.Type == core.NodeReady && condition.Status == core.ConditionTrue && len(n.Spec.Taints) == 0 {
					ready++
				}
			}
		}
		if ready < len(c.Nodes) {
			return fmt.Errorf("%d of %d are ready", ready, len(c.Nodes))
		}
		return eachNode(c.Nodes, func(n *Node) error { return n.proxyHealthy(ctx) })
	})
}

func (n *Node) proxyHealthy(ctx context.Context) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: n.Dial}, Timeout: 2 * time.Second}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/healthz", n.healthPort), nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("kube-proxy: %s", answer.Status)
	}
	return nil
}

// Dial connects from inside the host's network namespace.
func (h *Host) Dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = h.Space.Do(func() error {
		conn, err = (&net.Dialer{FallbackDelay: -1}).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// alive returns an error if a program of the cluster has ended.
func (c *Cluster) alive() error {
	for _, p := range c.control.processes {
		if err := p.alive(); err != nil {
			return err
		}
	}
	for _, n := range c.Nodes {
		if err := n.alive(); err != nil {
			return fmt.Errorf("node %s: %w", n.Name, err)
		}
	}
	return nil
}

func (c *Cluster) logDir() string { return filepath.Join(c.Dir, "logs") }

// SaveLogs copies the logs of all programs and pods out of the state folder, to the folder to, or a
// new one under the temporary directory when to is empty, and returns its name.
func (c *Cluster) SaveLogs(to string) (string, error) {
	if to == "" {
		var err error
		if to, err = os.MkdirTemp("", "starling-logs-"); err != nil {
			return "", err
		}
	}
	return to, errors.Join(copyTree(c.logDir(), to), c.SavePodLogs(to))
}

// SavePodLogs copies the logs of the present pods to a folder, beside those of earlier pods.
func (c *Cluster) SavePodLogs(to string) (err error) {
	for _, n := range c.Nodes {
		err = errors.Join(err, copyTree(filepath.Join(n.dir, "var/log/pods"), filepath.Join(to, n.Name+"-pods")))
	}
	return err
}

// copyTree copies plain files; what does not exist is skipped.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return copyFile(path, target)
	})
}

// lookPath finds a program in the given search path.
func lookPath(name, path string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	for _, dir := range filepath.SplitList(path) {
		if file := filepath.Join(dir, name); executable(file) {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s: not found in %s", name, path)
}

func executable(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
