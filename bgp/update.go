package bgp

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	wire "github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// updates are the messages for the changes: first what is announced, so that no router is without a
// path for a moment, then what is withdrawn.
func (t terms) updates(c changes) ([]*wire.BGPMessage, error) {
	var out []*wire.BGPMessage
	for _, a := range slices.SortedFunc(maps.Keys(c.announce), attributes.compare) {
		messages, err := t.announcement(a, c.announce[a])
		if err != nil {
			return nil, err
		}
		out = append(out, messages...)
	}
	for f, keys := range perFamily(c.withdraw) {
		for part := range slices.Chunk(keys, room(f, 0)) {
			m, err := withdrawal(f, part)
			if err != nil {
				return nil, err
			}
			out = append(out, m)
		}
	}
	return out, nil
}

// perFamily sorts the keys.
func perFamily(keys []key) [2][]key {
	var out [2][]key
	for _, k := range slices.SortedFunc(slices.Values(keys), key.compare) {
		f := familyOf(k.prefix.Addr())
		out[f] = append(out[f], k)
	}
	return out
}

// room is how many prefixes fit into a message beside so many bytes of attributes.
func room(family, beside int) int {
	longest := []int{4 + 1 + 4, 4 + 1 + 16}[family] // number, length, address
	const frame = wire.BGP_HEADER_LENGTH + 4 + 4 + 3 + 1 + 16 + 1
	return max(1, (wire.BGP_MAX_MESSAGE_LENGTH-frame-beside)/longest)
}

// announcement are the messages for paths with the same attributes, all of one family since they
// have one next hop.
func (t terms) announcement(a attributes, keys []key) ([]*wire.BGPMessage, error) {
	shared, err := t.shared(a)
	if err != nil {
		return nil, err
	}
	size := 0
	for _, s := range shared {
		size += s.Len()
	}
	var out []*wire.BGPMessage
	for f, keys := range perFamily(keys) {
		for part := range slices.Chunk(keys, room(f, size)) {
			m, err := announce(f, shared, a, part)
			if err != nil {
				return nil, fmt.Errorf("announce %s by %s: %w", part[0].prefix, a.nextHop, err)
			}
			out = append(out, m)
		}
	}
	return out, nil
}

// shared are the attributes without the next hop.
func (t terms) shared(a attributes) ([]wire.PathAttributeInterface, error) {
	out := append([]wire.PathAttributeInterface{wire.NewPathAttributeOrigin(wire.BGP_ORIGIN_ATTR_TYPE_IGP)}, t.path()...)
	if t.internal {
		out = append(out, wire.NewPathAttributeLocalPref(a.localPref))
	}
	c, err := parseCommunities(strings.Fields(a.communities))
	if err != nil {
		return nil, err
	}
	if len(c.standard) > 0 {
		out = append(out, wire.NewPathAttributeCommunities(c.standard))
	}
	if len(c.large) > 0 {
		out = append(out, wire.NewPathAttributeLargeCommunities(c.large))
	}
	return out, nil
}

// path are the attributes that say which AS the path crosses: ours, and none within it. A router
// that knows two octets alone gets a wider number beside it (RFC 6793).
func (t terms) path() []wire.PathAttributeInterface {
	if t.internal {
		return []wire.PathAttributeInterface{wire.NewPathAttributeAsPath(nil)}
	}
	wide := wire.NewAs4PathParam(wire.BGP_ASPATH_ATTR_TYPE_SEQ, []uint32{t.asn})
	if !t.narrow {
		return []wire.PathAttributeInterface{wire.NewPathAttributeAsPath([]wire.AsPathParamInterface{wide})}
	}
	two := wire.NewAsPathParam(wire.BGP_ASPATH_ATTR_TYPE_SEQ, []uint16{short(t.asn)})
	out := []wire.PathAttributeInterface{wire.NewPathAttributeAsPath([]wire.AsPathParamInterface{two})}
	if short(t.asn) == wire.AS_TRANS {
		out = append(out, wire.NewPathAttributeAs4Path([]*wire.As4PathParam{wide}))
	}
	return out
}

// short is an AS number in two octets.
func short(asn uint32) uint16 {
	if asn > 1<<16-1 {
		return wire.AS_TRANS
	}
	return uint16(asn)
}

func announce(f int, shared []wire.PathAttributeInterface, a attributes, keys []key) (*wire.BGPMessage, error) {
	nlri, err := prefixes(keys)
	if err != nil {
		return nil, err
	}
	if f == 0 && a.nextHop.Is4() {
		hop, err := wire.NewPathAttributeNextHop(a.nextHop)
		if err != nil {
			return nil, err
		}
		all := slices.Insert(slices.Clone(shared), 2, wire.PathAttributeInterface(hop)) // in the order of their types
		return wire.NewBGPUpdateMessage(nil, all, nlri), nil
	}
	reach, err := wire.NewPathAttributeMpReachNLRI(families[f], nlri, a.nextHop)
	if err != nil {
		return nil, err
	}
	return wire.NewBGPUpdateMessage(nil, append(slices.Clone(shared), reach), nil), nil
}

func withdrawal(f int, keys []key) (*wire.BGPMessage, error) {
	nlri, err := prefixes(keys)
	if err != nil {
		return nil, err
	}
	if f == 0 {
		return wire.NewBGPUpdateMessage(nlri, nil, nil), nil
	}
	unreach, err := wire.NewPathAttributeMpUnreachNLRI(families[f], nlri)
	if err != nil {
		return nil, err
	}
	return wire.NewBGPUpdateMessage(nil, []wire.PathAttributeInterface{unreach}, nil), nil
}

func prefixes(keys []key) ([]wire.PathNLRI, error) {
	out := make([]wire.PathNLRI, 0, len(keys))
	for _, k := range keys {
		p, err := wire.NewIPAddrPrefix(k.prefix)
		if err != nil {
			return nil, fmt.Errorf("prefix %s: %w", k.prefix, err)
		}
		out = append(out, wire.PathNLRI{NLRI: p, ID: k.number})
	}
	return out, nil
}
