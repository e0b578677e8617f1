package mesh

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"slices"
	"time"
)

// The encoding is one version byte, then fields: tag, length, value. A field
// with an unknown tag is skipped, so that releases may add fields; a value
// longer than expected is read as far as it is known where the comment says
// so. Anything else that is wrong makes the whole a zero Meta: a member that
// is not understood is not ready.
const (
	metaVersion = 1
	metaLimit   = 512 // memberlist.MetaMaxSize, held by a test.

	ageStep      = 30 * time.Second
	ageSteps     = 1<<16 - 1
	versionBytes = 64
	macBytes     = 6
	macsMost     = 8
	muteBytes    = 4 // the same for Absent, Sessions and OnePath
	mutesMost    = 16
	routersMost  = 8 // of Sessions and of OnePath: all fields but the segments fit into the limit together
	graceMost    = time.Hour
	addrsMost    = 4
)

const (
	tagFlags    byte = 1 + iota // One byte or more: bit 0 ready, 1 draining, 2 returning, 3 proxy, 4 no proxy, 5 away, 6 deputy, 7 recent; bit 0 of the second: drops.
	tagConfig                   // Eight bytes, big endian.
	tagAge                      // Two bytes, big endian, in steps of 30 s.
	tagVersion                  // Text, UTF-8.
	tagSegment4                 // Prefix length, then the bytes that it covers.
	tagSegment6                 // The same for IPv6.
	tagMACs                     // Ethernet addresses of six bytes each.
	tagKeys                     // Fingerprints of four bytes each, the primary key's first.
	tagMute                     // Four bytes each, big endian.
	tagOrder                    // Six bytes and four, big endian: see order.
	tagAddr4                    // Addresses and ports, six bytes each.
	tagAddr6                    // The same for IPv6, 18 bytes each.
	tagGrace                    // Two bytes, big endian, in seconds.
	tagAbsent                   // As Mute.
	tagUntil                    // Four bytes, big endian, in seconds since 1970.
	tagSessions                 // As Mute.
	tagOnePath                  // The same.
)

const (
	flagReady byte = 1 << iota
	flagDraining
	flagReturning
	flagProxy
	flagNoProxy
	flagAway
	flagDeputy
	flagRecent
)

// flagDrops is of the second byte.
const flagDrops byte = 1

var errMeta = errors.New("metadata is malformed")

// encode leaves room for the order within metaLimit bytes. Zero values take no room.
func (m Meta) encode() []byte {
	out := append(make([]byte, 0, 64), metaVersion)
	switch f := m.flags(); {
	case m.Drops:
		out = append(out, tagFlags, 2, f, flagDrops)
	case f != 0:
		out = append(out, tagFlags, 1, f)
	}
	if m.Config != 0 {
		out = binary.BigEndian.AppendUint64(append(out, tagConfig, 8), m.Config)
	}
	if steps := min(max(m.APIAge, 0)/ageStep, ageSteps); steps > 0 {
		out = binary.BigEndian.AppendUint16(append(out, tagAge, 2), uint16(steps))
	}
	if v := cutText(m.Version, versionBytes); v != "" {
		out = append(append(out, tagVersion, byte(len(v))), v...)
	}
	if macs := tidyMACs(m.MACs); len(macs) > 0 {
		out = append(out, tagMACs, byte(macBytes*len(macs)))
		for _, mac := range macs {
			out = append(out, mac...)
		}
	}
	if keys := tidyKeys(m.Keys); len(keys) > 0 {
		out = append(append(out, tagKeys, byte(len(keys))), keys...)
	}
	out = append(out, hashField(tagMute, m.Mute)...)
	if s := min(max(m.Grace, 0), graceMost) / time.Second; s > 0 {
		out = binary.BigEndian.AppendUint16(append(out, tagGrace, 2), uint16(s))
	}
	out = append(out, hashField(tagAbsent, m.Absent)...)
	out = append(out, hashField(tagSessions, tidyRouters(m.Sessions))...)
	out = append(out, hashField(tagOnePath, tidyRouters(m.OnePath))...)
	if s := min(m.Until.Unix(), Forever.Unix()); s > 0 {
		out = binary.BigEndian.AppendUint32(append(out, tagUntil, 4), uint32(s))
	}
	out = append(out, addrFields(m.Addrs)...)
	for _, p := range tidy(m.Segments) {
		f := segmentField(p)
		if len(out)+len(f) > metaLimit-orderSize {
			break
		}
		out = append(out, f...)
	}
	return out
}

