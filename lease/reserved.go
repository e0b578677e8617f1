package lease

import "net/netip"

// Reserved says why an address must never be handed out, "" if it may: it is one of a node, which
// are given with their names, or it means something on a network: its own address and the broadcast
// address of IPv4 and, for IPv6, the one that every router answers for (RFC 4291, section 2.6.1).
func Reserved(networks []netip.Prefix, nodes map[netip.Addr]string) func(netip.Addr) string {
	taken := map[netip.Addr]string{}
	for _, p := range networks {
		switch {
		case p.Addr().Is4() && p.Bits() < 31:
			taken[p.Masked().Addr()] = "the network address of " + p.String()
			taken[broadcast(p)] = "the broadcast address of " + p.String()
		case p.Addr().Is6() && p.Bits() < 127:
			taken[p.Masked().Addr()] = "the routers' anycast address of " + p.String()
		}
	}
	for ip, name := range nodes {
		taken[ip] = "an address of node " + name
	}
	return func(ip netip.Addr) string { return taken[ip] }
}

// broadcast is the last address of a network of IPv4.
func broadcast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}
