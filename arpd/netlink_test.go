package arpd

import (
	"context"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func ipnet(text string) *net.IPNet {
	p := netip.MustParsePrefix(text)
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func TestConnected(t *testing.T) {
	for name, tc := range map[string]struct {
		addr netlink.Addr
		want string // "": none
	}{
		"IPv4":           {netlink.Addr{IPNet: ipnet("198.18.0.1/24")}, "198.18.0.1/24"},
		"IPv6":           {netlink.Addr{IPNet: ipnet("2001:db8::1/64")}, "2001:db8::1/64"},
		"point to point": {netlink.Addr{IPNet: ipnet("198.18.0.1/32"), Peer: ipnet("198.18.9.1/24")}, "198.18.9.1/24"},
		"16 bytes of IPv4": {
			netlink.Addr{IPNet: &net.IPNet{IP: net.ParseIP("198.18.0.1"), Mask: net.CIDRMask(24, 32)}},
			"198.18.0.1/24",
		},
		"no address": {netlink.Addr{}, ""},
		"no mask":    {netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(198, 18, 0, 1), Mask: net.IPMask{255, 0, 255, 0}}}, ""},
		"no bytes":   {netlink.Addr{IPNet: &net.IPNet{Mask: net.CIDRMask(24, 32)}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := connected(tc.addr)
			if ok != (tc.want != "") || ok && got.String() != tc.want {
				t.Errorf("prefix %s, %v", got, ok)
			}
		})
	}
}

func TestJoin(t *testing.T) {
	attrs := func(name string, index int, mac net.HardwareAddr) netlink.LinkAttrs {
		return netlink.LinkAttrs{Name: name, Index: index, HardwareAddr: mac, EncapType: "ether", RawFlags: running}
	}
	member := attrs("eth1", 3, peerHW[:])
	member.MasterIndex = 4
	got := join([]netlink.Link{
		&netlink.Device{LinkAttrs: attrs("eth0", 2, nodeHW[:])},
		&netlink.Veth{LinkAttrs: member},
		&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tun0", Index: 5, EncapType: "none", RawFlags: unix.IFF_UP | unix.IFF_NOARP}},
	}, []netlink.Addr{
		{IPNet: ipnet("198.18.0.1/24"), LinkIndex: 2},
		{IPNet: ipnet("2001:db8::1/64"), LinkIndex: 2},
		{LinkIndex: 2},
		{IPNet: ipnet("198.18.5.1/24"), LinkIndex: 5},
		{IPNet: ipnet("198.18.9.1/24"), LinkIndex: 9},
	})
	want := []link{
		{name: "eth0", index: 2, kind: "device", ether: true, flags: running, mac: nodeHW, addrs: prefixes("198.18.0.1/24", "2001:db8::1/64"), own: addrs("198.18.0.1", "2001:db8::1")},
		{name: "eth1", index: 3, kind: "veth", ether: true, flags: running, mac: peerHW, master: 4},
		{name: "tun0", index: 5, kind: "tuntap", flags: unix.IFF_UP | unix.IFF_NOARP, addrs: prefixes("198.18.5.1/24"), own: addrs("198.18.5.1")},
	}
	if diff := cmp.Diff(want, got, compare, cmp.AllowUnexported(link{})); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
}

// TestRelay checks what is made of events, and that a broken subscription is an
// error while the end of the context is none.
func TestRelay(t *testing.T) {
	event := func(kind uint16, index int32, flags uint32) netlink.LinkUpdate {
		u := netlink.LinkUpdate{Header: unix.NlMsghdr{Type: kind}}
		u.Index, u.Flags = index, flags
		return u
	}
	for name, tc := range map[string]struct {
		send func(chan netlink.LinkUpdate, chan netlink.AddrUpdate, context.CancelFunc)
		want []change
		fail bool
	}{
		"up": {func(l chan netlink.LinkUpdate, _ chan netlink.AddrUpdate, end context.CancelFunc) {
			l <- event(unix.RTM_NEWLINK, 2, running)
			end()
		}, []change{{index: 2}}, false},
		"down": {func(l chan netlink.LinkUpdate, _ chan netlink.AddrUpdate, end context.CancelFunc) {
			l <- event(unix.RTM_NEWLINK, 2, unix.IFF_BROADCAST)
			end()
		}, []change{{index: 2, down: true}}, false},
		"no carrier": {func(l chan netlink.LinkUpdate, _ chan netlink.AddrUpdate, end context.CancelFunc) {
			l <- event(unix.RTM_NEWLINK, 2, unix.IFF_UP)
			end()
		}, []change{{index: 2, down: true}}, false},
		"removed": {func(l chan netlink.LinkUpdate, _ chan netlink.AddrUpdate, end context.CancelFunc) {
			l <- event(unix.RTM_DELLINK, 2, running)
			end()
		}, []change{{index: 2, down: true, gone: true}}, false},
		"left its bridge": {func(l chan netlink.LinkUpdate, _ chan netlink.AddrUpdate, end context.CancelFunc) {
			u := event(unix.RTM_DELLINK, 2, running)
			u.Family = unix.AF_BRIDGE
			l <- u
			end()
		}, []change{{index: 2}}, false},
		"address": {func(_ chan netlink.LinkUpdate, a chan netlink.AddrUpdate, end context.CancelFunc) {
			a <- netlink.AddrUpdate{LinkIndex: 3}
			end()
		}, []change{{index: 3}}, false},
		"links break":     {func(l chan netlink.LinkUpdate, _ chan netlink.AddrUpdate, _ context.CancelFunc) { close(l) }, nil, true},
		"addresses break": {func(_ chan netlink.LinkUpdate, a chan netlink.AddrUpdate, _ context.CancelFunc) { close(a) }, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			links, addrs := make(chan netlink.LinkUpdate), make(chan netlink.AddrUpdate)
			go tc.send(links, addrs, cancel)
			var got []change
			err := relay(ctx, links, addrs, func(c change) { got = append(got, c) })
			if (err != nil) != tc.fail {
				t.Errorf("error %v", err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(change{})); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}
