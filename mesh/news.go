package mesh

import (
	"bytes"
	"math/bits"
	"net/netip"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"
)

// worse tells whether others must do something because of a change: the member
// is not ready any more, drains, or lost one of its networks. Gossip takes a few
// of its intervals to reach everybody, so such news is told to all directly,
// before it is gossiped; what is lost on the way, gossip brings.
func worse(was, is Meta) bool {
	return was.Ready && !is.Ready || is.Draining && !was.Draining ||
		slices.ContainsFunc(was.Segments, func(p netip.Prefix) bool { return !slices.Contains(is.Segments, p) })
}

// encodeNews is messageNews, the name of the sender, a zero byte and its metadata.
func encodeNews(name string, meta []byte) []byte {
	return slices.Concat([]byte{messageNews}, []byte(name), []byte{0}, meta)
}

// news takes the metadata of another member from itself.
func (m *Mesh) news(content []byte) {
	name, meta, ok := bytes.Cut(content, []byte{0})
	if ok && string(name) != m.cfg.Name && m.table.told(string(name), meta, time.Now()) {
		m.signal()
	}
}

// newsTime is for how long gossip that differs from a member's own word is taken
// for older: what was said just before is still on its way through others. It is
// looked at once a second whether the time is over. What ends bad news is not
// told directly, so others may learn of it that much later.
const newsTime = 500 * time.Millisecond

// confirmTime is for how long after that the word of a member stands that gossip
// never confirms: a receiver works on its newest datagram first, so after a stop
// it may hear old news after new gossip, which does not say it twice. The gossip
// may have been lost as well, and an older word be wrong by that. Then an exchange
// of state brings it, and this is time for three that the receiver begins. The
// library begins them the less often the more members there are.
func confirmTime(members int) time.Duration {
	return 3 * exchangeEvery * time.Duration(1+bits.Len(uint(max(members-1, 0)/32)))
}

// word is what a member said directly, until gossip says the same. memberlist
// does not tell which of two versions is the newer one, so what gossip says
// meanwhile is put aside, and comes into force when the time is over.
type word struct {
	told  string    // "": gossip is up to date
	until time.Time // when gossip is believed again
	aside []byte    // what gossip says; nil: nothing new
}

// holds tells whether what gossip says must wait.
func (w *word) holds(meta []byte, now time.Time) bool {
	if w.told == "" || w.told == string(meta) || !now.Before(w.until) {
		*w = word{}
		return false
	}
	w.aside = append([]byte{}, meta...)
	return true
}

// due ends a word whose time is over, and returns what gossip says instead, or
// said last.
func (w *word) due(now time.Time, last string, confirm time.Duration) (meta []byte) {
	switch {
	case w.told == "" || now.Before(w.until):
		return nil
	case w.aside != nil:
		meta = w.aside
	case now.Before(w.until.Add(confirm)):
		return nil
	default:
		meta = []byte(last)
	}
	*w = word{}
	return meta
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
