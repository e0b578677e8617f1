// Package starling installs the product on a test cluster the way a user does: the image that was
// built, the shipped manifest, and a ConfigMap with pools.
package starling

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/starling-lb/starling/e2e/build"
	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/step"
)

// Namespace and Name of the product's objects.
const (
	Namespace = "starling-system"
	Name      = "starling"
	port      = "7928"
)

// Product is what was built.
type Product struct {
	Binary  string   // The command for the machine.
	Archive string   // The image.
	Flags   []string // More flags of the speakers that RunProcesses starts.
	root    string   // Folder of the repository.
}

// Prepare removes what earlier runs have left behind, and builds what a cluster is made of: the
// programs of Kubernetes, whose folder it returns, and the product, into dir.
func Prepare(ctx context.Context, p *step.Printer, dir string) (tools string, product *Product, err error) {
	if _, err := cluster.Sweep(ctx, false); err != nil {
		return "", nil, err
	}
	err = p.Do("build Kubernetes, containerd, etcd and starling", func() error {
		if tools, err = build.Tools(ctx, p.Count()); err != nil {
			return err
		}
		product, err = Make(ctx, dir)
		return err
	})
	return tools, product, err
}

// Make builds the command and the image into dir, unless STARLING_BINARY and STARLING_IMAGE name
// both.
func Make(ctx context.Context, dir string) (*Product, error) {
	module, err := build.Root()
	if err != nil {
		return nil, err
	}
	p := &Product{
		Binary:  cmp.Or(os.Getenv("STARLING_BINARY"), filepath.Join(dir, "starling")),
		Archive: cmp.Or(os.Getenv("STARLING_IMAGE"), filepath.Join(dir, "starling.tar")),
		root:    filepath.Dir(module),
	}
	if os.Getenv("STARLING_BINARY") == "" {
		// Without -trimpath, with which all packages that the cluster's programs have too would be
		// compiled again.
		if err := p.goTool(ctx, "build", "-ldflags", "-s -w", "-o", p.Binary, "./cmd/starling"); err != nil {
			return nil, err
		}
	}
	if os.Getenv("STARLING_IMAGE") != "" {
		return p, nil
	}
	return p, p.pack(ctx)
}

// pack makes the image of the binary, by the name that the manifest has.
func (p *Product) pack(ctx context.Context) error {
	ref, err := p.image()
	if err != nil {
		return err
	}
	return p.goTool(ctx, "-C", "scripts/release", "run", "./cmd/image", "-ref", ref, "-out", p.Archive, runtime.GOARCH+"="+p.Binary)
}

