// Package routers runs the BGP routers of Debian, each with the configuration that docs/bgp.md
// shows.
package routers

import (
	"context"
	_ "embed" // the configurations
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/starling-lb/starling/e2e/cluster"
)

// The configurations, as docs/bgp.md has them.
var (
	//go:embed bird.conf
	BirdConf string
	//go:embed frr.conf
	FRRConf string
)

// Kind is a BGP router of Debian.
type Kind struct {
	Name, Conf string
	Start      func(ctx context.Context, r *cluster.Router, conf string) error
	Watch      func(ctx context.Context, r *cluster.Router) error // has it use BFD, as docs/bgp.md says
	watched    []string                                           // lists the sessions of BFD
	up         string                                             // in that list, of one that is up
	reset      []string                                           // ends all sessions
}

// Watched waits until so many sessions of BFD are up.
func (k Kind) Watched(ctx context.Context, r *cluster.Router, want int) error {
	return cluster.Until(ctx, 90*time.Second, "BFD of "+k.Name, func(ctx context.Context) error {
		out, err := r.Run(ctx, append(k.shell(r), k.watched...)...)
		if n := strings.Count(out, k.up); err == nil && n != want {
			err = fmt.Errorf("%d sessions are up", n)
		}
		return err
	})
}

// Reset ends all sessions, which speakers begin anew.
func (k Kind) Reset(ctx context.Context, r *cluster.Router) error {
	_, err := r.Run(ctx, append(k.shell(r), k.reset...)...)
	return err
}

func (k Kind) shell(r *cluster.Router) []string {
	if k.Name == "FRR" {
		return []string{"vtysh", "--vty_socket", r.Path(""), "-c"}
	}
	return []string{"birdc", "-s", r.Path("bird.ctl")}
}

// Kinds are the routers that tests run.
var (
	BIRD = Kind{"BIRD", BirdConf, startBird, watchByBird, []string{"show", "bfd", "sessions"}, " Up ", []string{"restart", "all"}}
	FRR  = Kind{"FRR", FRRConf, startFRR, watchByFRR, []string{"show bfd peers"}, "Status: up", []string{"clear bgp *"}}
)

// Configuration is the key bgp of the speakers for these routers, with the word for sessions, and
// with further lines for the router.
func Configuration(sessions string, more ...string) string {
	text := &strings.Builder{}
	fmt.Fprintf(text, `bgp:
  asn: 64513
  sessions: %s
  peers:
  - name: tor1
    address: 198.18.0.254
    asn: 64512
`, sessions)
	for _, line := range more {
		fmt.Fprintf(text, "    %s\n", line)
	}
	return text.String()
}

func startBird(ctx context.Context, r *cluster.Router, conf string) error {
	if _, err := exec.LookPath("bird"); err != nil {
		return fmt.Errorf("%w: apt-get install bird2", err)
	}
	file, err := r.File("bird.conf", conf)
	if err != nil {
		return err
	}
	if err := r.Start("bird", "bird", "-f", "-c", file, "-s", r.Path("bird.ctl"), "-P", r.Path("bird.pid")); err != nil {
		return err
	}
	return cluster.Until(ctx, 10*time.Second, "BIRD", func(ctx context.Context) error {
		_, err := r.Run(ctx, "birdc", "-s", r.Path("bird.ctl"), "show", "status")
		return err
	})
}

// watchByBird also shortens the time for which BIRD takes no session from a node that it has lost
// by BFD, a minute or more: nodes of a test die more often than others.
func watchByBird(ctx context.Context, r *cluster.Router) error {
	return ReconfigureBird(ctx, r, strings.Replace(BirdConf, "protocol bgp starling {",
		"protocol bfd {\n}\n\nprotocol bgp starling {\n  bfd on;\n  error wait time 1, 5;", 1))
}

// ReconfigureBird gives BIRD another configuration.
func ReconfigureBird(ctx context.Context, r *cluster.Router, conf string) error {
	file, err := r.File("bird.conf", conf)
	if err == nil {
		_, err = r.Run(ctx, "birdc", "-s", r.Path("bird.ctl"), "configure", strconv.Quote(file))
	}
	return err
}

func startFRR(ctx context.Context, r *cluster.Router, conf string) error {
	file, err := r.File("frr.conf", conf)
	if err == nil {
		err = daemons(ctx, r, file, "zebra", "bgpd")
	}
	if err == nil {
		file, err = r.File("bfdd.conf", "")
	}
	if err == nil { // before there is a neighbor that it is for
		err = daemons(ctx, r, file, "bfdd")
	}
	return err
}

func watchByFRR(ctx context.Context, r *cluster.Router) error {
	_, err := r.Run(ctx, "vtysh", "--vty_socket", r.Path(""), "-c", "configure terminal", "-c", "router bgp 64512", "-c", "neighbor starling bfd 3 300 300")
	return err
}

// daemons starts some of FRR on the router.
func daemons(ctx context.Context, r *cluster.Router, file string, names ...string) error {
	for _, daemon := range names {
		flags := []string{"-f", file, "-i", r.Path(daemon + ".pid"), "-z", r.Path("zserv.api"), "--vty_socket", r.Path(""), "-P", "0"}
		if daemon == "bfdd" {
			flags = append(flags, "--bfdctl", r.Path("bfdctl"))
		}
		if err := r.Start(daemon, daemon, flags...); err != nil {
			return fmt.Errorf("%w: apt-get install frr", err)
		}
		if err := cluster.Until(ctx, 10*time.Second, daemon, func(ctx context.Context) error {
			_, err := r.Run(ctx, "vtysh", "--vty_socket", r.Path(""), "-d", daemon, "-c", "show version")
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}
