package arpd

import (
	"context"
	"encoding/binary"
	"maps"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/probe"
)

// Send sends questions, each once, on every interface that it concerns. What comes back, Replies
// says.
func (r *Responder) Send(questions []probe.Question) {
	for _, x := range questions {
		r.inbox.expect(x)
	}
	r.send(questions)
}

func (r *Responder) send(questions []probe.Question) {
	ports := r.portsNow()
	for _, x := range questions {
		for _, p := range ports {
			if err := p.ask(x, r.presence, r.metrics); err != nil {
				r.sampled.send.Error().Err(err).Str("mac", x.MAC).Msg("cannot probe a peer")
			}
		}
	}
}

func (r *Responder) portsNow() []*iface {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Collect(maps.Values(r.ifaces))
}

// tryOut sends the questions of package claims, and the probes of addresses that are probed.
func (r *Responder) tryOut(ctx context.Context) {
	for ctx.Err() == nil {
		questions, try := r.outbox.take()
		r.send(questions)
		ports := r.portsNow()
		for _, ip := range try {
			for _, p := range ports {
				if err := p.probe(ip, r.metrics); err != nil {
					r.sampled.send.Error().Err(err).Stringer("vip", ip).Msg("cannot probe an address")
				}
			}
		}
		select {
		case <-ctx.Done():
		case <-r.outbox.ready:
		}
	}
}

// ask sends one probe, if it concerns the port.
func (p *iface) ask(q probe.Question, presence uint32, m *metrics) error {
	to, ok := parseHW(q.MAC)
	v := p.view.Load()
	if !ok || q.Host && !v.on(q.IP) || q.Kind() == probe.Owner && v.table.role(q.IP) == 0 {
		return nil
	}
	frame, r, err := []byte(nil), p.readers[0], error(nil)
	switch {
	case !q.IP.IsValid():
		var target [4]byte
		binary.BigEndian.PutUint32(target[:], presence)
		frame, err = packet.Question4(v.mac, netip.AddrFrom4(v.addr4), to, netip.AddrFrom4(target))
	case q.IP.Is4():
		frame, err = packet.Question4(v.mac, netip.AddrFrom4(v.addr4), to, q.IP)
	default:
		r = p.readers[1]
		frame, err = packet.Question6(v.mac, to, q.IP)
	}
	if err != nil {
		return err
	}
	if v.proofs != nil && !q.Host {
		n, err := v.proofs.open.ask(q, to, r.index, time.Now())
		if err != nil {
			return err
		}
		frame = packet.WithNonce(frame, n)
	}
	p.write(r, frame, m.asked, m)
	return nil
}

// parseHW reads a MAC.
func parseHW(text string) (packet.HW, bool) {
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != len(packet.HW{}) {
		return packet.HW{}, false
	}
	return packet.HW(mac), true
}
