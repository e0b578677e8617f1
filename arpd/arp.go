package arpd

import (
	"net/netip"

	"github.com/starling-lb/starling/arpd/packet"
)

// arp decides about the ARP frame in the first n bytes of b and writes the
// answer, if there is one, over it.
//
//	who asks             sender   target   ->
//	request              any      ours     answer to the sender's hardware address
//	request              any      deputized  the same, with the MAC of its owner
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
	m, fault := packet.ParseARP(b[:n])
	d := dropOf(fault)
	if d == kept {
		d = v.admit(m.Dst, m.Src, m.SHA)
	}
	if d != kept {
		return verdict{drop: d}
	}
	if presence := v.table.presence; presence != 0 && key4(m.TPA)&^wordMask == presence {
		return v.greet(&m, b, n)
	}
	var out verdict
	if v.table.role4(key4(m.SPA)) != 0 {
		out.claim = claim{kind: claimed, ip: netip.AddrFrom4(m.SPA), mac: m.SHA, by: other(m.Src, m.SHA)}
		if m.Op == packet.OpReply && m.Dst == v.mac {
			out.claim.kind = replied
		}
	} else if m.Op == packet.OpReply && m.Dst == v.mac {
		out.claim = claim{kind: hostReply, ip: netip.AddrFrom4(m.SPA), mac: m.SHA}
	}
	switch {
	case m.Op == packet.OpRequest && m.SPA != m.TPA:
		switch role, speaker := v.table.role4(key4(m.TPA)), m.THA == v.mac; {
		case role.answers(speaker):
			out.request = true
			out.answer = m.Answer(b, v.mac, v.stationOf(role, netip.AddrFrom4(m.TPA)))
			if speaker && v.proofs != nil {
				out.nonce = packet.NonceOf(b[:n])
			}
		case role == tried && m.SPA == [4]byte{}:
			out.claim = claim{kind: wanted, ip: netip.AddrFrom4(m.TPA), mac: m.SHA}
		case out.claim.kind == nothing:
			out.drop = notOwned
		}
	case out.claim.kind == nothing:
		out.drop = notRequest
	}
	return out
}

// other is the station that sent what another one is said to have, as a deputy does; zero: it is
// that one.
func other(src, sender packet.HW) packet.HW {
	if src == sender {
		return packet.HW{}
	}
	return src
}

// admit checks the hardware addresses that ARP and NDP frames have in common:
// destination, source, and the one that the message itself gives for its sender.
func (v *view) admit(dst, src, sender packet.HW) drop {
	switch {
	case src == v.mac || sender == v.mac:
		return ownFrame
	case dst != v.mac && !dst.Group():
		return notForUs
	case !sender.Station():
		return badSender
	}
	return kept
}
