// Command pictures makes the pictures of the README from a real cluster: the status page as a
// browser shows it, and the commands as a terminal does, some seconds after the cable of a node was
// pulled.
//
//	make pictures
//
// They are docs/status-page.png and docs/cli.svg. Look at them before you commit them.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/starling-lb/starling/e2e/build"
	"github.com/starling-lb/starling/e2e/cluster"
	"github.com/starling-lb/starling/e2e/probe"
	"github.com/starling-lb/starling/e2e/starling"
	"github.com/starling-lb/starling/e2e/step"
	"github.com/starling-lb/starling/e2e/terminal"
	"github.com/starling-lb/starling/e2e/workload"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, step.New(os.Stdout))
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, p *step.Printer) (err error) {
	if err := cluster.Possible(); err != nil {
		return err
	}
	root, err := build.Root()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "starling-build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tools, product, err := starling.Prepare(ctx, p, dir)
	if err != nil {
		return err
	}
	s := scene{product: product, docs: filepath.Join(filepath.Dir(root), "docs"), dir: dir}
	if err := s.build(ctx, root); err != nil {
		return err
	}
	c, err := cluster.Up(ctx, cluster.Options{Tools: tools, Nodes: 3, Images: []string{product.Archive}, Step: p.Do})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Down(context.WithoutCancel(ctx))) }()
	s.cluster = c
	if err := p.Do("Services, and a node that dies", func() error { return s.set(ctx) }); err != nil {
		return err
	}
	if err := p.Do("docs/cli.svg", func() error { return s.terminal(ctx) }); err != nil {
		return err
	}
	return p.Do("docs/status-page.png", func() error { return s.page(ctx) })
}

// scene is what the pictures are of.
type scene struct {
	cluster *cluster.Cluster
	product *starling.Product
	docs    string
	dir     string // For what is thrown away.

	ip   string        // An address that has moved.
	dead *cluster.Node // Its announcer of before.
	seer *cluster.Node // Whose view is shown.
}

// services are made in this order.
func services() []string {
	return []string{"web", "checkout", "imap", "smtp", "resolver", "forge", "runner", "grafana", "login"}
}

// set installs starling, makes the Services and pulls the cable of a node that announces one of
// them, until its addresses have moved.
func (s *scene) set(ctx context.Context) error {
	c := s.cluster
	if err := s.product.Install(ctx, c, starling.Pool{Name: "default", Ranges: []string{"198.18.64.1-198.18.64.14"}}); err != nil {
		return err
	}
	for _, name := range services() {
		ip, err := workload.ExposeBare(ctx, c, name)
		if err != nil {
			return err
		}
		s.ip = ip.String()
	}
	watcher, err := probe.Watch(workload.Station(c.Client))
	if err != nil {
		return err
	}
	defer watcher.Close()
	ip := netip.MustParseAddr(s.ip)
	err = cluster.Until(ctx, 10*time.Second, "announcer of "+s.ip, func(ctx context.Context) (err error) {
		s.dead, err = workload.Owner(ctx, c, watcher, ip)
		return err
	})
	if err != nil {
		return err
	}
	s.seer = c.Nodes[0]
	if s.dead == s.seer {
		s.seer = c.Nodes[1]
	}
	// The page marks what moved within a minute: that is not to be what was made just now.
	if err := wait(ctx, 70*time.Second); err != nil {
		return err
	}
	if err := s.dead.Cut(); err != nil {
		return err
	}
	err = cluster.Until(ctx, 30*time.Second, "a mesh that knows of the death", func(ctx context.Context) error {
		status, err := starling.StatusOf(ctx, c, s.seer)
		if err != nil {
			return err
		}
		for _, m := range status.Members {
			if m.Name == s.dead.Name && m.State == "dead" {
				return nil
			}
		}
		return fmt.Errorf("%s is not dead yet for %s", s.dead.Name, s.seer.Name)
	})
	if err != nil {
		return err
	}
	return wait(ctx, 3*time.Second) // About as long as somebody needs to look.
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// terminal draws the commands and what they print.
func (s *scene) terminal(ctx context.Context) error {
	if err := os.Symlink(s.product.Binary, filepath.Join(s.dir, "kubectl-starling")); err != nil {
		return err
	}
	var commands []terminal.Command
	for _, args := range [][]string{{"starling", "status", "--node", s.seer.Name}, {"starling", "who", "--node", s.seer.Name, s.ip}} {
		cmd := exec.CommandContext(ctx, filepath.Join(s.cluster.Tools(), "kubectl"), append(slices.Clone(args), "--color", "always")...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+s.cluster.Kubeconfig, "PATH="+s.dir+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, out)
		}
		commands = append(commands, terminal.Command{Line: "kubectl " + strings.Join(args, " "), Output: string(out)})
	}
	picture := terminal.Draw("kubectl starling status and who on a terminal, seconds after the cable of node "+s.dead.Name+" was pulled", commands...)
	return os.WriteFile(filepath.Join(s.docs, "cli.svg"), []byte(picture), 0o644)
}

// page has a browser show the page, in the light colors that it prefers by itself.
func (s *scene) page(ctx context.Context) error {
	out, err := s.cluster.InClient(ctx, s.shoot(), starling.URL(s.seer)+"/", filepath.Join(s.docs, "status-page.png"))
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// shoot is the program that makes the picture, which is of another module.
func (s *scene) shoot() string { return filepath.Join(s.dir, "shoot") }

func (s *scene) build(ctx context.Context, root string) error {
	out, err := exec.CommandContext(ctx, "go", "-C", filepath.Join(root, "browser"), "build", "-o", s.shoot(), "./cmd/shoot").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build cmd/shoot: %w: %s", err, out)
	}
	return nil
}
