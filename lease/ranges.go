package lease

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// span is a parsed range: all addresses from first to last, both included, of one family.
type span struct {
	first, last netip.Addr
	text        string // as configured
	pool        *pool
}

// unusable are the addresses that no Service can be reached at from outside.
var unusable = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved or broadcast"},
	{netip.MustParsePrefix("::/128"), "unspecified"},
	{netip.MustParsePrefix("::1/128"), "loopback"},
	{netip.MustParsePrefix("::ffff:0:0/96"), "IPv4-mapped"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

// parseExclusion reads "address", "CIDR" or "first-last".
func parseExclusion(text string) (span, error) {
	switch text = strings.TrimSpace(text); {
	case text == "":
		return span{}, errors.New("empty")
	case strings.Contains(text, "-"):
		return parseFirstLast(text)
	case strings.Contains(text, "/"):
		return parseCIDR(text)
	}
	ip, err := parseAddr(text)
	if err != nil {
		return span{}, errors.New("malformed: want an address, a CIDR such as 192.0.2.0/28 or first-last such as 192.0.2.10-192.0.2.20")
	}
	return span{first: ip, last: ip}, nil
}

// parseRange reads "CIDR" or "first-last".
func parseRange(text string) (span, error) {
	if strings.TrimSpace(text) == "" {
		return span{}, errors.New("empty")
	}
	parse := parseCIDR
	if strings.Contains(text, "-") {
		parse = parseFirstLast
	}
	s, err := parse(text)
	if err != nil {
		return span{}, err
	}
	s.text = text
	for _, u := range unusable {
		low, high := u.prefix.Addr(), lastOf(u.prefix)
		if s.first.Is4() == low.Is4() && s.first.Compare(high) <= 0 && s.last.Compare(low) >= 0 {
			return span{}, fmt.Errorf("unusable: contains %s addresses of %s", u.what, u.prefix)
		}
	}
	return s, nil
}

func parseCIDR(text string) (span, error) {
	if a, err := parseAddr(strings.TrimSpace(text)); err == nil {
		return span{}, fmt.Errorf("malformed: a range of one address is written %s", netip.PrefixFrom(a, a.BitLen()))
	}
	p, err := netip.ParsePrefix(strings.TrimSpace(text))
	if err != nil {
		return span{}, errors.New("malformed: want a CIDR such as 192.0.2.0/28 or first-last such as 192.0.2.10-192.0.2.20")
	}
	if m := p.Masked(); m != p {
		return span{}, fmt.Errorf("malformed: the address is not the first one of its network, which is %s", m)
	}
	return span{first: p.Addr(), last: lastOf(p)}, nil
}

func parseFirstLast(text string) (span, error) {
	a, b, _ := strings.Cut(text, "-")
	first, err := parseAddr(strings.TrimSpace(a))
	if err != nil {
		return span{}, fmt.Errorf("malformed: first address %w", err)
	}
	last, err := parseAddr(strings.TrimSpace(b))
	if err != nil {
		return span{}, fmt.Errorf("malformed: last address %w%s", err, spelledOut(first, strings.TrimSpace(b)))
	}
	if first.Is4() != last.Is4() {
		return span{}, errors.New("mixes IPv4 and IPv6")
	}
	if last.Less(first) {
		return span{}, errors.New("reversed: the first address is above the last one")
	}
	return span{first: first, last: last}, nil
}

// spelledOut proposes the whole range for one of IPv4 whose last address is a last byte only; else
// it is empty.
func spelledOut(first netip.Addr, last string) string {
	n, err := strconv.ParseUint(last, 10, 8)
	if err != nil || !first.Is4() {
		return ""
	}
	to := first.As4()
	to[3] = byte(n)
	return fmt.Sprintf("; write %s-%s", first, netip.AddrFrom4(to))
}

// parseAddr reads one address without a zone; IPv4 in IPv6 becomes IPv4.
func parseAddr(text string) (netip.Addr, error) {
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%q is no IP address", clip(text))
	}
	return ip.Unmap(), nil
}

