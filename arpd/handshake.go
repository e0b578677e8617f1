package arpd

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/time/rate"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/forward"
)

const (
	// testPorts is the lowest port from which connections are begun. The kernel takes those below
	// it for its own (net.ipv4.ip_local_port_range).
	testPorts = 61000
	// handshakeTime is for how long a connection that was begun is remembered, so that what is
	// accepted late is reset as well.
	handshakeTime = 3 * time.Second
	// maxHandshakes bounds those that are remembered; the oldest are forgotten.
	maxHandshakes = 4096
	// handshakeRate is how many are begun in a second at most. Package forward asks for far fewer.
	handshakeRate = 2000
)

// opening is what an answer must name: 32 bits at random, and nearly twelve more.
type opening struct {
	port uint16
	seq  uint32
}

// handshake is a connection that was begun by way of a station.
type handshake struct {
	id    uint64
	by    packet.HW
	from  netip.Addr
	to    netip.AddrPort
	until time.Time
}

// handshakes are the connections that were begun a moment ago.
type handshakes struct {
	inbox *inbox
	limit *rate.Limiter

	mu    sync.Mutex // guards all following fields; never held across a system call
	of    map[opening]handshake
	order []opening // as they were begun
}

func newHandshakes(in *inbox) *handshakes {
	return &handshakes{inbox: in, limit: rate.NewLimiter(handshakeRate, handshakeRate), of: map[opening]handshake{}}
}

// protocols hear what accepts connections. They are the last ones of a port, see reader.
func (h *handshakes) protocols() []protocol {
	return []protocol{
		{packet.EtherIPv4, h.accepted, func(*table) []bpf.Instruction { return packet.FilterAccepted4(testPorts) }},
		{packet.EtherIPv6, h.accepted, func(*table) []bpf.Instruction { return packet.FilterAccepted6(testPorts) }},
	}
}

// begin remembers a connection and returns its first segment, without the MAC of its sender.
func (h *handshakes) begin(x handshake, now time.Time) (packet.Segment, error) {
	var b [6]byte
	if _, err := rand.Read(b[:]); err != nil {
		return packet.Segment{}, fmt.Errorf("make a sequence number: %w", err)
	}
	port := testPorts + binary.BigEndian.Uint16(b[4:])%(1<<16-testPorts)
	o := opening{port, binary.BigEndian.Uint32(b[:])}
	x.until = now.Add(handshakeTime)
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.order) > 0 && (len(h.order) >= maxHandshakes || !now.Before(h.of[h.order[0]].until)) {
		delete(h.of, h.order[0])
		h.order = h.order[1:]
	}
	h.of[o], h.order = x, append(h.order, o)
	return packet.Segment{Dst: x.by, From: netip.AddrPortFrom(x.from, port), To: x.to, Seq: o.seq, Flags: packet.SYN}, nil
}

// find is the connection that a segment accepts.
func (h *handshakes) find(s packet.Segment, now time.Time) (handshake, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	x, begun := h.of[opening{s.To.Port(), s.Ack - 1}]
	return x, begun && now.Before(x.until) && x.to == s.From && x.from == s.To.Addr() && s.Flags&packet.RST == 0
}

// accepted decides about a segment in the first n bytes of b. If it accepts a connection of ours it
// is reported, and what resets the connection is written over it, which goes by the same station.
func (h *handshakes) accepted(v *view, b []byte, n int) verdict {
	s, fault := packet.ParseTCP(b[:n])
	if fault != packet.Sound {
		return verdict{drop: dropOf(fault)}
	}
	x, ours := h.find(s, time.Now())
	if !ours {
		return verdict{drop: notRequest}
	}
	h.inbox.put(forward.Reply{ID: x.id, MAC: s.Src.String()})
	reset := packet.Segment{Dst: x.by, Src: v.mac, From: s.To, To: s.From, Seq: s.Ack, Flags: packet.RST}
	return verdict{answer: copy(b, reset.Frame())}
}

// Test begins the connections, each once, on the interfaces that are on the network of the address,
// or on all if none is. Replies says which were accepted; they are reset. All or none are sent.
func (r *Responder) Test(questions []forward.Question) {
	if r.begun == nil || len(questions) == 0 {
		return
	}
	if !r.begun.limit.AllowN(time.Now(), len(questions)) {
		r.metrics.dropped[limited].Add(float64(len(questions)))
		return
	}
	ways := r.ways()
	for _, q := range questions {
		near := slices.DeleteFunc(slices.Clone(ways), func(w way) bool { return !w.port.view.Load().on(q.To.Addr()) })
		if len(near) == 0 {
			near = ways
		}
		for _, w := range near {
			if err := w.begin(q, r.begun, r.metrics); err != nil {
				r.sampled.send.Error().Err(err).Str("mac", q.MAC).Msg("cannot test a peer")
			}
		}
	}
}

// way is a port, and its interface as it is now.
type way struct {
	port *iface
	link netif.Link
}

func (r *Responder) ways() (out []way) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.ifaces {
		out = append(out, way{p, p.link})
	}
	return out
}

// begin begins one connection, if the interface has an address to begin it from.
func (w way) begin(q forward.Question, h *handshakes, m *metrics) error {
	by, ok := parseHW(q.MAC)
	from := w.link.Source(q.To.Addr())
	if !ok || !from.IsValid() {
		return nil
	}
	s, err := h.begin(handshake{id: q.ID, by: by, from: from, to: q.To}, time.Now())
	if err != nil {
		return err
	}
	s.Src = w.port.view.Load().mac
	w.port.write(w.port.reader(from), s.Frame(), m.handshakes, m)
	return nil
}

// reader is the one that hears answers of a family. Its protocol is the last one.
func (p *iface) reader(ip netip.Addr) *reader {
	last := len(p.readers) - 1
	if ip.Is4() {
		return p.readers[last-1]
	}
	return p.readers[last]
}
