package netif

import (
	"net/netip"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/starling-lb/starling/arpd/packet"
	"github.com/starling-lb/starling/arpd/packettest"
)

var (
	nodeHW = packettest.NodeHW
	peerHW = packettest.PeerHW
)

var compare = cmp.Options{
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
}

func addrs(texts ...string) []netip.Addr {
	out := make([]netip.Addr, len(texts))
	for i, s := range texts {
		out[i] = netip.MustParseAddr(s)
	}
	return out
}

const running = unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_BROADCAST | unix.IFF_MULTICAST

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, s := range texts {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// nic is a network card that works.
func nic(name string, index int, addrs ...string) Link {
	return Link{
		Name: name, Index: index, Kind: "device", Ether: true, Flags: running,
		MAC: packet.HW{0x02, 0, 0, 0, 1, byte(index)}, Addrs: prefixes(addrs...),
	}
}

// but returns l with something different.
func but(l Link, change func(*Link)) Link {
	change(&l)
	return l
}
