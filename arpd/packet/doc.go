// Package packet codes what package arpd reads and writes on an Ethernet link, and filters it in
// the kernel. It does no I/O and reads no clock.
//
// # Frames
//
// A frame is a whole Ethernet frame without preamble and checksum, as a packet socket gives it.
// Tags of VLANs are the kernel's business.
//
//	ARP    Ethernet | ARP for IPv4, 28 bytes                         RFC 826
//	ND     Ethernet | IPv6 | neighbor solicitation or advertisement   RFC 4861, sections 4.3 and 4.4
//	TCP    Ethernet | IPv4 or IPv6 | a segment without data           RFC 9293, section 3.1
//
// [ParseARP] and [ParseND] read a frame in place and check all that the RFCs demand of a receiver
// (RFC 4861, sections 7.1.1 and 7.1.2); what is wrong with it is a [Fault]. [ARP.Answer] and
// [ND.Answer] write the answer over the question. None of the four allocates.
//
// What is sent unasked is built by mdlayher/arp and mdlayher/ndp:
//
//	Announcement   gratuitous ARP, unsolicited advertisement     RFC 5227, 2.3; RFC 4861, 7.2.6
//	Probe4, Probe6 has anybody this address?                     RFC 5227, 2.1.1; RFC 4862, 5.4.2
//	Solicit6       who has this address, to all                  RFC 4861, 7.2.2
//	Question4, 6   a speaker's, to one station, with a mark      RFC 826; RFC 4861, 7.3.3
//
// Fuzz tests hold the parsers against the decoders of these libraries. A [Segment] is built and
// read here alone: it begins a connection, accepts or resets it.
//
// # Filters
//
// FilterARP, FilterND, FilterEcho4 and FilterEcho6 are classic BPF programs. Each knows addresses
// as sorted ranges ([Span]): a filter may let a stranger's frame pass, but never holds back one
// about an address in its ranges. FilterAccepted4 and FilterAccepted6 know ports alone. [Assemble]
// puts a guard before a program that drops what another interface received.
package packet