func (m Meta) flags() (f byte) {
	if m.Ready {
		f |= flagReady
	}
	if m.Draining {
		f |= flagDraining
	}
	if m.Returning {
		f |= flagReturning
	}
	if m.Proxy {
		f |= flagProxy
	}
	if m.NoProxy {
		f |= flagNoProxy
	}
	if m.Away {
		f |= flagAway
	}
	if m.Deputy {
		f |= flagDeputy
	}
	if m.Recent {
		f |= flagRecent
	}
	return f
}

// hashField encodes names of which only 32 bits are sent.
func hashField(tag byte, hashes []uint32) (out []byte) {
	if hashes = tidyMutes(hashes); len(hashes) > 0 {
		out = append(out, tag, byte(muteBytes*len(hashes)))
		for _, h := range hashes {
			out = binary.BigEndian.AppendUint32(out, h)
		}
	}
	return out
}

// addrFields are the addresses by family, in their order, without what is none.
func addrFields(in []netip.AddrPort) (out []byte) {
	var four, six []byte
	for _, a := range in[:min(len(in), addrsMost)] {
		switch {
		case !a.IsValid():
		case a.Addr().Unmap().Is4():
			four = binary.BigEndian.AppendUint16(append(four, a.Addr().Unmap().AsSlice()...), a.Port())
		default:
			six = binary.BigEndian.AppendUint16(append(six, a.Addr().AsSlice()...), a.Port())
		}
	}
	if len(four) > 0 {
		out = append(append(out, tagAddr4, byte(len(four))), four...)
	}
	if len(six) > 0 {
		out = append(append(out, tagAddr6, byte(len(six))), six...)
	}
	return out
}

// parseAddrs reads addresses of so many bytes.
func parseAddrs(value []byte, size int) (out []netip.AddrPort) {
	for a := range slices.Chunk(value, size+2) {
		ip, _ := netip.AddrFromSlice(a[:size])
		out = append(out, netip.AddrPortFrom(ip, binary.BigEndian.Uint16(a[size:])))
	}
	return out
}

func segmentField(p netip.Prefix) []byte {
	tag := tagSegment6
	if p.Addr().Is4() {
		tag = tagSegment4
	}
	covered := p.Addr().AsSlice()[:(p.Bits()+7)/8]
	return append([]byte{tag, byte(1 + len(covered)), byte(p.Bits())}, covered...)
}

// decodeMeta understands what encode wrote, in this or a later release.
func decodeMeta(b []byte) Meta {
	m, err := parseMeta(b)
	if err != nil {
		return Meta{}
	}
	m.Segments, m.Mute, m.Absent, m.Addrs = tidy(m.Segments), tidyMutes(m.Mute), tidyMutes(m.Absent), m.Addrs[:min(len(m.Addrs), addrsMost)]
	m.Sessions, m.OnePath = tidyRouters(m.Sessions), tidyRouters(m.OnePath)
	macs := tidyMACs(m.MACs)
	m.MACs = nil
	for _, mac := range macs {
		m.MACs = append(m.MACs, mac.String())
	}
	return m
}

