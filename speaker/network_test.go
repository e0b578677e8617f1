package speaker

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/probe"
)

// link is one direction between two nodes.
type link struct{ listener, talker string }

// client is a host that is no node. It believes every announcement, as a neighbor cache does, and
// asks for nothing by itself.
type client struct {
	name  string
	cache map[netip.Addr]string // MAC by address
}

func hardware(mac string) claims.MAC {
	hw, err := net.ParseMAC(mac)
	if err != nil {
		panic(err)
	}
	return claims.MAC(hw)
}

// macOf is the MAC of a node.
func macOf(name string) string {
	digits := fmt.Sprintf("%04s", name[1:])
	return "02:00:00:00:" + digits[:2] + ":" + digits[2:]
}

// speaks reports whether a MAC is that of a node whose speaker runs. Of another one a node that
// began later may know nothing. The lock is held.
func (m *model) speaks(mac string) bool {
	for _, b := range m.speakers {
		if b.mac == mac {
			return b.ice == nil && !b.ended
		}
	}
	return false
}

// address of a node. The lock is held.
func (m *model) address(name string) netip.Addr {
	for _, n := range m.nodes {
		if n.Name == name {
			return n.Addresses[0]
		}
	}
	return netip.Addr{}
}

// reach reports whether a frame of a is received by b. The lock is held.
func (m *model) reach(a, b *node) bool {
	return a != b && a.up && b.up && a.ice == nil && b.ice == nil && !m.split[link{b.name, a.name}] && m.speakers[a.name] == a && m.speakers[b.name] == b
}

// frame delivers what a node sends to all others that receive it, after the latency. The lock is
// held.
func (m *model) frame(from *node, receive func(to *node)) {
	for _, to := range m.speakers {
		from.tell(to, func() { receive(to) })
	}
}

// announce is heard by everybody who is reachable. The lock is held.
func (b *node) announce(ip netip.Addr) {
	as, says := b.as(ip), b.says(ip)
	b.m.frame(b, func(o *node) {
		if o.hw != as.hw { // else its card takes it for its own
			o.hear(says)
		}
	})
	for _, c := range b.m.clients {
		if b.up && !b.m.split[link{c.name, b.name}] {
			b.m.later(func() { c.learn(b.m, ip, as.mac) })
		}
	}
}

// as is the node with whose MAC this one answers for an address. The lock is held.
func (b *node) as(ip netip.Addr) *node {
	if owner := b.m.speakers[b.card.machine.DeputyOf(ip)]; owner != nil && b.card.machine.Role(ip) == claims.Deputy {
		return owner
	}
	return b
}

// says is what a node announces, or answers, of an address. The lock is held.
func (b *node) says(ip netip.Addr) claims.Claim {
	c := claims.Claim{IP: ip, MAC: b.as(ip).hw}
	if c.MAC != b.hw {
		c.By = b.hw
	}
	return c
}

// learn puts an announced address into the cache. The lock is held.
func (c *client) learn(m *model, ip netip.Addr, mac string) {
	c.cache[ip] = mac
	m.measure()
}

// everybody asks all stations for an address, in the name of nobody. The lock is held.
func (b *node) everybody(ip netip.Addr) {
	b.m.frame(b, func(o *node) {
		o.hear(claims.Probe{IP: ip, MAC: b.hw})
		if o.card.machine.Role(ip).Answers(false) && o.as(ip).hw != b.hw { // else its card takes it for its own
			says := o.says(ip)
			o.tell(b, func() { b.hear(claims.Reply{Claim: says, Unproven: true}) })
		}
	})
	if mac := b.m.stations[ip]; mac != "" && b.up {
		b.m.later(func() { b.hear(claims.Reply{Claim: claims.Claim{IP: ip, MAC: hardware(mac)}, Unproven: true}) })
	}
}

// tell sends one node a frame. The lock is held.
func (b *node) tell(to *node, receive func()) {
	if !b.m.reach(b, to) {
		return
	}
	b.m.later(func() {
		if to.ice == nil {
			receive()
		}
	})
}

// ask sends a probe. The lock is held.
func (b *node) ask(x probe.Question) {
	if x.Host {
		b.probeHost(x)
		return
	}
	for _, o := range b.m.speakers {
		if x.MAC == probe.Everybody || x.MAC == o.mac {
			b.tell(o, func() { o.reply(b, x) })
		}
	}
}

// reply answers a probe. The lock is held.
func (b *node) reply(to *node, x probe.Question) {
	word := b.card.peers.Answer
	switch {
	case x.Kind() != probe.Owner && word != 0:
		b.tell(to, func() {
			to.hear(claims.Greeting{MAC: b.hw})
			to.replied(probe.Reply{Question: probe.Question{MAC: b.mac}, Word: word, Node: probe.Hash(b.name), Addrs: []netip.Addr{b.m.address(b.name)}})
		})
	case x.Kind() == probe.Owner && b.card.machine.Role(x.IP).Answers(true) && b.as(x.IP).hw != to.hw: // else its card takes it for its own
		says := b.says(x.IP)
		b.tell(to, func() {
			_, asked := to.card.asked[x]
			delete(to.card.asked, x)
			to.hear(claims.Reply{Claim: says, Proven: true, Caller: asked})
			if asked {
				to.replied(probe.Reply{Question: x})
			}
		})
	}
}

// probeHost asks the kernel of a host, which answers whatever its speaker does. The lock is held.
func (b *node) probeHost(q probe.Question) {
	for _, o := range b.m.speakers {
		if o.mac != q.MAC || b.m.address(o.name) != q.IP {
			continue
		}
		there := func() bool {
			return o.up && b.up && !o.paused && !o.mute && b.ice == nil
		}
		if there() && !b.m.split[link{o.name, b.name}] && !b.m.split[link{b.name, o.name}] {
			b.m.later(func() {
				if there() && b.m.speakers[b.name] == b {
					b.replied(probe.Reply{Question: q})
				}
			})
		}
	}
}

// claim is an announcement of a station that is no node.
func (m *model) claim(ip, mac string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.speakers {
		b.hear(claims.Claim{IP: netip.MustParseAddr(ip), MAC: hardware(mac)})
	}
	for _, c := range m.clients {
		c.learn(m, netip.MustParseAddr(ip), mac)
	}
}

// between calls f for both directions between any two nodes of two groups.
func between(a, b []string, f func(listener, talker string)) {
	for _, x := range a {
		for _, y := range b {
			if x != y {
				f(x, y)
				f(y, x)
			}
		}
	}
}

// others are all nodes but one, sorted.
func (m *model) others(name string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := slices.Sorted(maps.Keys(m.speakers))
	return slices.DeleteFunc(r, func(n string) bool { return n == name })
}