func (p *Product) goTool(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = p.root
	cmd.Env = append(build.Environment(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// Manifest returns the shipped one as text.
func (p *Product) Manifest() (string, error) {
	b, err := os.ReadFile(filepath.Join(p.root, "manifests", "starling.yaml"))
	return string(b), err
}

// image returns the reference that the manifest asks for.
func (p *Product) image() (string, error) {
	text, err := p.Manifest()
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(`(?m)^\s+image:\s*(\S+)$`).FindStringSubmatch(text)
	if found == nil {
		return "", errors.New("manifest names no image")
	}
	return found[1], nil
}

// Pool is a named list of ranges.
type Pool struct {
	Name   string
	Ranges []string
}

// Pools returns the ConfigMap that a user writes beside the manifest.
func Pools(pools ...Pool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  namespace: %s\ndata:\n  starling.yaml: |\n    pools:\n", Name, Namespace)
	for _, pool := range pools {
		fmt.Fprintf(&b, "      - name: %s\n        ranges:\n", pool.Name)
		for _, r := range pool.Ranges {
			fmt.Fprintf(&b, "          - %s\n", r)
		}
	}
	return b.String()
}

// Install applies the manifest and the pools, and waits until every node's speaker is ready and
// none of them lets others go first any more, so that addresses are at rest.
func (p *Product) Install(ctx context.Context, c *cluster.Cluster, pools ...Pool) error {
	text, err := p.Manifest()
	if err != nil {
		return err
	}
	for _, file := range []string{text, Pools(pools...)} {
		if _, err := c.Kubectl(ctx, file, "apply", "-f", "-"); err != nil {
			return err
		}
	}
	if err := WaitReady(ctx, c, 60*time.Second); err != nil {
		return err
	}
	return cluster.Until(ctx, 20*time.Second, "steady speakers", func(ctx context.Context) error { return Steady(ctx, c) })
}

// Steady returns nil when every speaker sees all others alive and ready, and none of them lets
// others go first.
func Steady(ctx context.Context, c *cluster.Cluster) error { return all(ctx, c, false) }

// Joined is Steady where some may let others go first still, which those do for long that come and
// go.
func Joined(ctx context.Context, c *cluster.Cluster) error { return all(ctx, c, true) }

func all(ctx context.Context, c *cluster.Cluster, returning bool) error {
	var errs []error
	for _, n := range c.Nodes {
		s, err := StatusOf(ctx, c, n)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, m := range s.Members {
			if m.State != "alive" || !m.Ready || m.Returning && !returning {
				errs = append(errs, fmt.Errorf("%s sees %s as %s, ready %v, returning %v", n.Name, m.Name, m.State, m.Ready, m.Returning))
			}
		}
		if len(s.Members) != len(c.Nodes) {
			errs = append(errs, fmt.Errorf("%s sees %d members", n.Name, len(s.Members)))
		}
	}
	return errors.Join(errs...)
}

// Remove deletes the DaemonSet, if there is one, and waits until its pods are gone. All else stays.
func (p *Product) Remove(ctx context.Context, c *cluster.Cluster) error {
	if _, err := c.Kubectl(ctx, "", "-n", Namespace, "delete", "daemonset", Name, "--ignore-not-found"); err != nil {
		return err
	}
	return cluster.Until(ctx, 30*time.Second, "end of the speakers", func(ctx context.Context) error {
		pods, err := c.Kube.CoreV1().Pods(Namespace).List(ctx, meta.ListOptions{})
		if err == nil && len(pods.Items) > 0 {
			err = fmt.Errorf("%d are left", len(pods.Items))
		}
		return err
	})
}

// WaitReady waits until the DaemonSet's pods are all ready. A speaker that keeps crashing ends the
// wait.
func WaitReady(ctx context.Context, c *cluster.Cluster, limit time.Duration) error {
	return cluster.Until(ctx, limit, "speakers", func(ctx context.Context) error {
		set, err := c.Kube.AppsV1().DaemonSets(Namespace).Get(ctx, Name, meta.GetOptions{})
		if err != nil {
			return err
		}
		s := set.Status
		if s.ObservedGeneration < set.Generation || int(s.NumberReady) < len(c.Nodes) || s.UpdatedNumberScheduled < s.DesiredNumberScheduled {
			return errors.Join(fmt.Errorf("%d of %d are ready", s.NumberReady, len(c.Nodes)), crashing(ctx, c))
		}
		return nil
	})
}

// crashing returns the last words of a speaker that has crashed more than once.
func crashing(ctx context.Context, c *cluster.Cluster) error {
	pods, err := c.Kube.CoreV1().Pods(Namespace).List(ctx, meta.ListOptions{})
	if err != nil {
		return err
	}
	for _, pod := range pods.Items {
		for _, container := range pod.Status.ContainerStatuses {
			if last := container.LastTerminationState.Terminated; container.RestartCount > 1 && last != nil && container.State.Running == nil {
				words, _ := c.Kubectl(ctx, "", "-n", Namespace, "logs", "--previous", "--tail=15", pod.Name)
				return cluster.Final(fmt.Errorf("the speaker of %s ends with code %d:\n%s", pod.Spec.NodeName, last.ExitCode, words))
			}
		}
	}
	return nil
}

// Status is the part of /api/v1/status that tests look at.
type Status struct {
	Node     string   `json:"node"`
	Ready    bool     `json:"ready"`
	Reasons  []string `json:"reasons"`
	Problems []string `json:"problems"`
	Members  []struct {
		Name      string   `json:"name"`
		Addr      string   `json:"addr"` // Of its gossip.
		State     string   `json:"state"`
		Ready     bool     `json:"ready"`
		Returning bool     `json:"returning"` // It lets others go first for a while.
		Hold      string   `json:"hold"`      // Until when, in words.
		Segments  []string `json:"segments"`
		Keys      []string `json:"keys"`    // Fingerprints of its gossip keys.
		Verdict   string   `json:"verdict"` // What is wrong with it.
	} `json:"members"`
	Interfaces []struct {
		Name string `json:"name"`
		Used bool   `json:"used"` // Addresses are announced on it.
	} `json:"interfaces"`
	Pools []struct {
		Name string `json:"name"`
	} `json:"pools"`
	VIPs []struct {
		IP       string   `json:"ip"`
		Services []string `json:"services"`
		Pool     string   `json:"pool"`
		Owner    string   `json:"owner"`
		Next     string   `json:"next"`

		AnsweredBy string   `json:"answeredBy"` // The owner, or its deputy.
		Interfaces []string `json:"interfaces"` // Of the owner, as far as the speaker knows.
	} `json:"vips"`
	Routers []struct {
		Name     string `json:"name"`
		Sessions string `json:"sessions"` // Few or each.
	} `json:"routers"`
}

// Owner returns the node that the speaker believes to announce the address, or "".
func (s *Status) Owner(ip string) string { owner, _ := s.line(ip); return owner }

// State returns what the speaker takes a member for: "alive", "absent" and so on, or "" if it does
// not know it.
func (s *Status) State(member string) string {
	for _, m := range s.Members {
		if m.Name == member {
			return m.State
		}
	}
	return ""
}

// Hold returns what a member waits for that came back, "" nothing.
func (s *Status) Hold(member string) string {
	for _, m := range s.Members {
		if m.Name == member {
			return m.Hold
		}
	}
	return ""
}

// AnsweredBy returns the node whose speaker answers for the address, or "".
func (s *Status) AnsweredBy(ip string) string {
	for _, v := range s.VIPs {
		if v.IP == ip {
			return v.AnsweredBy
		}
	}
	return ""
}

// Next returns the node that the speaker believes to be next in line for the address, or "".
func (s *Status) Next(ip string) string { _, next := s.line(ip); return next }

func (s *Status) line(ip string) (owner, next string) {
	for _, v := range s.VIPs {
		if v.IP == ip {
			return v.Owner, v.Next
		}
	}
	return "", ""
}

// URL is where the speaker of the node is asked for its status, from hosts on the segment.
func URL(n *cluster.Node) string { return "http://" + net.JoinHostPort(n.Addr().String(), port) }

// StatusOf asks the speaker of the node, from the client.
func StatusOf(ctx context.Context, c *cluster.Cluster, n *cluster.Node) (*Status, error) {
	text, err := get(ctx, c, n, "/api/v1/status")
	if err != nil {
		return nil, err
	}
	var s Status
	return &s, json.Unmarshal(text, &s)
}

// MetricsOf returns the metrics of the speaker of the node, as text.
func MetricsOf(ctx context.Context, c *cluster.Cluster, n *cluster.Node) (string, error) {
	text, err := get(ctx, c, n, "/metrics")
	return string(text), err
}

// PageOf returns the page of the speaker of the node, as a browser gets it.
func PageOf(ctx context.Context, c *cluster.Cluster, n *cluster.Node) (string, error) {
	text, err := get(ctx, c, n, "/")
	return string(text), err
}

var tag = regexp.MustCompile(`<[^>]*>`)

// Visible is what one reads of a page: without tags.
func Visible(page string) string { return html.UnescapeString(tag.ReplaceAllString(page, "")) }

// get asks the speaker of the node for a page, from the client.
func get(ctx context.Context, c *cluster.Cluster, n *cluster.Node, path string) ([]byte, error) {
	_, text, err := fetch(ctx, c, n, path)
	return text, err
}

func fetch(ctx context.Context, c *cluster.Cluster, n *cluster.Node, path string) (header http.Header, text []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, URL(n)+path, nil)
	if err != nil {
		return nil, nil, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: c.Client.Dial}}
	answer, err := client.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, nil, fmt.Errorf("%s of %s: %s", path, n.Name, answer.Status)
	}
	text, err = io.ReadAll(answer.Body)
	return answer.Header, text, err
}

// PodOn returns the name of the node's speaker pod.
func PodOn(ctx context.Context, c *cluster.Cluster, n *cluster.Node) (string, error) {
	pods, err := c.Kube.CoreV1().Pods(Namespace).List(ctx, meta.ListOptions{FieldSelector: "spec.nodeName=" + n.Name})
	if err != nil {
		return "", err
	}
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp == nil {
			return pod.Name, nil
		}
	}
	return "", fmt.Errorf("node %s has no speaker", n.Name)
}
