package mesh

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Meta is what a member says of itself. It travels with every alive message,
// so it is small: what does not fit is left out, see [Meta.Segments].
type Meta struct {
	Ready    bool
	Draining bool
	// Returning: the node came back a moment ago, others shall go first.
	Returning bool
	// Until is when that ends by the clock of the member, to be shown, in whole seconds; [Forever]: not by
	// time. Zero is not told.
	Until time.Time
	// Recent: the node came back less than half a minute ago, held or not.
	Recent bool
	// Proxy: kube-proxy answers on the node.
	Proxy bool
	// NoProxy: kube-proxy of the node does not run, though others have one: these go first.
	NoProxy bool
	// Drops: the node does not forward what comes for addresses of Services, as others have found.
	// Then NoProxy is set as well.
	Drops bool
	// Away: the speaker is about to end and to come back, or has begun and was never ready yet.
	Away bool
	// Deputy: the member's release knows that a node keeps its addresses while its speaker is away, and
	// can answer for it.
	Deputy bool
	// Grace is how long others keep the addresses of the node for it while its speaker is away, in
	// seconds, at most an hour; zero: not at all.
	Grace time.Duration
	// Absent are nodes, as 32 bits of what the caller takes for their name, whose speakers the member
	// takes for being away: sorted, without duplicates, the first sixteen of them.
	Absent []uint32
	// Version is the program's version, cut to 64 bytes.
	Version string
	// Config is a hash of the pool configuration.
	Config uint64
	// Segments are the L2 networks of the node: masked, sorted, without
	// duplicates. When there are too many, the first ones in sorting order
	// are told (about 70 of IPv4, 35 of IPv6).
	Segments []netip.Prefix
	// APIAge is the age of the last contact with the API server, rounded
	// down to 30 s so that it does not cause an update every second.
	APIAge time.Duration
	// MACs are the Ethernet addresses by which neighbours hear the node, as
	// "02:00:00:00:00:01": sorted, without duplicates, the first eight of
	// them. By them the others tell a member on the wire from a stranger.
	MACs []string
	// Mute are pools, as 32 bits of what the caller takes for their name, whose
	// addresses the node has no interface for: sorted, without duplicates, the
	// first sixteen of them.
	Mute []uint32
	// Keys are the fingerprints of the gossip keys that the member holds (see
	// [Fingerprints]), the one that it encrypts with first. The mesh fills it
	// in; none means that the member's release does not tell.
	Keys []string
	// Addrs are where the member's gossip listens, at most four, if that is not the one address that it
	// advertises: on a second family, or because the address of its node has changed. The mesh fills it
	// in.
	Addrs []netip.AddrPort
}

// Forever is the latest time that metadata can tell.
var Forever = time.Unix(math.MaxUint32, 0)

// After is what is known of a member that said was before, and says m now. One that is away says nothing
// new of its node: a speaker that begins does not know its interfaces yet.
func (m Meta) After(was Meta) Meta {
	if m.Away && len(was.MACs) > 0 {
		m.Segments, m.MACs, m.Mute, m.Config, m.Proxy = was.Segments, was.MACs, was.Mute, was.Config, was.Proxy
		m.NoProxy, m.Returning = was.NoProxy, was.Returning
	}
	return m
}

// OfNode is what m says that is true of the node as well while its speaker is away.
func (m Meta) OfNode() Meta {
	return Meta{
		Ready: m.Ready, Returning: m.Returning, Proxy: m.Proxy, NoProxy: m.NoProxy, Deputy: m.Deputy, Grace: m.Grace,
		Config: m.Config, Segments: m.Segments, MACs: m.MACs, Mute: m.Mute,
	}
}

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
	muteBytes    = 4 // the same for Absent
	mutesMost    = 16
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

// addrFields are the addresses by family, in their order, without what is none.
// hashField encodes names of which only 32 bits are told.
func hashField(tag byte, hashes []uint32) (out []byte) {
	if hashes = tidyMutes(hashes); len(hashes) > 0 {
		out = append(out, tag, byte(muteBytes*len(hashes)))
		for _, h := range hashes {
			out = binary.BigEndian.AppendUint32(out, h)
		}
	}
	return out
}

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
	case tag == tagAddr4 && len(value)%6 == 0:
		m.Addrs = append(m.Addrs, parseAddrs(value, 4)...)
	case tag == tagAddr6 && len(value)%18 == 0:
		m.Addrs = append(m.Addrs, parseAddrs(value, 16)...)
	case tag == tagUntil && len(value) == 4:
		m.Until = time.Unix(int64(binary.BigEndian.Uint32(value)), 0)
	case tag < tagFlags || tag == tagOrder || tag > tagUntil:
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

// tidy makes equal sets equal: plain IPv4, masked, sorted, no duplicates,
// nothing invalid. An empty set is nil.
func tidy(in []netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range in {
		if p.Addr().Is4In6() {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if p = p.Masked(); p.IsValid() {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out)
}

// tidyMACs makes equal sets equal: parsed, sorted, no duplicates, at most
// macsMost, and nothing that is not one station's address.
func tidyMACs(in []string) []net.HardwareAddr {
	var out []net.HardwareAddr
	for _, text := range in {
		mac, err := net.ParseMAC(text)
		if err == nil && len(mac) == macBytes && mac[0]&1 == 0 && !bytes.Equal(mac, make([]byte, macBytes)) {
			out = append(out, mac)
		}
	}
	slices.SortFunc(out, func(a, b net.HardwareAddr) int { return bytes.Compare(a, b) })
	out = slices.CompactFunc(out, func(a, b net.HardwareAddr) bool { return bytes.Equal(a, b) })
	return out[:min(len(out), macsMost)]
}

// tidyMutes makes equal sets equal: sorted, no duplicates, at most mutesMost.
// An empty set is nil.
func tidyMutes(in []uint32) []uint32 {
	if len(in) == 0 {
		return nil
	}
	out := slices.Compact(slices.Sorted(slices.Values(in)))
	return out[:min(len(out), mutesMost)]
}

// tidyKeys are the fingerprints as bytes, in their order, at most keysMost,
// without what is none.
func tidyKeys(in []string) (out []byte) {
	for _, text := range in {
		key, err := hex.DecodeString(text)
		if err == nil && len(key) == fingerprintBytes && len(out) < keysMost*fingerprintBytes {
			out = append(out, key...)
		}
	}
	return out
}

// cutText returns at most limit bytes of valid UTF-8.
func cutText(s string, limit int) string {
	s = strings.ToValidUTF8(s, "")
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
