package arpd

import (
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/arpd/packet"
)

// drop is the reason why a frame was neither answered nor remembered.
type drop uint8

const (
	kept        drop = iota // not dropped
	malformed               // too short, wrong lengths or types, invalid options
	badChecksum             // the ICMPv6 checksum is wrong
	ownFrame                // this interface sent it
	notForUs                // addressed to another station
	badSender               // the sender has no address that an answer could go to
	notRequest              // neither a question nor about an address of ours
	notOwned                // a question for an address that is not ours
	writeFailed             // the answer or announcement could not be sent
	overrun                 // too many claims at once, this one was not looked at
	stale                   // it came while the process was stopped
	limited                 // an echo beyond what is sent in a second
	unproven                // a speaker's reply without a proof, or to no question
	drops                   // their number
)

// String is the value of the label reason.
func (d drop) String() string {
	return [drops]string{
		"", "malformed", "bad_checksum", "own_frame", "not_for_us",
		"bad_sender", "not_request", "not_owned", "write_failed", "overrun", "stale", "limited", "unproven",
	}[d]
}

// dropOf is the drop of a frame with a fault.
func dropOf(f packet.Fault) drop {
	return [...]drop{packet.Sound: kept, packet.Malformed: malformed, packet.WrongSum: badChecksum}[f]
}

// kind is what a frame says beside asking.
type kind uint8

const (
	nothing   kind = iota
	claimed        // mac has ip: it announces it, answers somebody else for it, or asks in its name
	replied        // the same, in reply to a question of this node's
	held           // the same, in reply to a speaker's question, with a proof
	wanted         // mac would like to have ip, and tries it out
	hostReply      // mac has ip, of which this node knows nothing, in reply to a question of this node's
	greeting       // a speaker of this cluster is at mac, with the address ip (0.0.0.0: none)
)

// claim is what a frame says beside asking, about whom.
type claim struct {
	kind kind
	ip   netip.Addr
	mac  packet.HW
	by   packet.HW // who says so, if it is not mac but a deputy
	on   int       // index of the interface that heard it
	says uint8     // of a greeting: what the speaker says

	node     uint32 // of a proof: the node's name, see probe.Hash
	unproven bool   // replied, but a proof was to be expected of a speaker
}

// verdict is what is to be done about one frame. A frame may be both answered
// and a claim, or neither; then drop says why.
type verdict struct {
	answer   int          // bytes of the answer that now stands in the buffer, 0: none
	request  bool         // it asked for an address of ours
	presence bool         // it asked whether a speaker is here
	echo     bool         // it was a ping
	nonce    packet.Nonce // of a speaker's question that asks for a proof; zero: there is none to give
	claim    claim
	drop     drop
}

// view is all that a reader knows: what this interface is and what it answers
// for. It never changes; a new one takes its place.
type view struct {
	mac    packet.HW
	table  *table
	addr4  [4]byte // of the interface; zero: none
	nets   []netip.Prefix
	say    uint8   // see Peers
	proofs *proofs // nil: speakers do not prove themselves
}

// stationOf is the MAC that an address is answered with.
func (v *view) stationOf(r role, ip netip.Addr) packet.HW {
	if r&deputized == 0 {
		return v.mac
	}
	return v.table.macs[ip]
}

// on reports whether an address is on a network of the interface.
func (v *view) on(ip netip.Addr) bool {
	return slices.ContainsFunc(v.nets, func(p netip.Prefix) bool { return p.Contains(ip) })
}
