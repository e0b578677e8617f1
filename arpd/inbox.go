package arpd

import (
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

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

	mu      sync.Mutex // guards replies
	replies []any
}

func newInbox(overrun prometheus.Counter) *inbox {
	return &inbox{ready: make(chan struct{}, 1), overrun: overrun}
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
