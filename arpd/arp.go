package arpd

import (
	"encoding/binary"
	"net/netip"
)

// Operations of ARP (RFC 826). All others (RARP, InARP) are not ours.
const (
	arpRequest = 1
	arpReply   = 2
)

// arpMessage is an ARP frame for Ethernet and IPv4, read in place.
type arpMessage struct {
	dst, src hw // of the Ethernet header
	op       uint16
	sha, tha hw // sender and target hardware address
	spa, tpa [4]byte
}

// parseARP reads b, a whole Ethernet frame. Bytes behind the message are the
// padding of short frames and are not looked at.
func parseARP(b []byte) (m arpMessage, d drop) {
	if len(b) < arpSize ||
		binary.BigEndian.Uint16(b[12:]) != etherARP ||
		binary.BigEndian.Uint16(b[14:]) != 1 || // hardware type Ethernet
		binary.BigEndian.Uint16(b[16:]) != etherIPv4 ||
		b[18] != 6 || b[19] != 4 {
		return m, malformed
	}
	m.dst, m.src = hw(b[0:6]), hw(b[6:12])
	m.op = binary.BigEndian.Uint16(b[20:])
	m.sha, m.spa = hw(b[22:28]), [4]byte(b[28:32])
	m.tha, m.tpa = hw(b[32:38]), [4]byte(b[38:42])
	return m, kept
}

// arp decides about the ARP frame in the first n bytes of b and writes the
// answer, if there is one, over it.
//
//	who asks             sender   target   ->
//	request              any      ours     answer to the sender's hardware address
//	speaker's question   any      ours     the same, unless it is being handed over
//	probe                0.0.0.0  ours     answer (RFC 5227: the prober must learn that it is taken)
//	probe                0.0.0.0  tried    claim: another host is trying it out, too
//	announcement         VIP      the same claim, no answer
//	reply                VIP      any      claim, no answer
//	reply to this node   others   any      the same, of a host
//	request, reply       any      presence see greet
//
// A request whose sender address is a VIP is a claim as well, whatever it asks.
func (v *view) arp(b []byte, n int) verdict {
	m, d := parseARP(b[:n])
	if d == kept {
		d = v.admit(m.dst, m.src, m.sha)
	}
	if d != kept {
		return verdict{drop: d}
	}
	if presence := v.table.presence; presence != 0 && key4(m.tpa)&^wordMask == presence {
		return v.greet(&m, b)
	}
	var out verdict
	if v.table.role4(key4(m.spa)) != 0 {
		out.claim = claim{ip: netip.AddrFrom4(m.spa), mac: m.sha, asked: m.op == arpReply && m.dst == v.mac}
	} else if m.op == arpReply && m.dst == v.mac {
		out.claim = claim{ip: netip.AddrFrom4(m.spa), mac: m.sha, host: true}
	}
	switch {
	case m.op == arpRequest && m.spa != m.tpa:
		switch role := v.table.role4(key4(m.tpa)); {
		case role.answers(m.tha == v.mac):
			out.request = true
			out.answer = m.answer(b, v.mac)
		case role == tried && m.spa == [4]byte{}:
			out.claim = claim{ip: netip.AddrFrom4(m.tpa), mac: m.sha, probe: true}
		case !out.claim.ip.IsValid():
			out.drop = notOwned
		}
	case !out.claim.ip.IsValid():
		out.drop = notRequest
	}
	return out
}

// admit checks the hardware addresses that ARP and NDP frames have in common:
// destination, source, and the one that the message itself gives for its sender.
func (v *view) admit(dst, src, sender hw) drop {
	switch {
	case src == v.mac || sender == v.mac:
		return ownFrame
	case dst != v.mac && !dst.group():
		return notForUs
	case !sender.station():
		return badSender
	}
	return kept
}

// answer writes the reply to the request m into b: the target address is at mac.
// Like the kernel's, it goes to the hardware address in the message, which is
// the one that the sender wants to be known by, not to the frame's source.
func (m *arpMessage) answer(b []byte, mac hw) int {
	b = b[:arpSize]
	copy(b[0:], m.sha[:])
	copy(b[6:], mac[:])
	b[20], b[21] = 0, arpReply
	copy(b[22:], mac[:])
	copy(b[28:], m.tpa[:])
	copy(b[32:], m.sha[:])
	copy(b[38:], m.spa[:])
	return arpSize
}
