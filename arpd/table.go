package arpd

import (
	"encoding/binary"
	"net/netip"
)

// role says what an address is to this node.
type role uint8

const (
	own   role = 1 << iota // answered
	watch                  // another node's: who announces it is remembered
	tried                  // nobody's: a station that has it is remembered
)

// ours reports whether r is announced and defended: own, and not in the course
// of being handed to another node.
func (r role) ours() bool { return r == own }

// answers reports whether a question is answered. A speaker's asks who holds on
// to the address.
func (r role) answers(speaker bool) bool { return r.ours() || r&own != 0 && !speaker }

// table is the immutable lookup of one interface. IPv4 addresses are keys of
// four bytes in network order, which is what the maps of the runtime are fastest
// with.
type table struct {
	v4       map[uint32]role
	v6       map[[16]byte]role
	presence uint32 // the cluster's presence address, see presenceOf; 0: not asked for
}

func newTable(roles map[netip.Addr]role) *table {
	t := &table{v4: make(map[uint32]role), v6: make(map[[16]byte]role)}
	for ip, r := range roles {
		if ip.Is4() {
			t.v4[key4(ip.As4())] = r
		} else {
			t.v6[ip.As16()] = r
		}
	}
	return t
}

// role is what ip is to the interface, 0: nothing.
func (t *table) role(ip netip.Addr) role {
	if ip.Is4() {
		return t.v4[key4(ip.As4())]
	}
	return t.v6[ip.As16()]
}

// solicited are the IPv6 addresses that neighbours must be able to ask for.
func (t *table) solicited() []netip.Addr {
	var ips []netip.Addr
	for ip, r := range t.v6 {
		if r&own != 0 {
			ips = append(ips, netip.AddrFrom16(ip))
		}
	}
	return ips
}

// keys4 are the IPv4 addresses with any of the roles, for the kernel filter.
func (t *table) keys4(wanted role) []uint32 {
	keys := make([]uint32, 0, len(t.v4))
	for k, r := range t.v4 {
		if r&wanted != 0 {
			keys = append(keys, k)
		}
	}
	return keys
}

// keys6 are the last 32 bits of the IPv6 addresses with any of the roles.
func (t *table) keys6(wanted role) []uint32 {
	keys := make([]uint32, 0, len(t.v6))
	for ip, r := range t.v6 {
		if r&wanted != 0 {
			keys = append(keys, binary.BigEndian.Uint32(ip[12:]))
		}
	}
	return keys
}

func key4(ip [4]byte) uint32 { return binary.BigEndian.Uint32(ip[:]) }
