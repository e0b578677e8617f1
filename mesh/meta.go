package mesh

import (
	"bytes"
	"encoding/hex"
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
	// Until is when that ends by the clock of the member, to be shown, in whole seconds; [Forever]:
	// not by time. Zero is not told.
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
	// Deputy: the member's release knows that a node keeps its addresses while its speaker is away,
	// and can answer for it.
	Deputy bool
	// Grace is how long others keep the addresses of the node for it while its speaker is away, in
	// seconds, at most an hour; zero: not at all.
	Grace time.Duration
	// Absent are nodes, as 32 bits of what the caller takes for their name, whose speakers the
	// member takes for being away: sorted, without duplicates, the first sixteen of them.
	Absent []uint32
	// Sessions are BGP routers, as 32 bits of what the caller takes for their name, to which the
	// member has announced all that it is to announce: sorted, without duplicates, the first eight
	// of them.
	Sessions []uint32
	// OnePath are routers, as Sessions, that take one path for each prefix only, as the member has
	// seen.
	OnePath []uint32
	// Version is the program's version, cut to 64 bytes.
	Version string
	// Config is a hash of the pool configuration.
	Config uint64
	// Segments are the L2 networks of the node: masked, sorted, without
	// duplicates. When there are too many, the first ones in sorting order
	// are sent (about 70 of IPv4, 35 of IPv6).
	Segments []netip.Prefix
	// APIAge is the age of the last contact with the API server, rounded
	// down to 30 s so that it does not cause an update every second.
	APIAge time.Duration
	// MACs are the Ethernet addresses by which neighbors hear the node, as
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
	// Addrs are where the member's gossip listens, at most four, if that is not the one address
	// that it advertises: on a second family, or because the address of its node has changed. The
	// mesh fills it in.
	Addrs []netip.AddrPort
}

// Forever is the latest time that metadata can tell.
var Forever = time.Unix(math.MaxUint32, 0)

// After is what is known of a member that said was before, and says m now. One that is away says
// nothing new of its node: a speaker that begins does not know its interfaces yet.
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

// tidyRouters is tidyMutes with at most routersMost.
func tidyRouters(in []uint32) []uint32 {
	out := tidyMutes(in)
	return out[:min(len(out), routersMost)]
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
