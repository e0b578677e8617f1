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
		h.m.alarms.over(n.Name)
	}
	h.m.signal()
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
	messageGoodbye byte = 1 // Content: the name of the sender, who leaves.
	messageAlarm   byte = 2 // Content: see encodeAlarm.
	messageNews    byte = 3 // Content: see encodeNews.
)

func goodbye(name string) []byte { return append([]byte{messageGoodbye}, name...) }

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
	name, ok := bytes.CutPrefix(b, []byte{messageGoodbye})
	if ok && h.m.table.goodbye(string(name), time.Now()) {
		h.m.journal.say(func(l *zerolog.Logger) { l.Info().Str("node", string(name)).Msg("member left") })
		h.m.signal()
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
