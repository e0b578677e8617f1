package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/starling-lb/starling/e2e/build"
	"github.com/starling-lb/starling/e2e/cluster"
)

// bfdIntervals of the two routers; a session is down after three of them without a packet.
var bfdIntervals = []time.Duration{300 * time.Millisecond, 50 * time.Millisecond}

// startBFD runs GoBGP's daemon on every node and on two routers. Every node has a session with
// each: with the client's host at 3 x 300 ms, with another one at 3 x 50 ms.
func (d *detector) startBFD(ctx context.Context) error {
	daemon := filepath.Join(d.c.Dir, "gobgpd")
	if err := buildGoBGP(ctx, daemon); err != nil {
		return err
	}
	second, err := d.c.AddRouter(ctx)
	if err != nil {
		return err
	}
	d.begun = append(d.begun, func() error { return second.Remove(context.WithoutCancel(ctx)) })
	routers := []*cluster.Host{d.c.Client, second.Host}
	for _, n := range d.c.Nodes {
		text := []string{bgpGlobal(64513, n.IP4)}
		for i, r := range routers {
			text = append(text, bgpNeighbor(r.IP4, 64512, bfdIntervals[i], false))
		}
		file, err := d.bgpFile(n.Name, text)
		if err != nil {
			return err
		}
		if err := n.Start(d.c, "gobgpd", daemon, bgpFlags(file, "info")...); err != nil {
			return err
		}
	}
	for i, r := range routers {
		text := []string{bgpGlobal(64512, r.IP4)}
		for _, n := range d.c.Nodes {
			text = append(text, bgpNeighbor(n.IP4, 64513, bfdIntervals[i], true))
		}
		file, err := d.bgpFile(r.Name, text)
		if err != nil {
			return err
		}
		s, err := d.startRouter(ctx, r, daemon, file)
		if err != nil {
			return err
		}
		d.systems = append(d.systems, &system{
			name: fmt.Sprintf("BFD 3 x %d ms", bfdIntervals[i].Milliseconds()), sessions: s,
			seen: func(node int) []sighting { return s.of(d.c.Nodes[node].IP4) },
		})
	}
	return nil
}

// buildGoBGP compiles the daemon from a module of its own, whose dependencies are not those of
// Kubernetes.
func buildGoBGP(ctx context.Context, daemon string) error {
	root, err := build.Root()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", daemon, "github.com/osrg/gobgp/v4/cmd/gobgpd")
	cmd.Dir = filepath.Join(root, "gobgpd")
	cmd.Env = append(build.Environment(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build gobgpd: %w\n%s", err, out)
	}
	return nil
}

func bgpGlobal(asn int, ip netip.Addr) string {
	return fmt.Sprintf("[global.config]\n  as = %d\n  router-id = %q\n", asn, ip)
}

// bgpNeighbor has a session begin again at once after BFD has ended it, and not after half a
// minute.
func bgpNeighbor(ip netip.Addr, asn int, every time.Duration, passive bool) string {
	return fmt.Sprintf(`[[neighbors]]
  [neighbors.config]
    neighbor-address = %q
    peer-as = %d
  [neighbors.transport.config]
    passive-mode = %t
  [neighbors.timers.config]
    idle-hold-time-after-reset = 1
    connect-retry = 1
  [neighbors.bfd.config]
    enabled = true
    desired-minimum-tx-interval = %[4]d
    required-minimum-receive = %[4]d
    detection-multiplier = 3
`, ip, asn, passive, every.Microseconds())
}

func (d *detector) bgpFile(host string, text []string) (string, error) {
	file := filepath.Join(d.c.Dir, "gobgpd-"+host+".toml")
	return file, os.WriteFile(file, []byte(strings.Join(text, "")), 0o644)
}

func bgpFlags(file, level string) []string {
	return []string{"-f", file, "-l", level, "--pprof-disable", "--metrics-path=", "--api-hosts=127.0.0.1:50051"}
}

// startRouter runs the daemon of a router until the end, and reads in its log what becomes of its
// sessions: the times are its own.
func (d *detector) startRouter(ctx context.Context, r *cluster.Host, daemon, file string) (*sessions, error) {
	ctx, stop := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, daemon, bgpFlags(file, "debug")...)
	log, err := cmd.StdoutPipe()
	if err == nil {
		err = r.Space.Do(cmd.Start)
	}
	if err != nil {
		stop()
		return nil, fmt.Errorf("gobgpd of %s: %w", r.Name, err)
	}
	s := &sessions{seen: map[netip.Addr][]sighting{}}
	var reading sync.WaitGroup
	reading.Go(func() { s.read(log) })
	d.begun = append(d.begun, func() error {
		stop()
		reading.Wait()
		_ = cmd.Wait() // It was killed.
		return nil
	})
	return s, nil
}

// sessions are those of BFD that a router has with the nodes.
type sessions struct {
	mu    sync.Mutex                // Guards all following fields.
	seen  map[netip.Addr][]sighting // By the node's address; a session begins when it is up for the first time.
	last  string                    // line of the log
	ended bool
}

// read takes the log until it ends.
func (s *sessions) read(log io.Reader) {
	for lines := bufio.NewScanner(log); lines.Scan(); {
		s.line(lines.Bytes())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// line takes one line of the log. Of a session that is down it says more than once that it is.
func (s *sessions) line(text []byte) {
	var l struct {
		Time             time.Time
		Msg, Topic, Peer string
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = string(text)
	if json.Unmarshal(text, &l) != nil || l.Topic != "bfd" {
		return
	}
	peer, err := netip.ParseAddr(l.Peer)
	if err != nil {
		return
	}
	seen := s.seen[peer]
	was := len(seen) > 0 && seen[len(seen)-1].home
	switch l.Msg {
	case "Set state to UP":
		if !was {
			s.seen[peer] = append(seen, sighting{at: l.Time, home: true})
		}
	case "Expired", "Remote peer signaled BFD down":
		if was {
			s.seen[peer] = append(seen, sighting{at: l.Time})
		}
	}
}

// of returns what was seen of the session with a node.
func (s *sessions) of(peer netip.Addr) []sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen[peer])
}

// up returns nil if the session with a node is up.
func (s *sessions) up(peer netip.Addr) error {
	seen := s.of(peer)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return cluster.Final(errors.New("gobgpd has ended: " + strings.TrimSpace(s.last)))
	}
	if len(seen) == 0 || !seen[len(seen)-1].home {
		return fmt.Errorf("BFD of the router with %s is down", peer)
	}
	return nil
}
