package arpd

import (
	"net"
	"net/netip"
	"slices"
)

// Offsets and lengths of the frames that are read and written in place.
const (
	ethLen  = 14 // destination, source, EtherType
	arpLen  = 28 // ARP for Ethernet and IPv4
	ip6Len  = 40
	ndLen   = 24 // ICMPv6 header, flags and target of an NS or NA
	llaLen  = 8  // link-layer address option
	arpSize = ethLen + arpLen
	naSize  = ethLen + ip6Len + ndLen + llaLen

	etherARP  = 0x0806
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd

	// frameSize is the room for one frame: an answer fits into the buffer of
	// every question, and a question longer than this is nobody's.
	frameSize = 2048
)

// hw is an Ethernet address as a value: comparable, a map key, no pointer.
type hw [6]byte

var (
	broadcastHW = hw{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	allNodes    = netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 15: 0x01}) // ff02::1
)

func (h hw) String() string { return net.HardwareAddr(h[:]).String() }

// station reports whether h can be the address of one station: neither zero nor
// a group address.
func (h hw) station() bool { return h != hw{} && h[0]&1 == 0 }

// group reports whether frames to h are for many: broadcast or multicast.
func (h hw) group() bool { return h[0]&1 == 1 }

// multicastHW is the Ethernet address of an IPv6 multicast group (RFC 2464,
// section 7).
func multicastHW(ip [16]byte) hw { return hw{0x33, 0x33, ip[12], ip[13], ip[14], ip[15]} }

// solicitedNode is the group on which neighbours ask for ip (RFC 4291, section
// 2.7.1).
func solicitedNode(ip netip.Addr) netip.Addr {
	b := ip.As16()
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 11: 0x01, 12: 0xff, 13: b[13], 14: b[14], 15: b[15]})
}

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
	drops                   // their number
)

// String is the value of the label reason.
func (d drop) String() string {
	return [drops]string{
		"", "malformed", "bad_checksum", "own_frame", "not_for_us",
		"bad_sender", "not_request", "not_owned", "write_failed", "overrun", "stale", "limited",
	}[d]
}

// claim is what a frame says beside asking: that mac has ip.
//
// With says it is another thing: that a speaker of this cluster is at mac, with
// the address ip (0.0.0.0: none), and what it says. With host it is the answer of
// a station to this one about an address of which this node knows nothing. With
// probe it is no more than that mac would like to have ip. With asked it is the
// answer to a question of this node's, not said by itself.
type claim struct {
	ip    netip.Addr // invalid: no claim
	mac   hw
	says  uint8
	host  bool
	probe bool
	asked bool
}

// verdict is what is to be done about one frame. A frame may be both answered
// and a claim, or neither; then drop says why.
type verdict struct {
	answer   int  // bytes of the answer that now stands in the buffer, 0: none
	request  bool // it asked for an address of ours
	presence bool // it asked whether a speaker is here
	echo     bool // it was a ping
	claim    claim
	drop     drop
}

// view is all that a reader knows: what this interface is and what it answers
// for. It never changes; a new one takes its place.
type view struct {
	mac   hw
	table *table
	addr4 [4]byte // of the interface; zero: none
	nets  []netip.Prefix
	say   uint8 // see Company
}

// on reports whether an address is on a network of the interface.
func (v *view) on(ip netip.Addr) bool {
	return slices.ContainsFunc(v.nets, func(p netip.Prefix) bool { return p.Contains(ip) })
}
