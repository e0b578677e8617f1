package arpd

import (
	"encoding/binary"
	"net/netip"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/probe"
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
	p := probe.Hash(cluster) & presenceMask
	if p == 0 { // 0.0.0.0 is another thing
		p = wordMask + 1
	}
	return p
}

// greet decides about a frame whose target is the presence address: whether a
// question is answered, and what an answer says.
func (v *view) greet(m *packet.ARP, b []byte, n int) verdict {
	word := uint8(key4(m.TPA) & wordMask)
	var nonce packet.Nonce
	if v.proofs != nil {
		nonce = packet.NonceOf(b[:n])
	}
	switch {
	case m.Op == packet.OpRequest && word == 0 && v.say != 0 && (v.proofs == nil || nonce != packet.Nonce{}):
		size := m.Answer(b, v.mac, v.mac)
		copy(b[28:], v.addr4[:])
		binary.BigEndian.PutUint32(b[38:], v.table.presence|uint32(v.say))
		return verdict{answer: size, presence: true, nonce: nonce}
	case m.Op == packet.OpReply && word != 0:
		return verdict{claim: claim{kind: greeting, ip: netip.AddrFrom4(m.SPA), mac: m.SHA, says: word}}
	}
	return verdict{drop: notRequest}
}
