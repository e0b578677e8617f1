package arpd

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"net/netip"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
)

// The presence address is what a speaker is asked for when the question is only
// whether it is there. It is of 0.0.0.0/8, which no host has and no router
// forwards (RFC 1122, section 3.2.1.3), so no kernel ever answers for it, and
// it stands for one cluster: its middle bits are a hash of the cluster's
// identity. The lowest three bits are 0 in a question and what the speaker has
// to say in an answer.
//
// It is only ever the target of a request or a reply. Their sender is the
// interface's own address at its own MAC, which is true, so no cache learns
// anything wrong and networks that check senders let them pass.
const (
	wordMask     = 7
	presenceMask = 0x00ffffff &^ wordMask
)

// presenceOf is the presence address of a cluster.
func presenceOf(cluster string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(cluster)) // cannot fail
	p := h.Sum32() & presenceMask
	if p == 0 { // 0.0.0.0 is another thing
		p = wordMask + 1
	}
	return p
}

// greet decides about a frame whose target is the presence address: whether a
// question is answered, and what an answer says.
func (v *view) greet(m *arpMessage, b []byte) verdict {
	word := uint8(key4(m.tpa) & wordMask)
	switch {
	case m.op == arpRequest && word == 0 && v.say != 0:
		n := m.answer(b, v.mac)
		copy(b[28:], v.addr4[:])
		binary.BigEndian.PutUint32(b[38:], v.table.presence|uint32(v.say))
		return verdict{answer: n, presence: true}
	case m.op == arpReply && word != 0:
		return verdict{claim: claim{ip: netip.AddrFrom4(m.spa), mac: m.sha, says: word}}
	}
	return verdict{drop: notRequest}
}

// inquire asks what is due.
func (r *Responder) inquire(ctx context.Context) {
	for ctx.Err() == nil {
		ask, try, ports, wake := r.dueQuestions(time.Now())
		for _, q := range ask {
			for _, p := range ports {
				if err := p.ask(q, r.presence, r.metrics); err != nil {
					r.noise.send.Error().Err(err).Str("mac", q.MAC).Msg("cannot ask")
				}
			}
		}
		for _, ip := range try {
			for _, p := range ports {
				if err := p.probe(ip, r.metrics); err != nil {
					r.noise.send.Error().Err(err).Stringer("vip", ip).Msg("cannot probe")
				}
			}
		}
		var timer <-chan time.Time
		if !wake.IsZero() {
			timer = time.After(time.Until(wake))
		}
		select {
		case <-ctx.Done():
		case <-r.asked:
		case <-timer:
		}
	}
}

func (r *Responder) dueQuestions(now time.Time) (ask []Question, try []netip.Addr, ports []*port, wake time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ask, wake, changed := r.inquiries.next(now)
	try, again, known := r.probes.next(now)
	r.update(r.probes.tidy(), now)
	if changed || known {
		poke(r.changed)
	}
	for _, p := range r.ports {
		ports = append(ports, p)
	}
	return ask, try, ports, sooner(wake, again)
}

// ask sends one question, if it concerns the port.
func (p *port) ask(q Question, presence uint32, m *metrics) error {
	to, ok := parseHW(q.MAC)
	v := p.view.Load()
	if !ok || q.Host && !v.on(q.IP) || !q.Host && q.IP.IsValid() && v.table.role(q.IP) == 0 {
		return nil
	}
	frame, r, err := []byte(nil), p.readers[0], error(nil)
	switch {
	case !q.IP.IsValid():
		var target [4]byte
		binary.BigEndian.PutUint32(target[:], presence)
		frame, err = question4(v, to, netip.AddrFrom4(target))
	case q.IP.Is4():
		frame, err = question4(v, to, q.IP)
	default:
		r = p.readers[1]
		frame, err = question6(v, to, q.IP)
	}
	if err != nil {
		return err
	}
	p.write(r, frame, m.asked, m)
	return nil
}

// question4 is an ARP request to one station. That it gives the target hardware
// address, which those of hosts leave empty, marks it as one of a speaker: it
// asks who holds on to the address, and who is handing it over is to be silent.
func question4(v *view, to hw, ip netip.Addr) ([]byte, error) {
	p, err := arp.NewPacket(arp.OperationRequest, v.mac[:], netip.AddrFrom4(v.addr4), to[:], ip)
	if err != nil {
		return nil, fmt.Errorf("build question for %s: %w", ip, err)
	}
	body, err := p.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encode question for %s: %w", ip, err)
	}
	return append(ethernet(to, v.mac, etherARP), body...), nil
}

// question6 is a neighbour solicitation to one station, as of neighbour
// unreachability detection (RFC 4861, section 7.3.3). It comes from the
// link-local address that belongs to the MAC (RFC 4291, appendix A), whether the
// interface has it or not: the answer is read from the frame.
func question6(v *view, to hw, ip netip.Addr) ([]byte, error) {
	ns := &ndp.NeighborSolicitation{
		TargetAddress: ip,
		Options: []ndp.Option{
			&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: v.mac[:]},
			&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: to[:]}, // the mark, ignored by hosts (RFC 4861, section 4.6.1)
		},
	}
	from := linkLocal(v.mac)
	body, err := ndp.MarshalMessageChecksum(ns, from, ip)
	if err != nil {
		return nil, fmt.Errorf("encode question for %s: %w", ip, err)
	}
	return ndFrame(to, v.mac, from, ip, body), nil
}

func linkLocal(mac hw) netip.Addr {
	return netip.AddrFrom16([16]byte{
		0: 0xfe, 1: 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5],
	})
}
