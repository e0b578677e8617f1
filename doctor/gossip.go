package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/starling-lb/starling/speaker"
)

const (
	byTCP = "gossip-tcp"
	byUDP = "gossip-udp"
)

// gossip tries to reach every other node.
func (e *Examiner) gossip(ctx context.Context, s speaker.Snapshot) []Check {
	if e.peers == nil {
		return []Check{{"gossip", Unknown, "the speaker does not know the other nodes yet", "ask again when it has started"}}
	}
	peers := e.peers()
	tcp, udp := make([]*Check, len(peers)), make([]*Check, len(peers))
	var asking sync.WaitGroup
	room := make(chan struct{}, abreast)
	for i, p := range peers {
		asking.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			tcp[i] = e.dial(ctx, p, s)
			udp[i] = e.probe(ctx, p, tcp[i], s)
		})
	}
	asking.Wait()
	return slices.Concat(reached(byTCP, tcp), reached(byUDP, udp))
}

// dead tells whether a node is silent on the wire as well, where no firewall for the port stands in between.
func dead(p Peer, s speaker.Snapshot) bool {
	return slices.ContainsFunc(s.Members, func(m speaker.Member) bool { return m.Name == p.Name && m.State == "dead" })
}

// reached is what went wrong, or that nothing did.
func reached(name string, list []*Check) []Check {
	var out []Check
	for _, c := range list {
		if c != nil {
			out = append(out, *c)
		}
	}
	switch {
	case len(list) == 0:
		return []Check{{name, OK, "there is no other node", ""}}
	case out == nil:
		return []Check{{name, OK, fmt.Sprintf("reaches all %d other nodes", len(list)), ""}}
	}
	return out
}

// dial connects to the gossip port of a node; nil is well.
func (e *Examiner) dial(ctx context.Context, p Peer, s speaker.Snapshot) *Check {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := e.Dial(ctx, p.Addr.String())
	var timeout net.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return &Check{
			byTCP, Fail, fmt.Sprintf("nobody listens for gossip on %s (%s tcp)", p.Name, p.Addr),
			fmt.Sprintf("see that a speaker runs on %s: kubectl -n starling-system get pods -o wide; if one does, a firewall rejects port %d", p.Name, p.Addr.Port()),
		}
	case dead(p, s): // most likely it is not the port
		words := fmt.Sprintf("%s (%s tcp) is unreachable: neither gossip nor the wire reaches it", p.Name, p.Addr)
		return &Check{byTCP, Fail, words, speaker.Advice(words)}
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &Check{byTCP, Fail, fmt.Sprintf("gossip port of %s (%s tcp) is blocked: no answer in %s", p.Name, p.Addr, patience), open(p, "tcp")}
	}
	return &Check{byTCP, Fail, fmt.Sprintf("gossip port of %s (%s tcp) is not reached: %v", p.Name, p.Addr, err), open(p, "tcp")}
}

// open says which port to open where.
func open(p Peer, proto string) string {
	return fmt.Sprintf("open port %d/%s on %s for the other nodes, and the same the other way; or see whether %s is up", p.Addr.Port(), proto, p.Name, p.Name)
}

// probe sends a probe of gossip to a node, of which tcp is known; nil is well.
func (e *Examiner) probe(ctx context.Context, p Peer, tcp *Check, s speaker.Snapshot) *Check {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := e.ping(ctx, p); err == nil {
		return nil
	}
	if slices.ContainsFunc(s.Findings, func(f speaker.Finding) bool { return otherKey(f.Words) && names(f.Words, p) }) {
		return &Check{byUDP, Fail, fmt.Sprintf("%s (%s udp) does not understand our gossip: it has another key", p.Name, p.Addr), "see the check keys"}
	}
	switch {
	case tcp != nil && dead(p, s):
		return &Check{byUDP, Fail, fmt.Sprintf("no speaker answers on %s (%s udp), neither by gossip nor on the wire", p.Name, p.Addr), tcp.Todo}
	case tcp == nil:
		return &Check{
			byUDP, Fail, fmt.Sprintf("gossip port of %s (%s udp) is blocked, there or back, while tcp passes", p.Name, p.Addr),
			open(p, "udp") + "; or its speaker has another gossip key (`starling key status`)",
		}
	}
	return &Check{byUDP, Fail, fmt.Sprintf("gossip port of %s (%s udp) is blocked, there or back", p.Name, p.Addr), open(p, "udp")}
}

// names tells whether a finding is about a node: by its address, which is followed by a blank.
func names(words string, p Peer) bool {
	return slices.Contains(strings.Fields(words), p.Addr.Addr().String())
}