// union returns spans that cover the same, sorted and apart.
func union(spans []span) []span {
	var out []span
	for _, s := range slices.SortedFunc(slices.Values(spans), compareSpans) {
		if n := len(out) - 1; n < 0 || out[n].last.Less(s.first) {
			out = append(out, span{first: s.first, last: s.last})
		} else if out[n].last.Less(s.last) {
			out[n].last = s.last
		}
	}
	return out
}

// at finds the last of sorted spans that begins at an address or before it, or -1.
func at(spans []span, ip netip.Addr) int {
	i, found := slices.BinarySearchFunc(spans, ip, func(s span, ip netip.Addr) int { return s.first.Compare(ip) })
	if !found {
		i--
	}
	return i
}

// covers reports whether one of sorted spans that are apart has the address.
func covers(spans []span, ip netip.Addr) bool {
	i := at(spans, ip)
	return i >= 0 && spans[i].contains(ip)
}

// touches reports whether a span shares an address with one of sorted spans that are apart.
func touches(spans []span, s span) bool {
	i := at(spans, s.last)
	return i >= 0 && !spans[i].last.Less(s.first)
}

// subtract returns what is left of sorted spans without holes, which are sorted and apart.
func subtract(spans, holes []span) []span {
	var out []span
	for _, s := range spans {
		left := true
		for i := max(at(holes, s.first), 0); left && i < len(holes) && holes[i].first.Compare(s.last) <= 0; i++ {
			if s.first.Less(holes[i].first) {
				piece := s
				piece.last = holes[i].first.Prev()
				out = append(out, piece)
			}
			if !holes[i].last.Less(s.last) {
				left = false
			} else if !holes[i].last.Less(s.first) {
				s.first = holes[i].last.Next()
			}
		}
		if left {
			out = append(out, s)
		}
	}
	return out
}

func (s span) contains(ip netip.Addr) bool {
	return s.first.Compare(ip) <= 0 && ip.Compare(s.last) <= 0
}

// size counts the addresses, at most the largest uint64.
func (s span) size() uint64 {
	hi1, lo1 := halves(s.first)
	hi2, lo2 := halves(s.last)
	lo, borrow := bits.Sub64(lo2, lo1, 0)
	hi, _ := bits.Sub64(hi2, hi1, borrow)
	if hi != 0 {
		return math.MaxUint64
	}
	return addSaturating(lo, 1)
}

// buggy counts the IPv4 addresses that end in .0 or .255.
func (s span) buggy() uint64 {
	if !s.first.Is4() {
		return 0
	}
	_, a := halves(s.first)
	_, b := halves(s.last)
	upTo := func(n uint64) uint64 { return (n+256)/256 + (n+1)/256 } // those in [0,n]
	return upTo(b) - upTo(a) + uint64(btoi(isBuggy(s.first)))
}

func isBuggy(ip netip.Addr) bool {
	if !ip.Is4() {
		return false
	}
	last := ip.As4()[3]
	return last == 0 || last == 255
}

// halves returns an address as a number of 128 bits.
func halves(ip netip.Addr) (hi, lo uint64) {
	if ip.Is4() {
		b := ip.As4()
		return 0, uint64(binary.BigEndian.Uint32(b[:]))
	}
	b := ip.As16()
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

// lastOf returns the highest address of a masked prefix.
func lastOf(p netip.Prefix) netip.Addr {
	raw := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(raw)*8; bit++ {
		raw[bit/8] |= 1 << (7 - bit%8)
	}
	ip, _ := netip.AddrFromSlice(raw)
	return ip
}

// family is the index of an address's family: 0 is IPv4, 1 is IPv6.
func family(ip netip.Addr) int { return btoi(!ip.Is4()) }

// familyName is what Kubernetes calls the family.
func familyName(f int) string { return [...]string{ipv4, ipv6}[f] }

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func addSaturating(a, b uint64) uint64 {
	sum, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return sum
}

// clip shortens hostile text for messages.
func clip(text string) string { return clipTo(text, 64) }

func clipTo(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return text[:most] + "..."
}
