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

	"github.com/starling-lb/starling/api"
	"github.com/starling-lb/starling/health"
)

const (
	byTCP = "gossip-tcp"
	byUDP = "gossip-udp"
)

// gossip tries to reach every other node.
func (e *Examiner) gossip(ctx context.Context, s api.Snapshot) []Check {
	if e.peers == nil {
		return []Check{{"gossip", Unknown, "the speaker does not know the other nodes yet", "ask again when it has started", ""}}
	}
	peers := slices.DeleteFunc(e.peers(), func(p Peer) bool { return slices.Contains(s.Unselected, p.Name) })
	tcp, udp := make([]*Check, len(peers)), make([]*Check, len(peers))
	var asking sync.WaitGroup
	room := make(chan struct{}, abreast)
	for i, p := range peers {
		asking.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			if tcp[i], udp[i] = apart(p, s); tcp[i] == nil {
				tcp[i] = e.dial(ctx, p, s)
				udp[i] = e.probe(ctx, p, tcp[i], s)
			}
		})
	}
	asking.Wait()
	return slices.Concat(e.reached(byTCP, peers, tcp), e.reached(byUDP, peers, udp))
}

// apart is what is wrong with a node that has no address of a family that this one uses: it cannot
// be tried.
func apart(p Peer, s api.Snapshot) (tcp, udp *Check) {
	for _, c := range s.Conditions {
		if c.Code == health.GossipNoFamily && c.Subject == health.Node(p.Name) {
			t, u := found(byTCP, Fail, c), found(byUDP, Fail, c)
			return &t, &u
		}
	}
	return nil, nil
}

// blames reports whether a check says that the port of another node is blocked, there or here.
func blames(c *Check) bool {
	return c != nil && (c.Code == health.GossipBlocked || c.Code == health.GossipUDPBlocked)
}

// itself is the check of a node whose gossip fails with all others that live, of which there are at
// least two: they hear each other, for all it knows, so its own port is the most likely one. Nil:
// it is not so.
func (e *Examiner) itself(name string, peers []Peer, list []*Check) *Check {
	var failed []string
	for i, c := range list {
		switch {
		case blames(c):
			failed = append(failed, peers[i].Name)
		case c == nil || c.Code != health.NodeLost:
			return nil
		}
	}
	if len(failed) < 2 {
		return nil
	}
	proto, port := strings.TrimPrefix(name, "gossip-"), peers[0].Addr.Port()
	words := fmt.Sprintf("gossip by %s fails with all other nodes (%s): most likely the port is blocked on this node, %s", proto, strings.Join(failed[:min(len(failed), 3)], ", "), e.Node)
	if len(failed) > 3 {
		words = strings.Replace(words, ")", fmt.Sprintf(" and %d more)", len(failed)-3), 1)
	}
	return &Check{name, Fail, words, fmt.Sprintf("open port %d/%s on %s for the other nodes; if others say the same of themselves, open it between all of them", port, proto, e.Node), health.GossipBlocked}
}

// dead reports whether a node is silent on the wire as well, where no firewall for the port stands
// in between.
func dead(p Peer, s api.Snapshot) bool { return in(p, s, "dead") }

// in reports whether a node is a member in this state.
func in(p Peer, s api.Snapshot, state string) bool {
	return slices.ContainsFunc(s.Members, func(m api.Member) bool { return m.Name == p.Name && m.State == state })
}

// away is the check of a node whose speaker is being restarted, or has crashed; nil: it is not so.
func away(name string, p Peer, s api.Snapshot) *Check {
	if !in(p, s, api.Absent) {
		return nil
	}
	return &Check{
		name, Warn, fmt.Sprintf("the speaker of %s is away: its node keeps its addresses for a while, and other nodes answer for them", p.Name),
		"wait until it is back; if it is not, see `kubectl -n starling-system get pods -o wide`", health.SpeakerAway,
	}
}

