package metallb

import (
	"net/netip"
	"strings"
)

// convertRange reads a CIDR or "first-last" as MetalLB does and returns it as we want it.
func convertRange(n node) string {
	text := n.text()
	if strings.TrimSpace(text) == "" {
		n.fail("is empty, want a CIDR such as 192.0.2.0/28 or first-last such as 192.0.2.10-192.0.2.20")
		return ""
	}
	if first, last, ok := strings.Cut(text, "-"); ok {
		return convertFirstLast(n, first, last)
	}
	prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
	if err != nil {
		n.fail("%q is neither a CIDR such as 192.0.2.0/28 nor first-last such as 192.0.2.10-192.0.2.20", printable(text))
		return ""
	}
	masked := prefix.Masked()
	if masked != prefix {
		n.remark("%s means the whole network %s to MetalLB: written so", prefix, masked)
	}
	return masked.String()
}

// onlyBuggy reports whether all addresses of a converted range end in .0 or .255.
func onlyBuggy(text string) bool {
	var ip, last netip.Addr
	if first, end, ok := strings.Cut(text, "-"); ok {
		ip, _ = netip.ParseAddr(first)
		last, _ = netip.ParseAddr(end)
	} else if prefix, err := netip.ParsePrefix(text); err == nil && prefix.IsSingleIP() {
		ip, last = prefix.Addr(), prefix.Addr()
	}
	buggy := func(ip netip.Addr) bool { return ip.Is4() && (ip.As4()[3] == 0 || ip.As4()[3] == 255) }
	return buggy(ip) && (ip == last || ip.Next() == last && buggy(last))
}

func convertFirstLast(n node, first, last string) string {
	a, aErr := netip.ParseAddr(strings.TrimSpace(first))
	b, bErr := netip.ParseAddr(strings.TrimSpace(last))
	a, b = a.Unmap(), b.Unmap()
	both := printable(first + "-" + last)
	switch {
	case aErr != nil || a.Zone() != "":
		n.fail("%q: %q is no IP address", both, printable(first))
	case bErr != nil || b.Zone() != "":
		n.fail("%q: %q is no IP address", both, printable(last))
	case a.Is4() != b.Is4():
		n.fail("%q mixes IPv4 and IPv6", both)
	case b.Less(a):
		n.fail("%q is reversed: the first address is above the last one", both)
	default:
		return a.String() + "-" + b.String()
	}
	return ""
}
