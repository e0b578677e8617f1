package mesh

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"
)

// hooks are what memberlist calls. All of them run under its locks or in its
// receive loop, so they copy what they are given and return.
type hooks struct{ m *Mesh }

var (
	_ memberlist.EventDelegate    = hooks{}
	_ memberlist.ConflictDelegate = hooks{}
	_ memberlist.Delegate         = hooks{}
	_ memberlist.AliveDelegate    = hooks{}
)

// NotifyJoin is called for a new member, self included, and for one that
// comes back.
func (h hooks) NotifyJoin(n *memberlist.Node) { h.alive(n) }

// NotifyUpdate is called when a member's metadata differ.
func (h hooks) NotifyUpdate(n *memberlist.Node) { h.alive(n) }

func (h hooks) alive(n *memberlist.Node) {
	addr := addrOf(n)
	changed, came := h.m.table.alive(n.Name, addr, n.Meta, time.Now())
	if !changed {
		return
	}
	if came {
		h.m.tell("member alive", n.Name, addr)
		h.m.over(addr.Addr().String(), kindKey, kindLabel, kindRefused)
	}
	h.m.signal()
}

// NotifyAlive is called for every alive message, also for one about self: an earlier process of this
// node, whose clock was ahead.
func (h hooks) NotifyAlive(n *memberlist.Node) error {
	if n.Name == h.m.cfg.Name && addrOf(n) == h.m.table.company().self && h.m.table.outlive(n.Meta) {
		poke(h.m.retell)
	}
	return nil
}

// NotifyLeave is called for a member that died and for one that left.
func (h hooks) NotifyLeave(n *memberlist.Node) {
	now := time.Now()
	state, changed := h.m.table.gone(n.Name, now)
	if !changed {
		return
	}
	if state == Dead {
		h.m.metrics.deaths.Inc()
		select {
		case h.m.fallen <- fallen{n.Name, addrOf(n), now}:
		default: // Too many at once: see knockWidth.
		}
	}
	h.m.tell("member "+string(state), n.Name, addrOf(n))
	h.m.over(n.Name, kindUDP) // It does not answer by TCP either.
	h.m.signal()
}

// NotifyConflict is called when a second node claims the name of a member
// that is alive at another address.
func (h hooks) NotifyConflict(existing, other *memberlist.Node) {
	both := []netip.AddrPort{addrOf(existing), addrOf(other)}
	slices.SortFunc(both, netip.AddrPort.Compare)
	h.m.see(trouble{kind: kindName, who: existing.Name, other: both[0].String() + " and " + both[1].String()})
	if existing.Name == h.m.cfg.Name {
		h.m.mu.Lock()
		h.m.settling.twin = time.Now()
		h.m.mu.Unlock()
	}
}

// NodeMeta is what self says.
func (h hooks) NodeMeta(int) []byte { return h.m.table.ownMeta() }

// A message that is sent to a member directly: one byte that says what, then
// its content. Unknown ones are of a later release.
const (
	messageGoodbye byte = 1 // Content: the order of what the sender said last, and its name; it leaves.
	messageAlarm   byte = 2 // Content: see encodeAlarm.
	messageNews    byte = 3 // Content: see encodeNews.
)

func goodbye(name string, o order) []byte {
	return slices.Concat([]byte{messageGoodbye}, o.bytes(), []byte(name))
}

// NotifyMsg is called for messages of other members.
func (h hooks) NotifyMsg(b []byte) {
	if content, ok := bytes.CutPrefix(b, []byte{messageAlarm}); ok {
		h.m.alarm(content)
		return
	}
	if content, ok := bytes.CutPrefix(b, []byte{messageNews}); ok {
		h.m.news(content)
		return
	}
	if content, ok := bytes.CutPrefix(b, []byte{messageGoodbye}); ok {
		h.m.goodbye(content)
	}
}

// goodbye takes that of another member. One that the member's earlier process said is old.
func (m *Mesh) goodbye(content []byte) {
	o, name, ok := parseOrder(content)
	switch {
	case !ok:
	case m.table.orderOf(string(name)).after(o):
		m.see(trouble{kind: kindOld, who: string(name)})
	case m.table.goodbye(string(name), time.Now()):
		m.journal.say(func(l *zerolog.Logger) { l.Info().Str("node", string(name)).Msg("member left") })
		m.signal()
	}
}

// GetBroadcasts has nothing to add to memberlist's own gossip.
func (hooks) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState has nothing to add to the exchange of states.
func (hooks) LocalState(bool) []byte { return nil }

// MergeRemoteState ignores what a later release may add.
func (hooks) MergeRemoteState([]byte, bool) {}

// addrOf copies the address of a live node.
func addrOf(n *memberlist.Node) netip.AddrPort {
	a, _ := netip.AddrFromSlice(n.Addr)
	return netip.AddrPortFrom(a.Unmap(), n.Port)
}
