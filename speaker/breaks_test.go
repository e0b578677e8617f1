package speaker

import (
	"net/netip"
	"time"

	"github.com/starling-lb/starling/arpd"
	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/mesh"
	"github.com/starling-lb/starling/peers"
)

// freeze stops the process of a node; the others give it up after a while.
func (m *model) freeze(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.speakers[name]
	b.ice, b.frozen = make(chan struct{}), time.Now()
	m.measure()
	ice := b.ice
	time.AfterFunc(500*time.Millisecond, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if b.ice == ice && m.speakers[name] == b {
			b.state, b.since, b.listens = mesh.Dead, time.Now(), false
			m.later(func() { // two ways later the others know whether its port is open
				b.listens = !b.paused && !b.killed && b.up
				m.gossip()
			})
			m.gossip()
		}
	})
}

// kill ends the process of a node without a word.
func (m *model) kill(name string) {
	m.freeze(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.speakers[name].killed = true
}

// pause stops the machine of a node.
func (m *model) pause(name string) {
	m.freeze(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.speakers[name].paused = true
}

// thaw lets a stopped process or machine go on, which knows nothing of what happened.
func (m *model) thaw(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.speakers[name]
	close(b.ice)
	b.ice, b.paused = nil, false
	b.card.stop = arpd.Stop{End: b.now(), Length: time.Since(b.frozen)}
	b.hear(claims.Stopped{Length: b.card.stop.Length})
	m.measure()
	poke(b.wired)
	time.AfterFunc(100*time.Millisecond, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if b.state == mesh.Dead && b.ice == nil && m.speakers[name] == b {
			b.state, b.since = mesh.Alive, time.Now()
			m.gossip()
		}
	})
}

// Send sends messages to those that are meant and can hear this node.
func (b *modelMesh) Send(out []peers.Message) {
	(*node)(b).awake()
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	from := (*node)(b)
	for _, x := range out {
		for _, o := range b.m.speakers {
			if o == from || x.To != "" && x.To != o.name || !b.m.hears(o, from) || b.m.lossy() {
				continue
			}
			b.m.later(func() {
				if b.m.hears(o, from) {
					o.inbox = append(o.inbox, x)
					poke(o.meshed)
				}
			})
		}
	}
}

func (b *modelMesh) Messages() []peers.Message {
	(*node)(b).awake()
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	out := b.inbox
	b.inbox = nil
	return out
}

// hears reports whether gossip of a talker reaches a listener now. The lock is held.
func (m *model) hears(listener, talker *node) bool {
	runs := func(b *node) bool { return b.up && b.ice == nil && m.speakers[b.name] == b }
	return runs(listener) && runs(talker) && !m.deaf[link{listener.name, talker.name}]
}

// block stops gossip from one node to another; the listener gives it up after a while.
func (m *model) block(listener, talker string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deaf[link{listener, talker}] = true
	b, o := m.speakers[listener], m.speakers[talker]
	if _, lost := b.lost[talker]; lost {
		return
	}
	b.lost[talker] = mesh.Member{Name: talker, Addr: netip.AddrPortFrom(m.address(talker), 7927), State: o.state, Since: o.since, Meta: o.meta}
	time.AfterFunc(500*time.Millisecond, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if v, lost := b.lost[talker]; lost && m.deaf[link{listener, talker}] && v.State == mesh.Alive {
			v.State, v.Since = mesh.Dead, time.Now()
			b.lost[talker] = v
			poke(b.meshed)
		}
	})
}

// unblock lets gossip pass again; the listener notices after a while.
func (m *model) unblock(listener, talker string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.deaf, link{listener, talker})
	time.AfterFunc(100*time.Millisecond, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if b := m.speakers[listener]; !m.deaf[link{listener, talker}] {
			delete(b.lost, talker)
			poke(b.meshed)
		}
	})
}