func parseMeta(b []byte) (m Meta, err error) {
	if len(b) == 0 || len(b) > metaLimit || b[0] != metaVersion {
		return m, errMeta
	}
	for b = b[1:]; len(b) > 0; {
		if len(b) < 2 || len(b) < 2+int(b[1]) {
			return m, errMeta
		}
		tag, value := b[0], b[2:2+int(b[1])]
		b = b[2+len(value):]
		if err := m.set(tag, value); err != nil {
			return m, err
		}
	}
	return m, nil
}

func (m *Meta) set(tag byte, value []byte) error {
	switch {
	case tag == tagFlags && len(value) > 0:
		m.Ready, m.Draining, m.Returning = value[0]&flagReady != 0, value[0]&flagDraining != 0, value[0]&flagReturning != 0
		m.Proxy, m.NoProxy = value[0]&flagProxy != 0, value[0]&flagNoProxy != 0
		m.Away, m.Deputy, m.Recent = value[0]&flagAway != 0, value[0]&flagDeputy != 0, value[0]&flagRecent != 0
		m.Drops = len(value) > 1 && value[1]&flagDrops != 0
	case tag == tagConfig && len(value) == 8:
		m.Config = binary.BigEndian.Uint64(value)
	case tag == tagAge && len(value) == 2:
		m.APIAge = time.Duration(binary.BigEndian.Uint16(value)) * ageStep
	case tag == tagVersion:
		m.Version = cutText(string(value), versionBytes)
	case tag == tagSegment4 || tag == tagSegment6:
		p, err := parseSegment(tag, value)
		if err != nil {
			return err
		}
		m.Segments = append(m.Segments, p)
	case tag == tagMACs && len(value)%macBytes == 0:
		for mac := range slices.Chunk(value, macBytes) {
			m.MACs = append(m.MACs, net.HardwareAddr(mac).String())
		}
	case tag == tagKeys && len(value)%fingerprintBytes == 0:
		for key := range slices.Chunk(value[:min(len(value), keysMost*fingerprintBytes)], fingerprintBytes) {
			m.Keys = append(m.Keys, hex.EncodeToString(key))
		}
	case tag == tagMute && len(value)%muteBytes == 0:
		m.Mute = append(m.Mute, hashes(value)...)
	case tag == tagGrace && len(value) == 2:
		m.Grace = min(time.Duration(binary.BigEndian.Uint16(value))*time.Second, graceMost)
	case tag == tagAbsent && len(value)%muteBytes == 0:
		m.Absent = append(m.Absent, hashes(value)...)
	case tag == tagSessions && len(value)%muteBytes == 0:
		m.Sessions = append(m.Sessions, hashes(value)...)
	case tag == tagOnePath && len(value)%muteBytes == 0:
		m.OnePath = append(m.OnePath, hashes(value)...)
	case tag == tagAddr4 && len(value)%6 == 0:
		m.Addrs = append(m.Addrs, parseAddrs(value, 4)...)
	case tag == tagAddr6 && len(value)%18 == 0:
		m.Addrs = append(m.Addrs, parseAddrs(value, 16)...)
	case tag == tagUntil && len(value) == 4:
		m.Until = time.Unix(int64(binary.BigEndian.Uint32(value)), 0)
	case tag < tagFlags || tag == tagOrder || tag > tagOnePath:
		return nil // A later release's field.
	default:
		return errMeta
	}
	return nil
}

func hashes(value []byte) (out []uint32) {
	for h := range slices.Chunk(value, muteBytes) {
		out = append(out, binary.BigEndian.Uint32(h))
	}
	return out
}

func parseSegment(tag byte, value []byte) (netip.Prefix, error) {
	var whole [16]byte
	size := 16
	if tag == tagSegment4 {
		size = 4
	}
	if len(value) == 0 || int(value[0]) > size*8 || len(value)-1 != (int(value[0])+7)/8 {
		return netip.Prefix{}, errMeta
	}
	copy(whole[:], value[1:])
	addr, _ := netip.AddrFromSlice(whole[:size])
	return netip.PrefixFrom(addr, int(value[0])), nil
}
