package mesh

import (
	"bytes"
	"slices"
	"sync"

	"github.com/hashicorp/memberlist"

	"github.com/starling-lb/starling/peers"
)

// maxInbox bounds the messages that wait to be read: the oldest are dropped. A member that means it
// says it again.
const maxInbox = 1024

// messages are those of other members that wait to be read, and those of this one to be sent.
type messages struct {
	mu  sync.Mutex // Guards all following fields.
	in  []peers.Message
	out []peers.Message
}

// received notes a message of another member.
func (q *messages) received(m peers.Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.in) >= maxInbox {
		q.in = slices.Delete(q.in, 0, 1)
	}
	q.in = append(q.in, m)
}

// send notes messages to send.
func (q *messages) send(m []peers.Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.out = append(q.out, m...)
}

// take empties one of the two.
func (q *messages) take(which *[]peers.Message) []peers.Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := *which
	*which = nil
	return out
}

// encodeDirect is messageDirect, the order of the message, the name of the sender, a zero byte and
// the name of the member that it is about. What is no suspicion goes on: a zero byte, the kind, the
// name of another member, a zero byte, and the address and port.
func encodeDirect(m peers.Message, o order) []byte {
	b := slices.Concat([]byte{messageDirect}, o.bytes(), []byte(m.By), []byte{0}, []byte(m.About))
	if m.Kind == peers.Suspect {
		return b
	}
	b = append(append(b, 0, byte(m.Kind)), m.Other...)
	b, _ = m.At.AppendBinary(append(b, 0)) // has no error to return
	return b
}

func decodeDirect(b []byte) (m peers.Message, o order, ok bool) {
	o, names, _ := parseOrder(b)
	by, rest, ok := bytes.Cut(names, []byte{0})
	about, more, tested := bytes.Cut(rest, []byte{0})
	m = peers.Message{By: string(by), About: string(about)}
	ok = ok && len(by) > 0 && len(about) > 0
	if tested {
		ok = decodeTested(&m, more) == nil && ok
	}
	return m, o, ok
}

// decodeTested reads what a tester says.
func decodeTested(m *peers.Message, b []byte) error {
	other, at, ok := bytes.Cut(b, []byte{0})
	if !ok || len(other) == 0 || other[0] == byte(peers.Suspect) || peers.Kind(other[0]) > peers.Forwards {
		return errMeta
	}
	m.Kind, m.Other = peers.Kind(other[0]), string(other[1:])
	return m.At.UnmarshalBinary(at)
}

// Send sends messages directly, once, each to one other member or to all; they may be lost. It does
// not wait until that is done.
func (m *Mesh) Send(out []peers.Message) {
	m.messages.send(out)
	poke(m.messagesQueued)
}

// Messages returns the messages of other members since the last call, in order of arrival. Changed
// receives for new ones.
func (m *Mesh) Messages() []peers.Message { return m.messages.take(&m.messages.in) }

// direct takes a message of another member. It is called by memberlist's receive
// loop.
func (m *Mesh) direct(content []byte) {
	x, o, ok := decodeDirect(content)
	switch {
	case !ok || x.By == m.cfg.Name:
	case !m.table.fresh(x.By, o):
		m.see(condition{kind: kindOld, who: x.By})
	default:
		m.messages.received(x)
		m.signal()
	}
}

// spread sends the messages that are due to those of the others that are alive and meant.
func (m *Mesh) spread(list *memberlist.Memberlist) {
	words := m.messages.take(&m.messages.out)
	if len(words) == 0 {
		return
	}
	others := m.table.summary().others
	for _, w := range words {
		b := encodeDirect(w, m.table.nextMessage())
		for addr, name := range others {
			if w.To != "" && w.To != name {
				continue
			}
			// Best effort: see Send.
			_ = list.SendToAddress(memberlist.Address{Addr: addr.String(), Name: name}, b)
		}
	}
}
