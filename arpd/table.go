package arpd

import (
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/claims"
)

// role says what an address is to this node.
type role uint8

const (
	own       role = 1 << iota // answered
	watch                      // another node's: who announces it is remembered
	tried                      // nobody's: a station that has it is remembered
	deputized                  // another node's whose speaker is away: answered with its MAC
)

// Roles in which an address is answered, and for which frames must come up that ask for it by IPv4.
const (
	answered = own | deputized
	asked    = answered | tried
)

// ours reports whether r is announced and defended: own, and not in the course
// of being handed to another node.
func (r role) ours() bool { return r == own }

// answers reports whether a question is answered. One from a speaker asks which node holds on
// to the address.
func (r role) answers(speaker bool) bool {
	return r.ours() || r&deputized != 0 || r&own != 0 && !speaker
}

// elsewhere is the role on an interface that listens while another one on the same
// network announces.
func (r role) elsewhere() role {
	if r&(own|watch) != 0 {
		return watch
	}
	return 0
}

// roleOf is a role in the words of claims.
func roleOf(r claims.Role) role {
	return map[claims.Role]role{claims.Owner: own, claims.HandingOver: own | watch, claims.Deputy: deputized | watch, claims.Watching: watch, claims.Tentative: tried}[r]
}

// grant is the role that an address has from now on; 0: none any more.
type grant struct {
	ip   netip.Addr
	role role
	mac  packet.HW // of the owner, if the address is deputized
}

// table is the immutable lookup of one interface. IPv4 addresses are keys of
// four bytes in network order, which is what the maps of the runtime are fastest
// with. Tables that follow upon each other share all parts in which nothing
// changed, so one address more among 10,000 costs a copy of some forty.
type table struct {
	v4              parts[uint32]
	v6              parts[[16]byte]
	asked4, spoken4 keyRanges                // see arpProgram: addresses asked for, and senders
	asked6, spoken6 keyRanges                // see ndProgram
	macs            map[netip.Addr]packet.HW // of deputized addresses
	presence        uint32                   // the cluster's presence address, see presenceOf; 0: not asked for
}

// with is the table after some changes.
func (t *table) with(changes []grant) *table {
	if len(changes) == 0 {
		return t
	}
	next := *t
	var asked4, spoken4, asked6, spoken6 edit
	next.macs = t.macsAfter(changes)
	for _, c := range changes {
		if c.ip.Is4() {
			key := key4(c.ip.As4())
			was := next.v4.put(&t.v4, slot4(key), key, c.role)
			asked4.note(key, was&asked != 0, c.role&asked != 0)
			spoken4.note(key, was != 0, c.role != 0)
			continue
		}
		ip := c.ip.As16()
		was, key := next.v6.put(&t.v6, slot6(ip), ip, c.role), key6(ip)
		asked6.note(key, was&answered != 0, c.role&answered != 0)
		spoken6.note(key, was != 0, c.role != 0)
	}
	next.asked4 = t.asked4.after(asked4, func() []uint32 { return next.keys4(asked) })
	next.spoken4 = t.spoken4.after(spoken4, func() []uint32 { return next.keys4(own | watch | tried) })
	next.asked6 = t.asked6.after(asked6, func() []uint32 { return next.keys6(answered) })
	next.spoken6 = t.spoken6.after(spoken6, func() []uint32 { return next.keys6(own | watch | tried) })
	return &next
}

// macsAfter are the MACs of deputized addresses after some changes.
func (t *table) macsAfter(changes []grant) map[netip.Addr]packet.HW {
	if len(t.macs) == 0 && !slices.ContainsFunc(changes, func(c grant) bool { return c.role&deputized != 0 }) {
		return nil
	}
	next := make(map[netip.Addr]packet.HW, len(t.macs))
	maps.Copy(next, t.macs)
	for _, c := range changes {
		if delete(next, c.ip); c.role&deputized != 0 {
			next[c.ip] = c.mac
		}
	}
	return next
}

// covered reports whether the filters of another table do for this one.
func (t *table) covered(by *table) bool {
	return by != nil && t.presence == by.presence &&
		slices.Equal(t.asked4.spans, by.asked4.spans) && slices.Equal(t.spoken4.spans, by.spoken4.spans) &&
		slices.Equal(t.asked6.spans, by.asked6.spans) && slices.Equal(t.spoken6.spans, by.spoken6.spans)
}

// role is what ip is to the interface, 0: nothing.
func (t *table) role(ip netip.Addr) role {
	if ip.Is4() {
		return t.role4(key4(ip.As4()))
	}
	return t.role6(ip.As16())
}

func (t *table) role4(key uint32) role  { return t.v4[slot4(key)].role(key) }
func (t *table) role6(ip [16]byte) role { return t.v6[slot6(ip)].role(ip) }

// keys4 are the IPv4 addresses with any of the roles, for the kernel filter.
func (t *table) keys4(wanted role) (keys []uint32) {
	for _, p := range t.v4 {
		for k, r := range p.all() {
			if r&wanted != 0 {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// keys6 are the last 32 bits of the IPv6 addresses with any of the roles.
func (t *table) keys6(wanted role) (keys []uint32) {
	for _, p := range t.v6 {
		for ip, r := range p.all() {
			if r&wanted != 0 {
				keys = append(keys, key6(ip))
			}
		}
	}
	return keys
}

func key4(ip [4]byte) uint32  { return binary.BigEndian.Uint32(ip[:]) }
func key6(ip [16]byte) uint32 { return binary.BigEndian.Uint32(ip[12:]) }

// slots is the number of parts of a table.
const slots = 1 << 8

// slot4 spreads neighboring addresses evenly (multiplicative hashing by the
// golden ratio).
func slot4(key uint32) uint8 { return uint8(key * 0x9e3779b1 >> 24) }

// slot6 is the same for all addresses of one solicited-node group, so a change
// of groups is one of parts, see groups.
func slot6(ip [16]byte) uint8 { return slot4(key6(ip) & 0xffffff) }

// parts are the addresses of one family by slot. A part is never written to
// once its table is in use.
type parts[K comparable] [slots]*part[K]

type part[K comparable] struct{ roles map[K]role }

// role is that of a key; a part that is nil has none.
func (p *part[K]) role(key K) role {
	if p == nil {
		return 0
	}
	return p.roles[key]
}

func (p *part[K]) all() map[K]role {
	if p == nil {
		return nil
	}
	return p.roles
}

// put gives a key a role and returns the one that it had. The part is copied if
// it is still that of the table before.
func (p *parts[K]) put(before *parts[K], slot uint8, key K, r role) (was role) {
	if was = p[slot].role(key); was == r {
		return was
	}
	if p[slot] == before[slot] {
		p[slot] = &part[K]{roles: maps.Clone(before[slot].all())}
	}
	switch roles := p[slot].roles; {
	case r == 0:
		delete(roles, key)
	case roles == nil:
		p[slot].roles = map[K]role{key: r}
	default:
		roles[key] = r
	}
	return was
}