// reached is what went wrong, or that nothing did.
func (e *Examiner) reached(name string, peers []Peer, list []*Check) []Check {
	var out []Check
	own := e.itself(name, peers, list)
	if own != nil {
		out = append(out, *own)
	}
	for _, c := range list {
		if c != nil && (own == nil || !blames(c)) {
			out = append(out, *c)
		}
	}
	switch {
	case len(list) == 0:
		return []Check{{name, OK, "there is no other node", "", ""}}
	case out == nil:
		return []Check{{name, OK, fmt.Sprintf("reaches all %d other nodes", len(list)), "", ""}}
	}
	return out
}

// dial connects to the gossip port of a node; nil is well.
func (e *Examiner) dial(ctx context.Context, p Peer, s api.Snapshot) *Check {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := e.Dial(ctx, p.Addr.String())
	if c := away(byTCP, p, s); c != nil && err != nil {
		return c
	}
	var timeout net.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return &Check{
			byTCP, Fail, fmt.Sprintf("nobody listens for gossip on %s (%s tcp)", p.Name, p.Addr),
			fmt.Sprintf("see that a speaker runs on %s: `kubectl -n starling-system get pods -o wide`; if one does, a firewall rejects port %d", p.Name, p.Addr.Port()), health.NodeLost,
		}
	case dead(p, s): // most likely it is not the port
		c := found(byTCP, Fail, health.New(health.NodeLost, health.Node(p.Name), fmt.Sprintf("%s (%s tcp) is unreachable: neither gossip nor the wire reaches it", p.Name, p.Addr)))
		return &c
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return &Check{byTCP, Fail, fmt.Sprintf("gossip port of %s (%s tcp) is blocked: no answer in %s", p.Name, p.Addr, patience), open(p, "tcp"), health.GossipBlocked}
	}
	return &Check{byTCP, Fail, fmt.Sprintf("gossip port of %s (%s tcp) is not reached: %v", p.Name, p.Addr, err), open(p, "tcp"), health.GossipBlocked}
}

// open says which port to open where.
func open(p Peer, proto string) string {
	return fmt.Sprintf("open port %d/%s on %s for the other nodes, and the same the other way; or see whether %s is up", p.Addr.Port(), proto, p.Name, p.Name)
}

// probe sends a probe of gossip to a node, of which tcp is known; nil is well.
func (e *Examiner) probe(ctx context.Context, p Peer, tcp *Check, s api.Snapshot) *Check {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, err := e.ping(ctx, p); err == nil {
		return nil
	}
	if c := away(byUDP, p, s); c != nil {
		return c
	}
	if slices.ContainsFunc(s.Conditions, func(c health.Condition) bool { return c.Code == health.GossipKeyMismatch && about(c.Subject, p) }) {
		return &Check{byUDP, Fail, fmt.Sprintf("%s (%s udp) does not understand our gossip: it has another key", p.Name, p.Addr), "see the check keys", health.GossipKeyMismatch}
	}
	switch {
	case tcp != nil && dead(p, s):
		return &Check{byUDP, Fail, fmt.Sprintf("no speaker answers on %s (%s udp), neither by gossip nor on the wire", p.Name, p.Addr), tcp.Todo, health.NodeLost}
	case tcp != nil && tcp.Code == health.NodeLost: // nobody listens
		return &Check{byUDP, Fail, fmt.Sprintf("no speaker answers on %s (%s udp)", p.Name, p.Addr), tcp.Todo, health.NodeLost}
	case tcp == nil:
		return &Check{
			byUDP, Fail, fmt.Sprintf("gossip port of %s (%s udp) is blocked, there or back, while tcp passes", p.Name, p.Addr),
			open(p, "udp") + "; or its speaker has another gossip key (`starling key status`)", health.GossipUDPBlocked,
		}
	}
	return &Check{byUDP, Fail, fmt.Sprintf("gossip port of %s (%s udp) is blocked, there or back", p.Name, p.Addr), open(p, "udp"), health.GossipBlocked}
}

// about reports whether a condition is about a node, by its name or its address.
func about(s health.Subject, p Peer) bool {
	return s == health.Node(p.Name) || s == health.Address(p.Addr.Addr().String())
}
