package arpd

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/netif"
	"github.com/starling-lb/starling/arpd/packet"
)

const running = unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_BROADCAST | unix.IFF_MULTICAST

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, s := range texts {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// nic is a network card that works.
func nic(name string, index int, addrs ...string) netif.Link {
	return netif.Link{
		Name: name, Index: index, Kind: "device", Ether: true, Flags: running,
		MAC: packet.HW{0x02, 0, 0, 0, 1, byte(index)}, Addrs: prefixes(addrs...),
	}
}

// but returns l with something different.
func but(l netif.Link, change func(*netif.Link)) netif.Link {
	change(&l)
	return l
}
