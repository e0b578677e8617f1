package arpd

import (
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/starling-lb/starling/claims"
	"github.com/starling-lb/starling/probe"
)

// maxReplies bounds what waits to be read by Replies: replies can be forged. More are dropped and
// counted.
const maxReplies = 4096

// inbox holds what came back for questions until the caller reads it. Its lock is its own, so the
// caller waits for no assignment of many addresses.
type inbox struct {
	ready   chan struct{} // capacity 1
	overrun prometheus.Counter

	mu      sync.Mutex // guards all following fields
	replies []any
	owners  map[probe.Question]struct{} // asked whether they hold on to an address, and not answered
}

func newInbox(overrun prometheus.Counter) *inbox {
	return &inbox{ready: make(chan struct{}, 1), overrun: overrun, owners: make(map[probe.Question]struct{})}
}

// expect notes that a question is sent. Who holds on to an address is heard once for each, since
// replies can be forged.
func (b *inbox) expect(q probe.Question) {
	if q.Kind() != probe.Owner {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.owners) >= maxReplies {
		clear(b.owners)
	}
	b.owners[q] = struct{}{}
}

// holds takes the reply of a station that holds on to an address, and reports whether it was asked.
func (b *inbox) holds(c claims.Claim) (asked bool) {
	q := probe.Question{IP: c.IP, MAC: c.From().String()}
	b.mu.Lock()
	_, asked = b.owners[q]
	delete(b.owners, q)
	b.mu.Unlock()
	if asked {
		b.put(probe.Reply{Question: q})
	}
	return asked
}

func (b *inbox) put(reply any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.replies) >= maxReplies {
		b.overrun.Inc()
		return
	}
	b.replies = append(b.replies, reply)
	poke(b.ready)
}

func (b *inbox) take() []any {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.replies
	b.replies = nil
	return out
}

// outbox holds what package claims wants to have sent until it is.
type outbox struct {
	ready chan struct{} // capacity 1

	mu        sync.Mutex // guards all following fields
	questions []probe.Question
	probes    []netip.Addr // tentative addresses
}

func newOutbox() *outbox { return &outbox{ready: make(chan struct{}, 1)} }

func (b *outbox) put(questions []probe.Question, probes []netip.Addr) {
	if len(questions)+len(probes) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.questions, b.probes = append(b.questions, questions...), append(b.probes, probes...)
	poke(b.ready)
}

func (b *outbox) take() (questions []probe.Question, probes []netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	questions, probes = b.questions, b.probes
	b.questions, b.probes = nil, nil
	return questions, probes
}
