package mesh

import (
	"bytes"
	"slices"

	"github.com/hashicorp/memberlist"
)

// worse reports whether others must do something because of a change: the member
// is not ready any more, drains, is away, has no kube-proxy, lost one of its networks or
// its session with a router, or takes another one for being away, which waits for that
// word. Gossip takes a few of its intervals to reach everybody, so such news goes to
// all directly, before it is gossiped; what is lost on the way, gossip brings.
func worse(was, is Meta) bool {
	return was.Ready && !is.Ready || is.Draining && !was.Draining || is.Away && !was.Away || is.NoProxy && !was.NoProxy ||
		lacks(was.Absent, is.Absent) || lacks(is.Sessions, was.Sessions) || lacks(is.Segments, was.Segments)
}

// lacks reports whether all does not have each of some.
func lacks[T comparable](all, some []T) bool {
	return slices.ContainsFunc(some, func(x T) bool { return !slices.Contains(all, x) })
}

// encodeUrgent is messageUrgent, the name of the sender, a zero byte and its metadata.
func encodeUrgent(name string, meta []byte) []byte {
	return slices.Concat([]byte{messageUrgent}, []byte(name), []byte{0}, meta)
}

// urgentMeta takes the metadata of another member from itself.
func (m *Mesh) urgentMeta(content []byte) {
	name, meta, ok := bytes.Cut(content, []byte{0})
	switch {
	case !ok || string(name) == m.cfg.Name:
	case m.table.orderOf(string(name)).after(orderOf(meta)):
		m.see(condition{kind: kindOld, who: string(name)})
	case m.table.learn(string(name), meta):
		m.signal()
	}
}

// spreadUrgent tells all others directly what this member says of itself, if that is
// urgent, and lets it be gossiped.
func (m *Mesh) spreadUrgent(list *memberlist.Memberlist) {
	if m.urgent.Swap(false) {
		for addr, name := range m.table.summary().others {
			// Gossip follows.
			_ = list.SendToAddress(memberlist.Address{Addr: addr.String(), Name: name}, encodeUrgent(m.cfg.Name, m.table.ownMeta()))
		}
	}
	// The new metadata are queued when this returns; the error only says that
	// we do not wait until they are sent.
	_ = list.UpdateNode(1)
}
