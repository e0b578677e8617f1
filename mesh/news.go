package mesh

import (
	"bytes"
	"net/netip"
	"slices"

	"github.com/hashicorp/memberlist"
)

// worse tells whether others must do something because of a change: the member
// is not ready any more, drains, is away, has no kube-proxy, lost one of its networks, or takes
// another one for being away, which waits for that word. Gossip takes a few
// of its intervals to reach everybody, so such news is told to all directly,
// before it is gossiped; what is lost on the way, gossip brings.
func worse(was, is Meta) bool {
	return was.Ready && !is.Ready || is.Draining && !was.Draining || is.Away && !was.Away || slices.ContainsFunc(is.Absent, func(h uint32) bool { return !slices.Contains(was.Absent, h) }) || is.NoProxy && !was.NoProxy ||
		slices.ContainsFunc(was.Segments, func(p netip.Prefix) bool { return !slices.Contains(is.Segments, p) })
}

// encodeNews is messageNews, the name of the sender, a zero byte and its metadata.
func encodeNews(name string, meta []byte) []byte {
	return slices.Concat([]byte{messageNews}, []byte(name), []byte{0}, meta)
}

// news takes the metadata of another member from itself.
func (m *Mesh) news(content []byte) {
	name, meta, ok := bytes.Cut(content, []byte{0})
	switch {
	case !ok || string(name) == m.cfg.Name:
	case m.table.orderOf(string(name)).after(orderOf(meta)):
		m.see(trouble{kind: kindOld, who: string(name)})
	case m.table.told(string(name), meta):
		m.signal()
	}
}

// retold tells all others directly what this member says of itself, if that is
// urgent, and lets it be gossiped.
func (m *Mesh) retold(list *memberlist.Memberlist) {
	if m.urgent.Swap(false) {
		for addr, name := range m.table.company().others {
			// Gossip follows.
			_ = list.SendToAddress(memberlist.Address{Addr: addr.String(), Name: name}, encodeNews(m.cfg.Name, m.table.ownMeta()))
		}
	}
	// The new metadata are queued when this returns; the error only says that
	// we do not wait until they are sent.
	_ = list.UpdateNode(1)
}
