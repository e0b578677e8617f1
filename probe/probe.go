// Package probe is the questions that a node asks other stations on the wire, again and again, and
// what it makes of the replies. It sends nothing, reads no clock and has no goroutine: who drives
// an [Asker] sends what it says and tells it of replies.
//
//	kind      asks                                 who answers
//	Host      one station for an address of its    its kernel, whatever its processes do
//	          host's own
//	Speaker   one station whether a speaker of     the process alone
//	          this cluster is there
//	Owner     one station whether it holds on to   the process alone, unless it hands the VIP over
//	          a VIP
//	Discover  all stations what Speaker asks one   every speaker
//
// A station is silent when it did not reply to so many questions in a row (tries). They follow each
// other at a distance (apart) that depends on whether it ever replied. A silent one is asked less
// often (then). [Standard] is this table in code:
//
//	          from a   before the first reply   afterwards
//	          reply    tries  apart  then       tries  apart   then
//	Host      pace     3      15 ms  10 s       4      pace    1 s      doubtful after two
//	Speaker   100 ms   5      15 ms  1 s        3      100 ms  1 s
//	Owner     100 ms   3      15 ms  1 s        3      15 ms   1 s
//	Discover           3      15 ms  1 s
//	Close     15 ms    3      15 ms  250 ms     5      15 ms   250 ms   Host, while its speaker is away;
//	                                                                    Discover, while all peers are dead
//
// The pace is the caller's, 40 ms by default. An Asker asks 4,000 questions per second at most, and
// silent stations and everybody 4 per second, each at least once in 10 s: a switch floods what it
// sends to a station that is gone. Where there are more, each is asked less often.
//
// The frames are those of ARP and neighbor discovery; docs/wire.md has them, with the nonce of a
// question and the proof of a reply.
package probe

import "net/netip"

// Everybody is the MAC of a question to all stations of every network.
const Everybody = "ff:ff:ff:ff:ff:ff"

// Question asks one station. With an address it asks whether the station answers for it; without,
// whether a speaker of this cluster is there. The latter may be asked of all stations at once: MAC
// Everybody.
//
// With Host it is the question that any neighbor asks, for an address of the host's own on a
// network of this node.
type Question struct {
	IP   netip.Addr
	MAC  string // as by net.HardwareAddr
	Host bool
}

// Reply is what came back for a question.
type Reply struct {
	Question
	Word  uint8        // for Speaker: what it says of itself, 1 to 7
	Node  uint32       // for Speaker: the Hash of its node's name; 0: the mesh has no key to prove it
	Addrs []netip.Addr // for Speaker: of its interface, as far as it gave some
}

// Located are addresses of a station that gave none with its reply.
type Located struct {
	MAC   string
	Addrs []netip.Addr
}

// Kind is what a question asks, and of whom.
type Kind uint8

// The kinds of questions.
const (
	Host Kind = iota
	Speaker
	Owner
	Discover
)

// Kind of the question.
func (q Question) Kind() Kind {
	switch {
	case q.Host:
		return Host
	case q.IP.IsValid():
		return Owner
	case q.MAC == Everybody:
		return Discover
	}
	return Speaker
}
