package arpd

import (
	"net/netip"

	"github.com/starling-lb/starling/arpd/packet"
)

// nd decides about the neighbor discovery frame in the first n bytes of b and
// writes the answer, if there is one, over it.
//
//	what                        ->
//	NS for ours, multicast      NA to the sender, solicited + override
//	NS for ours, unicast        the same (neighbor unreachability detection)
//	NS for deputized            the same, with the MAC of its owner
//	speaker's question          the same, unless it is being handed over
//	NS for ours from :: (DAD)   NA to all nodes, override only
//	NA for a VIP                claim
//	NA to this node             the same, of a host
func (v *view) nd(b []byte, n int) verdict {
	m, fault := packet.ParseND(b[:n])
	d := dropOf(fault)
	if d == kept {
		d = v.admit(m.Dst, m.Src, m.Sender())
	}
	if d != kept {
		return verdict{drop: d}
	}
	r := v.table.role6(m.Target)
	switch {
	case m.Kind == packet.NS && r.answers(m.Asker):
		out := verdict{request: true}
		if m.Asker && v.proofs != nil {
			out.nonce = packet.NonceOf(b[:n])
		}
		out.answer = m.Answer(b, v.mac, v.stationOf(r, netip.AddrFrom16(m.Target)))
		return out
	case m.Kind == packet.NS:
		return verdict{drop: notOwned}
	case r != 0:
		c := claim{kind: claimed, ip: netip.AddrFrom16(m.Target), mac: m.Sender(), by: other(m.Src, m.Sender())}
		if m.Flags&packet.Solicited != 0 && m.Dst == v.mac {
			c.kind = replied
		}
		return verdict{claim: c}
	case m.Dst == v.mac:
		return verdict{claim: claim{kind: hostReply, ip: netip.AddrFrom16(m.Target), mac: m.Sender()}}
	}
	return verdict{drop: notRequest}
}
