package mesh

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/rs/zerolog"
)

// delegate are what memberlist calls. All of them run under its locks or in its
// receive loop, so they copy what they are given and return.
type delegate struct{ m *Mesh }

var (
	_ memberlist.EventDelegate    = delegate{}
	_ memberlist.ConflictDelegate = delegate{}
	_ memberlist.Delegate         = delegate{}
	_ memberlist.AliveDelegate    = delegate{}
)

// NotifyJoin is called for a new member, self included, and for one that
// comes back.
func (h delegate) NotifyJoin(n *memberlist.Node) { h.alive(n) }

// NotifyUpdate is called when a member's metadata differ.
func (h delegate) NotifyUpdate(n *memberlist.Node) { h.alive(n) }

func (h delegate) alive(n *memberlist.Node) {
	addr := addrOf(n)
	changed, came := h.m.table.alive(n.Name, addr, n.Meta, time.Now())
	if !changed {
		return
	}
	if came {
		h.m.logMember("member alive", n.Name, addr)
		h.m.over(addr.Addr().String(), kindKey, kindLabel, kindRefused)
	}
	h.m.signal()
}

// NotifyAlive is called for every alive message, and refuses members without a Node. It is also
// called for one about self: an earlier process of this node, whose clock was ahead.
func (h delegate) NotifyAlive(n *memberlist.Node) error {
	if h.m.refuse(n) {
		return errNoNode
	}
	if n.Name == h.m.cfg.Name && addrOf(n) == h.m.table.summary().self && h.m.table.outlive(n.Meta) {
		poke(h.m.metaChanged)
	}
	return nil
}

// NotifyLeave is called for a member that died and for one that left.
func (h delegate) NotifyLeave(n *memberlist.Node) {
	now := time.Now()
	state, changed := h.m.table.gone(n.Name, now)
	if !changed {
		return
	}
	if state == Dead {
		h.m.metrics.deaths.Inc()
		select {
		case h.m.declaredDead <- deadMember{n.Name, addrOf(n), now}:
		default: // Too many at once: see portProbesAtOnce.
		}
	}
	h.m.logMember("member "+string(state), n.Name, addrOf(n))
	h.m.over(n.Name, kindUDP) // It does not answer by TCP either.
	h.m.signal()
}

// NotifyConflict is called when a second node claims the name of a member
// that is alive at another address.
func (h delegate) NotifyConflict(existing, other *memberlist.Node) {
	both := []netip.AddrPort{addrOf(existing), addrOf(other)}
	slices.SortFunc(both, netip.AddrPort.Compare)
	h.m.see(condition{kind: kindName, who: existing.Name, other: both[0].String() + " and " + both[1].String()})
	if existing.Name == h.m.cfg.Name {
		h.m.mu.Lock()
		h.m.settling.twin = time.Now()
		h.m.mu.Unlock()
	}
}

// NodeMeta is what self says.
func (h delegate) NodeMeta(int) []byte { return h.m.table.ownMeta() }

// A message that is sent to a member directly: one byte that says what, then
// its content. Unknown ones are of a later release.
const (
	messageGoodbye byte = 1 // Content: the order of what the sender said last, and its name; it leaves.
	messageDirect  byte = 2 // Content: see encodeDirect.
	messageUrgent  byte = 3 // Content: see encodeUrgent.
)

func goodbye(name string, o order) []byte {
	return slices.Concat([]byte{messageGoodbye}, o.bytes(), []byte(name))
}

// NotifyMsg is called for messages of other members.
func (h delegate) NotifyMsg(b []byte) {
	if content, ok := bytes.CutPrefix(b, []byte{messageDirect}); ok {
		h.m.direct(content)
		return
	}
	if content, ok := bytes.CutPrefix(b, []byte{messageUrgent}); ok {
		h.m.urgentMeta(content)
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
		m.see(condition{kind: kindOld, who: string(name)})
	case m.table.goodbye(string(name), time.Now()):
		m.logs.put(func(l *zerolog.Logger) { l.Info().Str("node", string(name)).Msg("member left") })
		m.signal()
	}
}

// GetBroadcasts has nothing to add to memberlist's own gossip.
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState has nothing to add to the exchange of states.
func (delegate) LocalState(bool) []byte { return nil }

// MergeRemoteState ignores what a later release may add.
func (delegate) MergeRemoteState([]byte, bool) {}

// addrOf copies the address of a live node.
func addrOf(n *memberlist.Node) netip.AddrPort {
	a, _ := netip.AddrFromSlice(n.Addr)
	return netip.AddrPortFrom(a.Unmap(), n.Port)
}
